"""Ends of turns as Pipecat and LiveKit Agents decide them, by their own voice detection, at their defaults.

Their packages are not among those of this project. This file is run by the interpreter of an environment
that has them (`quality.end_of_turn --others PYTHON`), and imports nothing from here for that:

    PYTHON other_frameworks.py STREAMS.npz    # int16 mono at 16 kHz; prints the ends of turns as JSON

Pipecat 1.14: Silero, quiet of 0.2 s, then Smart Turn once; complete above 0.5, else at the next quiet of
0.2 s, or after 3 s of silence (`TurnAnalyzerUserTurnStopStrategy`, without a wait for a transcript). LiveKit
Agents 1.8: Silero, 0.55 s of quiet, and `min_endpointing_delay` of 0.5 s within it; the model that may wait
longer is licensed for LiveKit Agents alone, and is not run.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

_RATE = 16000
_CHUNK = 320
_PREDICTION = 0.04
"""Seconds from the question to the answer of Smart Turn, as for the policies of this project."""
_DEADLINE = 1800.0

Sound: TypeAlias = npt.NDArray[np.int16]
Ends: TypeAlias = Mapping[str, Sequence[Sequence[float]]]
"""By framework with its version: seconds of each stream at which turns are ended."""


class OthersError(Exception):
    """The environment does not have the frameworks, or one of them failed."""


def ends_by_others(python: Path, streams: Sequence[Sound]) -> Ends:
    """Have streams heard by the frameworks of another environment.

    Args:
        python: Its interpreter.
        streams: int16 mono at 16 kHz, shape (n,) each.

    Raises:
        OthersError: It has not what is needed; says what is to be installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "streams.npz")
        np.savez(path, *streams)
        try:
            command = [python, Path(__file__), path]
            run = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE, check=False)
        except OSError as error:
            raise OthersError(f"{python} cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise OthersError(f"{python} took longer than {_DEADLINE:.0f} s") from error
    if run.returncode != 0:
        last = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise OthersError(
            f"{python} cannot hear with other frameworks ({last}): "
            "in its environment run `pip install pipecat-ai livekit-plugins-silero`"
        )
    ends: Ends = json.loads(run.stdout.strip().splitlines()[-1])
    return ends


async def _pipecat(samples: Sound) -> list[float]:
    smart = import_module("pipecat.audio.turn.smart_turn.base_smart_turn")
    silero = import_module("pipecat.audio.vad.silero")
    state, start = silero.VADState, import_module("pipecat.audio.vad.vad_analyzer").VAD_START_SECS
    complete = import_module("pipecat.audio.turn.base_turn_analyzer").EndOfTurnState.COMPLETE
    vad = silero.SileroVADAnalyzer(sample_rate=_RATE)
    vad.set_sample_rate(_RATE)
    turn = import_module("pipecat.audio.turn.smart_turn.local_smart_turn_v3").LocalSmartTurnAnalyzerV3(
        sample_rate=_RATE
    )
    turn.set_sample_rate(_RATE)
    turn.update_vad_start_secs(start)
    clock = SimpleNamespace(at=0.0)
    # It keeps its sound by the time at which it came: here that of the stream.
    smart.time = SimpleNamespace(monotonic=lambda: clock.at + 1.0, perf_counter=smart.time.perf_counter)
    ends, speaking = [], False
    for begin in range(0, len(samples) - _CHUNK + 1, _CHUNK):
        chunk = samples[begin : begin + _CHUNK].tobytes()
        clock.at = (begin + _CHUNK) / _RATE
        now = await vad.analyze_audio(chunk)
        if turn.append_audio(chunk, speaking) == complete:
            ends.append(clock.at)
        if now == state.SPEAKING and not speaking:
            speaking = True
        elif now == state.QUIET and speaking:
            speaking = False
            if (await turn.analyze_end_of_turn())[0] == complete:
                ends.append(clock.at + _PREDICTION)
    await vad.cleanup()
    await turn.cleanup()
    return ends


async def _livekit(samples: Sound) -> list[float]:
    rtc, agents = import_module("livekit.rtc"), import_module("livekit.agents")
    stream = import_module("livekit.plugins.silero").VAD.load().stream()
    for begin in range(0, len(samples) - _CHUNK + 1, _CHUNK):
        stream.push_frame(rtc.AudioFrame(samples[begin : begin + _CHUNK].tobytes(), _RATE, 1, _CHUNK))
    stream.end_input()
    over = agents.vad.VADEventType.END_OF_SPEECH
    ends = [float(event.timestamp) async for event in stream if event.type == over]
    await stream.aclose()
    return ends


async def _all(streams: Sequence[Sound]) -> dict[str, list[list[float]]]:
    return {
        f"Pipecat {version('pipecat-ai')}": [await _pipecat(stream) for stream in streams],
        f"LiveKit Agents {version('livekit-agents')}": [await _livekit(stream) for stream in streams],
    }


def main(words: Sequence[str]) -> int:
    """Hear the streams of a file."""
    with np.load(words[0]) as file:
        streams: list[Any] = [file[name] for name in file.files]
    print(json.dumps(asyncio.run(_all(streams))))  # noqa: T201 - the parent reads it
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

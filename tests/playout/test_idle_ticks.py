"""A tick that passes a voice over would have done nothing, whatever was said, held, dropped and resumed."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.events import Heard
from fishjam_agents.playout.audio_output import AudioOutput
from fishjam_agents.playout.schedule import Schedule
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.testing import VirtualClock

RATE = 16000

names = st.sampled_from(["first", "second"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("say"), names, st.sampled_from([0.005, 0.02, 0.05, 0.4])),
        st.tuples(st.just("wait"), st.sampled_from([1, 2, 7, 40]), st.none()),
        st.tuples(st.sampled_from(["end", "drop"]), names, st.none()),
        st.tuples(
            st.sampled_from(["pause", "resume", "interrupt", "background", "mute"]), st.none(), st.none()
        ),
    ),
    max_size=30,
)


class Log:
    """The bot's track and the owner of its voice: notes what happens, in order."""

    id = "track"

    def __init__(self) -> None:
        self.happened: list[Any] = []

    async def send_chunk(self, data: bytes) -> None:
        self.happened.append(data)

    async def interrupt(self) -> None:
        self.happened.append("interrupt")

    def first_audio(self, reply: str) -> None:
        self.happened.append(("begins", reply))

    def reply_played(self, heard: Heard) -> None:
        self.happened.append(heard)

    def output_failed(self, error: Exception) -> None:
        pytest.fail(str(error))


async def play(script: list[tuple[str, Any, Any]]) -> list[Any]:
    log, now = Log(), asyncio.get_running_loop().time
    output = AudioOutput(log, RATE, RATE, PlayoutSettings(), log)
    spoken = 0

    def tick() -> None:
        log.happened.append(round(now(), 6))
        output.pump(now())

    for what, which, length in script:
        match what:
            case "say":
                output.begin(which)
                samples = round(length * RATE)
                output.write(which, np.arange(spoken, spoken + samples, dtype=np.int64).astype(np.int16))
                spoken += samples
            case "end":
                output.finish(which)
            case "drop":
                log.happened.append(output.drop(which))
                output.go_on()
            case "pause":
                output.pause()
            case "resume":
                output.resume()
            case "interrupt":
                log.happened.append(output.interrupt())
            case "mute":
                output.mute_background(True)
            case "background":
                output.background.muted = False
            case _:
                for _ in range(which):
                    await asyncio.sleep(0.02)
                    tick()
        log.happened.append(output.heard())
    return log.happened


@given(steps)
def test_voices_that_rest_would_have_done_nothing(script: list[tuple[str, Any, Any]]) -> None:
    def run() -> list[Any]:
        return VirtualClock().run(play(script))

    passed_over = run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Schedule, "rests", False)
        assert run() == passed_over

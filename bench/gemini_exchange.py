"""The same exchange with Gemini Live twice: through Google's bare client, and through a bot's link.

Run as a command of the emulator, which is another process: `python -m bench.gemini_exchange bare 4`.
Prints microseconds of CPU of each turn by frames of 20 ms, in and out counted as one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import warnings

import numpy as np
from fishjam_agents_gemini import Gemini
from google import genai
from google.genai import types

from fishjam_agents.backends import port
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.events import Turn

_MODEL = "gemini-3.8-live"
_FRAMES = 100
_FRAME = np.random.default_rng(1).integers(-8000, 8000, 320).astype("<i2")
_WARM = 2
"""Turns that are not counted."""


async def bare(turns: int) -> list[float]:
    """Audio up in activities, audio down, nothing else."""
    client = genai.Client(http_options={"async_client_args": {"compression": None}})
    detection = {"automatic_activity_detection": {"disabled": True}}
    config = types.LiveConnectConfig.model_validate(
        {
            "realtime_input_config": detection,
            "input_audio_transcription": {},
            "output_audio_transcription": {},
            "session_resumption": {},
        }
    )
    costs = []
    async with client.aio.live.connect(model=_MODEL, config=config) as session:
        for _ in range(turns):
            begun = time.process_time()
            await session.send_realtime_input(activity_start=types.ActivityStart())
            for _ in range(_FRAMES):
                blob = types.Blob(data=_FRAME.tobytes(), mime_type="audio/pcm;rate=16000")
                await session.send_realtime_input(audio=blob)
                await asyncio.sleep(0)
            await session.send_realtime_input(activity_end=types.ActivityEnd())
            given = 0
            async for message in session.receive():
                content = message.server_content
                if content is not None and content.model_turn is not None:
                    given += sum(len(part.inline_data.data) for part in content.model_turn.parts or [])
            costs.append(_per_frame(begun, given))
    return costs


async def ours(turns: int) -> list[float]:
    """The same through `BackendLink` and `type: gemini`."""
    over = asyncio.Event()
    given = 0

    def emit(event: port.BackendEvent) -> None:
        nonlocal given
        if isinstance(event, port.ReplyAudio):
            given += 2 * len(event.samples)
        elif isinstance(event, port.BackendUsage):
            over.set()

    link = BackendLink(Gemini(_MODEL), "bench", emit, lambda seconds: None)
    running = asyncio.create_task(link.run())
    await link.connected.wait()
    costs = []
    for number in range(turns):
        begun, given = time.process_time(), 0
        over.clear()
        link.put(port.TurnStartedInput("ann", 0.0))
        for _ in range(_FRAMES):
            link.put(port.AudioInput("ann", _FRAME, 0.02))
            await asyncio.sleep(0)
        link.put(port.TurnEndedInput(Turn(f"turn-{number}", "ann", "track", 0.0, 2.0)))
        await over.wait()
        costs.append(_per_frame(begun, given))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return costs


def _per_frame(begun: float, given: int) -> float:
    frames = _FRAMES + given / 960
    return (time.process_time() - begun) / frames * 1e6


def main() -> None:
    """Print the costs."""
    warnings.simplefilter("ignore")
    which, turns = sys.argv[1], int(sys.argv[2]) + _WARM
    costs = asyncio.run(asyncio.wait_for((bare if which == "bare" else ours)(turns), 60))
    print(json.dumps(costs[_WARM:]))


if __name__ == "__main__":
    main()

"""One vendor stands in for another, each with its real client against an emulator of its service."""

from __future__ import annotations

import asyncio
import base64

import numpy as np
import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import GeminiEmulator
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.realtime import Realtime

from fishjam_agents.backends import Fallback
from fishjam_agents.backends import port as p
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.events import Turn


async def until(events: list[p.BackendEvent], kind: type, count: int) -> None:
    for _ in range(2000):
        if len([event for event in events if isinstance(event, kind)]) >= count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"no {kind.__name__}, but {events[-5:]}")


def test_openai_takes_over_in_the_middle_of_a_turn_from_a_gemini_whose_key_is_withdrawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[p.BackendEvent] = []
    sound = np.round(8000 * np.sin(np.arange(16000) / 6)).astype(np.int16)

    async def talk(gemini: GeminiEmulator, link: BackendLink) -> None:
        def say(samples: np.ndarray) -> None:
            for start in range(0, len(samples), 320):
                link.put(p.AudioInput("ann", samples[start : start + 320], 0.02))

        link.put(p.TurnStartedInput("ann", 0.0))
        say(sound)
        link.put(p.TurnEndedInput(Turn("turn-1", "ann", "mic", 0.0, 1.0)))
        await until(events, p.ReplyAudioEnded, 1)
        link.put(p.TurnStartedInput("ann", 5.0))
        say(sound[:8000])
        await gemini.connections[0].until_received("audio", 75)
        await gemini.connections[0].close(1008, "Your API key was reported as leaked. Use another.")
        await until(events, p.BackendFailure, 1)
        say(sound[8000:])
        link.put(p.TurnEndedInput(Turn("turn-2", "ann", "mic", 5.0, 6.0)))
        await until(events, p.ReplyAudioEnded, 2)

    async def main() -> RealtimeEmulator:
        async with GeminiEmulator() as gemini, RealtimeEmulator() as openai:
            for name, value in gemini.environment.items():
                monkeypatch.setenv(name, value)
            chain = Fallback([Gemini(), Realtime(api_key="k", base_url=openai.base_url)], deadline=13)
            link = BackendLink(chain, "call", events.append, lambda seconds: None, "Be brief.")
            running = asyncio.create_task(link.run())
            try:
                await talk(gemini, link)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            return openai

    openai = asyncio.run(main())
    (failure,) = [event for event in events if isinstance(event, p.BackendFailure)]
    assert failure.failure == "auth"
    assert "leaked" in failure.message
    assert failure.message.startswith("Realtime stands in for Gemini: ")
    assert (failure.backend, failure.fallback) == ("Gemini", "Realtime")
    # The whole turn, at the rate of the one that stands in.
    (connection,) = openai.connections
    audio = [event["audio"] for event in connection if event["type"] == "input_audio_buffer.append"]
    samples = np.frombuffer(b"".join(map(base64.b64decode, audio)), "<i2")
    assert len(samples) == pytest.approx(24000, abs=100)
    assert [event["type"] for event in connection].count("input_audio_buffer.commit") == 1
    session = next(event["session"] for event in connection if event["type"] == "session.update")
    assert session["instructions"].startswith("Be brief.\n\nYou take over a conversation that is under way.")
    replies = [event.reply for event in events if isinstance(event, p.ReplyStarted)]
    assert replies == ["gemini-1~1", "openai-1~2"]

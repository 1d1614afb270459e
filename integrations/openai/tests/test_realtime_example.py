"""`examples/openai_poet` in a whole call: what is heard, and what a barge-in does on the wire."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator

from fishjam_agents.audio.wav import Clip, load_speech
from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.simulation import SimulationResult, simulate

ROOT = Path(__file__).parents[3]
STORY = "There once was a fish in the sea, as happy as happy can be, who swam all the day. " * 2


def test_a_barge_in_truncates_the_poem_at_the_milliseconds_that_were_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fixtures = ROOT / "audio_fixtures"
    yes, question = (load_speech(fixtures / f"alice_{name}.wav", 16000) for name in ("yes", "question"))
    caller = Clip(np.concatenate([yes, np.zeros(40000, np.int16), question]), 16000)

    async def call() -> tuple[SimulationResult, RealtimeEmulator]:
        async with RealtimeEmulator(deque([[STORY], ["Yes?"]])) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
            monkeypatch.setenv("OPENAI_API_KEY", "emulated-key")
            bot = pipeline_factory(load_config(ROOT / "examples" / "openai_poet" / "config.yaml"))()
            return await simulate(bot, [caller]), server

    result, server = asyncio.run(asyncio.wait_for(call(), 50))
    events = result.timeline["events"]
    (heard,) = [event["heard"] for event in events if event["kind"] == "reply_interrupted"]
    assert 0.5 < heard["seconds"] < 5
    assert STORY.startswith(heard["text"])
    assert not heard["text_exact"]
    (truncation,) = [event for event in server.received if event["type"] == "conversation.item.truncate"]
    assert truncation["audio_end_ms"] == pytest.approx(1000 * heard["seconds"], abs=1)
    # It had been generated to its end: there was nothing to cancel.
    assert "response.cancel" not in [event["type"] for event in server.received]
    assert [event["heard"]["text"] for event in events if event["kind"] == "reply_ended"] == ["Yes?"]
    assert np.abs(result.heard.astype(int)).max() > 1000
    assert not {"error", "backend_warning", "outage"} & set(result.kinds)

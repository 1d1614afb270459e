from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.wav import load_speech
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


def speech(name: str, rate: int = 16000) -> np.ndarray:
    """A fixture's samples from its first sound to its last."""
    table = json.loads((FIXTURES / "fixtures.json").read_text())
    entry = table[name]
    samples = load_speech(FIXTURES / name, rate)
    start, end = entry["sounds"][0]["start"], entry["sounds"][-1]["end"]
    return samples[round(start * rate) : round(end * rate)]


def tone(seconds: float, level: int = 3000, rate: int = 24000) -> np.ndarray:
    """A tone, by default at the parrot's output rate: no speech, so its echo would mean nothing."""
    return (level * np.sin(np.arange(round(seconds * rate)) * 0.2)).astype(np.int16)


@pytest.fixture
def converse() -> Callable[..., MemoryCall]:
    """Run a bot in a room in memory while a script leads the call, in virtual time."""

    def run(
        bot: AgentPipeline, script: Callable[[MemoryCall], Coroutine[Any, Any, None]], **options: Any
    ) -> MemoryCall:
        call = MemoryCall(bot, trouble=True, **options).play(script)
        assert not call.unfinished, "a task was left behind"
        return call

    return run

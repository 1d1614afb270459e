"""An apology in words is made into sound once for all calls of a process, by the voice of its own bot."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.port import Backend, BackendContext, BackendSession, Capabilities
from fishjam_agents.pipeline.spoken_words import Apology

spoken: list[int] = []


@dataclass(frozen=True)
class Voice(Backend):
    """Speaks a single sample, which is its pitch."""

    pitch: int

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        return Capabilities(verbatim_say=True, speaks_alone=True)

    async def speak(self, text: str) -> AsyncIterator[Samples]:
        spoken.append(self.pitch)
        yield np.full(1, self.pitch, np.int16)

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[BackendSession]:
        raise NotImplementedError
        yield


@pytest.fixture(autouse=True)
def _nothing_spoken() -> None:
    spoken.clear()


def _pitch(voice: Voice, text: str) -> int:
    async def sound() -> Samples | None:
        return await Apology(text, voice, pytest.fail).recording()

    samples = asyncio.run(sound())
    assert samples is not None
    return int(samples[0])


def test_a_voice_that_is_gone_leaves_its_words_to_no_other() -> None:
    # More than are kept, each of them gone before the next one: they share addresses.
    for pitch in range(100):
        assert _pitch(Voice(pitch), "Sorry, our line is down.") == pitch
        gc.collect()
    assert spoken == list(range(100))


def test_a_bot_that_makes_its_voice_anew_for_each_call_has_the_words_spoken_once() -> None:
    for _ in range(5):
        assert _pitch(Voice(7), "Please call again.") == 7
    assert _pitch(Voice(7), "Other words.") == 7
    assert spoken == [7, 7]

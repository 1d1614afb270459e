"""Parts that stand in for others: opened when they have to be, and missing without harm."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from fishjam_agents.backends.cascade import Cascade, TextToSpeech
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import MemoryCall
from tests.cascade.calls import asks, bot
from tests.cascade.components import Answers, Speaks, Understands
from tests.pipeline.conftest import converse

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]


@dataclass(frozen=True, eq=False)
class Opened(Speaks):
    """A voice that tells when it is opened and closed, or cannot be opened."""

    log: list[str] = field(default_factory=list)
    missing: bool = False

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[TextToSpeech]:
        self.log.append("opened")
        if self.missing:
            raise BackendError("there is no file voice.onnx: download it")
        try:
            yield self
        finally:
            self.log.append("closed")


def _alone(*voices: Opened, text: str = "One moment. We are away.") -> float:
    """Speak words by voices alone; return the seconds of sound."""
    cascade = Cascade([Understands([["Hi."]])], [Answers([["Hm."]])], list(voices))

    async def speak() -> float:
        return sum([len(samples) async for samples in cascade.speak(text)]) / 24000

    return asyncio.run(speak())


def test_words_alone_open_the_first_voice_and_no_other() -> None:
    first, second = Opened(), Opened()
    assert _alone(first, second) > 0
    assert (first.log, first.said) == (["opened", "closed"], ["One moment.", "We are away."])
    assert second.log == []


@pytest.mark.parametrize("missing", [True, False], ids=["not opened", "not spoken"])
def test_words_alone_open_the_next_voice_where_the_first_fails(missing: bool) -> None:
    ill = BackendError("it is ill", retryable=True)
    first, second = Opened(missing=missing, errors=deque([ill, ill])), Opened()
    assert _alone(first, second) > 0
    assert second.log == ["opened", "closed"]
    assert second.said == ["One moment.", "We are away."]


def test_words_alone_that_no_voice_can_speak_are_told() -> None:
    with pytest.raises(BackendError, match=r"no file voice\.onnx"):
        _alone(Opened(missing=True), Opened(missing=True))


@pytest.mark.parametrize("first_missing", [True, False])
def test_a_call_goes_on_without_a_voice_that_cannot_be_opened(
    converse: Converse, first_missing: bool
) -> None:
    voices = Opened(missing=first_missing), Opened(missing=not first_missing)
    pipeline = bot(Understands([["Hi."]]), Answers([["Fine."]]), voices[0])
    pipeline.backend = Cascade([Understands([["Hi."]])], [Answers([["Fine."]])], voices)
    call = converse(pipeline, asks)
    assert voices[first_missing].said == ["Fine."]
    (warning,) = call.of("backend_warning")
    assert "text to speech goes on without one of its list: there is no file" in warning.message

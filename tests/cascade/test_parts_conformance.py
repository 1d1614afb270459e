"""The kit for parts of a cascade: parts of this package and of the tests, and parts that lie."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from fishjam_agents.backends.cascade import (
    LanguageModel,
    LLMChunk,
    Message,
    Paused,
    Speech,
    SpeechToText,
    TextToSpeech,
    Transcript,
    TranscriptPiece,
)
from fishjam_agents.backends.cascade.espeak import Espeak
from fishjam_agents.backends.port import Samples, ToolDeclaration
from fishjam_agents.errors import BackendError, FailureKind
from fishjam_agents.testing.conformance import (
    ComponentAlone,
    Cut,
    Fails,
    FakeComponentService,
    LanguageModelConformance,
    PartStep,
    SpeechToTextConformance,
    StreamingSpeechToTextConformance,
    TextToSpeechConformance,
)
from fishjam_agents.testing.conformance.component_checks import PartChecks
from tests.cascade.components import Answers, Speaks, Streams, Understands


class Program(ComponentAlone):
    """espeak-ng, and its processes as the system sees them."""

    def open_requests(self) -> int:
        if not Path("/proc/self/stat").exists():
            return 0
        return sum(_is_child_espeak(path) for path in Path("/proc").glob("[0-9]*/stat"))


def _is_child_espeak(stat: Path) -> bool:
    try:
        # pid (command) state parent …
        command, _, rest = stat.read_text().partition("(")[2].rpartition(")")
    except OSError:
        return False
    return command == "espeak-ng" and rest.split()[:2][1] == str(os.getpid())


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
class TestEspeak(TextToSpeechConformance):
    def fake_service(self) -> FakeComponentService:
        return Program(Espeak())


class TestUnderstands(SpeechToTextConformance):
    def fake_service(self) -> FakeComponentService:
        return ComponentAlone(Understands([[]]))


class TestStreams(StreamingSpeechToTextConformance):
    def fake_service(self) -> FakeComponentService:
        return ComponentAlone(Streams([[]]))


class TestAnswers(LanguageModelConformance):
    def fake_service(self) -> FakeComponentService:
        return ComponentAlone(Answers([["Yes. ", "No."]]))


class TestSpeaks(TextToSpeechConformance):
    def fake_service(self) -> FakeComponentService:
        return ComponentAlone(Speaks())


@dataclass(eq=False)
class Desk(FakeComponentService):
    """A service in this process: a queue of answers. `part` is the one under test, given the desk."""

    kind: type[Honest]
    in_process: bool = True
    secret: str | None = "sk-desk"
    connects: bool = True

    def __post_init__(self) -> None:
        self.answers: list[Sequence[PartStep] | BackendError] = []
        self.asked: list[str] = []
        self.open = 0

    def part(self) -> Honest:
        return self.kind(self)

    async def answer(self, *steps: PartStep) -> None:
        self.answers.append(steps)

    async def refuse(self, kind: FailureKind) -> None:
        message = f"the door is shut ({kind}): open it"
        self.answers.append(BackendError(message, retryable=kind == "network", failure=kind))

    def requests(self) -> int:
        return len(self.asked)

    def open_requests(self) -> int:
        return self.open

    def received(self) -> Sequence[str]:
        return self.asked


@dataclass(frozen=True, eq=False)
class Honest(TextToSpeech):
    """Speaks what is on the desk."""

    desk: Desk
    sample_rate: int = 24000

    def __repr__(self) -> str:
        return "Honest()"

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        answer = self.begin(text)
        self.desk.open += 1
        try:
            async for piece in self.pieces(answer):
                yield piece
        finally:
            self.end()

    def begin(self, text: str) -> Sequence[PartStep]:
        self.desk.asked.append(text)
        answer = self.desk.answers.pop(0) if self.desk.answers else [b"\0\0"]
        if isinstance(answer, BackendError):
            raise answer
        return answer

    def end(self) -> None:
        self.desk.open -= 1

    async def pieces(self, answer: Sequence[PartStep]) -> AsyncIterator[bytes]:
        for step in answer:
            match step:
                case float():
                    await asyncio.sleep(step)
                case bytes():
                    yield step
                case Cut() | Fails():
                    raise BackendError("speech broke off: try again", retryable=True)


class TestHonest(TextToSpeechConformance):
    def fake_service(self) -> FakeComponentService:
        return Desk(Honest)


class Deaf(Honest):
    """Does not notice that nobody listens."""

    def end(self) -> None:
        pass


class Patient(Honest):
    """Waits for all before it gives a piece."""

    async def pieces(self, answer: Sequence[PartStep]) -> AsyncIterator[bytes]:
        whole = b"".join([piece async for piece in super().pieces(answer)])
        yield whole


class Trying(Honest):
    """Asks again behind the cascade's back."""

    def begin(self, text: str) -> Sequence[PartStep]:
        try:
            return super().begin(text)
        except BackendError:
            return super().begin(text)


class Losing(Honest):
    """Loses odd bytes."""

    async def pieces(self, answer: Sequence[PartStep]) -> AsyncIterator[bytes]:
        async for piece in super().pieces(answer):
            yield piece[: len(piece) & ~1]


class Silent(Honest):
    """Takes an answer that broke off for a whole one."""

    async def pieces(self, answer: Sequence[PartStep]) -> AsyncIterator[bytes]:
        try:
            async for piece in super().pieces(answer):
                yield piece
        except BackendError:
            return


class Showing(Honest):
    """Shows its key."""

    def __repr__(self) -> str:
        return "Showing(key='sk-desk')"


class Littering(Honest):
    """Leaves a task behind."""

    def end(self) -> None:
        super().end()
        asyncio.create_task(asyncio.sleep(100))  # noqa: RUF006 - that is what is caught


@pytest.mark.parametrize(
    ("liar", "test", "message"),
    [
        (Deaf, "test_whoever_stops_waiting_hangs_up", "no end of the request within"),
        (Losing, "test_an_answer_comes_in_order_and_ends", "half a sample|assert"),
        (Silent, "test_an_answer_that_breaks_off_is_told_after_what_came", "it did not fail"),
        (Showing, "test_its_check_passes_and_its_settings_show_no_secret", "shows its secret"),
        (Littering, "test_an_answer_comes_in_order_and_ends", "no end of all tasks"),
        (Trying, "test_a_refusal_has_its_kind_one_sentence_and_no_second_try", "it did not fail"),
    ],
)
def test_a_part_that_breaks_a_rule_is_found_out(liar: type[Honest], test: str, message: str) -> None:
    class Suspect(TextToSpeechConformance):
        def fake_service(self) -> FakeComponentService:
            return Desk(liar)

    arguments = {"breaks_off": [Cut()], "a_refusal": ["network"]}
    given = next((given for name, given in arguments.items() if name in test), [])
    with pytest.raises(AssertionError, match=message):
        getattr(Suspect(), test)(*given)


def test_a_part_that_waits_for_the_whole_is_found_out() -> None:
    class Suspect(TextToSpeechConformance):
        def fake_service(self) -> FakeComponentService:
            return Desk(Patient)

    with pytest.raises(TimeoutError):
        Suspect().test_the_first_piece_does_not_wait_and_whoever_stops_listening_hangs_up()


class Muttering(Understands):
    """Ends without a final transcript."""

    async def transcribe(self, audio: Samples) -> AsyncIterator[Transcript]:
        yield Transcript("so far")


class Hasty(Streams):
    """Takes a pause for the end."""

    async def hear(self, speech: Speech) -> AsyncIterator[TranscriptPiece]:
        async for piece in speech.follow():
            if isinstance(piece, Paused):
                yield Transcript("That was all.", final=True)
                return


class Fickle(Streams):
    """Calls words stable that are not."""

    async def hear(self, speech: Speech) -> AsyncIterator[TranscriptPiece]:
        async for piece in speech.follow():
            if isinstance(piece, Paused):
                yield Transcript("What is a fish?", stable=True)
        yield Transcript("What is a dish?", final=True)


@pytest.mark.parametrize(("liar", "message"), [(Hasty, "ended at a pause"), (Fickle, "other words than at")])
def test_a_part_that_is_wrong_about_pauses_is_found_out(liar: type[Streams], message: str) -> None:
    class Suspect(StreamingSpeechToTextConformance):
        def fake_service(self) -> FakeComponentService:
            return ComponentAlone(liar([[]]))

    with pytest.raises(AssertionError, match=message):
        Suspect().test_a_pause_has_all_before_it_understood()


class Confusing(Answers):
    """Yields what no language model yields."""

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]
    ) -> AsyncIterator[LLMChunk]:
        yield 5  # type: ignore[misc]


class Returning(Speaks):
    """Returns what cannot be closed."""

    def speak(self, text: str) -> AsyncIterator[bytes]:  # type: ignore[override]
        class Pieces:
            def __aiter__(self) -> Pieces:
                return self

        return Pieces()  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("suite", "part", "message"),
    [
        (SpeechToTextConformance, Muttering([[]]), "the last transcript is not final"),
        (LanguageModelConformance, Confusing([[]]), "it yields"),
        (TextToSpeechConformance, Returning(), "cannot be closed"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_found_out(
    suite: type[PartChecks], part: SpeechToText | LanguageModel | TextToSpeech, message: str
) -> None:
    class Suspect(suite):  # type: ignore[misc, valid-type]
        def fake_service(self) -> FakeComponentService:
            return ComponentAlone(part)

    with pytest.raises(AssertionError, match=message):
        Suspect().test_an_answer_comes_in_order_and_ends()


def test_a_voice_of_another_rate_than_it_says_is_found_out() -> None:
    class Lying(Speaks):
        in_process: ClassVar[bool] = True

        async def speak(self, text: str) -> AsyncIterator[bytes]:
            yield np.full(8000 * len(text), 2000, "<i2").tobytes()

    class Suspect(TextToSpeechConformance):
        def fake_service(self) -> FakeComponentService:
            return ComponentAlone(Lying())

    with pytest.raises(AssertionError, match="nine words take"):
        Suspect().test_a_sentence_lasts_as_long_as_one()

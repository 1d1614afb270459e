"""The kit for parts of a cascade: a class for each of the three ports, to subclass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import numpy as np

from fishjam_agents.backends.cascade import (
    LanguageModel,
    LLMChunk,
    LLMToolCall,
    LLMUsage,
    Message,
    Reasoning,
    SpeechToText,
    TextToSpeech,
    Transcript,
)
from fishjam_agents.backends.cascade.components import STT_RATE
from fishjam_agents.backends.port import Samples, ToolDeclaration
from fishjam_agents.testing.conformance.component_checks import PartChecks
from fishjam_agents.testing.conformance.components import FakeComponentService, PartStep

_SENTENCE = "The quick brown fox jumps over the lazy dog."
_FOREIGN = 'Grüße, "quotes" and \U0001f41f'
_TOOL = ToolDeclaration(
    "weather", "The weather of a city.", {"type": "object", "properties": {"city": {"type": "string"}}}
)


class SpeechToTextConformance(PartChecks):
    """Checks that speech to text has to pass; override `fake_service`."""

    first: ClassVar[PartStep] = "Good "
    second: ClassVar[PartStep] = "morning."
    other: ClassVar[PartStep] = "Evening."

    def ask(self, part: SpeechToText) -> AsyncIterator[Any]:
        """One second of something."""
        return part.transcribe(_sound(1.0))

    def judge(self, pieces: Sequence[Any]) -> None:
        """The last transcript, and only that, is final; each holds all so far."""
        transcripts = [piece for piece in pieces if isinstance(piece, Transcript)]
        assert transcripts, "no transcript came"
        assert transcripts[-1].final, "the last transcript is not final"
        assert not any(piece.final for piece in transcripts[:-1]), "a final transcript was not the last"
        _costs(pieces)

    def said(self, pieces: Sequence[Any]) -> str:
        """The latest transcript."""
        transcripts = [piece.text for piece in pieces if isinstance(piece, Transcript)]
        return transcripts[-1].strip() if transcripts else ""

    def said_of(self, *steps: PartStep) -> str:
        """All words."""
        return "".join(step for step in steps if isinstance(step, str)).strip()

    def test_each_transcript_is_all_so_far(self) -> None:
        """Not what is new of it."""
        self.applies(self.steered().streams, "its answers come in one piece")

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer("One", " two", " three.")
            pieces = await self.all_of(part)
            texts = [piece.text.strip() for piece in pieces if isinstance(piece, Transcript)]
            assert texts[-1] == "One two three."
            assert all("One two three.".startswith(text) for text in texts), texts
            assert len(texts) > 2, "nothing came before the whole"

        self.run(check)

    def test_the_turn_arrives_whole(self) -> None:
        """As long as it was spoken."""
        self.steered()

        async def check(part: Any, far: FakeComponentService) -> None:
            for seconds in (1.0, 7.3):
                [piece async for piece in part.transcribe(_sound(seconds))]
                assert abs(far.received()[-1] - seconds) < 0.05

        self.run(check)

    def test_silence_and_nothing_at_all_mean_nothing_and_fail_nothing(self) -> None:
        """Expect no answer to a mere cough."""

        async def check(part: Any, far: FakeComponentService) -> None:
            for seconds in (1.0, 0.02, 0.0):
                if far.connects:
                    await far.answer()
                silence = np.zeros(round(seconds * STT_RATE), np.int16)
                pieces = [piece async for piece in part.transcribe(silence)]
                self.judge(pieces)
                assert self.said(pieces) == ""

        self.run(check)

    def test_words_of_any_script_come_as_they_are(self) -> None:
        """Letters of several bytes, too."""
        self.steered()

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer(_FOREIGN)
            assert self.said(await self.all_of(part)) == _FOREIGN

        self.run(check)


class LanguageModelConformance(PartChecks):
    """Checks that a language model has to pass; override `fake_service`."""

    first: ClassVar[PartStep] = "Good "
    second: ClassVar[PartStep] = f"morning, {_FOREIGN}"
    other: ClassVar[PartStep] = "Good evening."

    def ask(self, part: LanguageModel) -> AsyncIterator[Any]:
        """A greeting."""
        return part.reply([Message("system", "Be brief."), Message("user", "Hello?")], [_TOOL])

    def judge(self, pieces: Sequence[Any]) -> None:
        """Words, thoughts, calls and costs, and nothing else."""
        strange = [
            piece for piece in pieces if not isinstance(piece, str | Reasoning | LLMToolCall | LLMUsage)
        ]
        assert not strange, f"it yields {strange[:3]}"
        _costs(pieces)

    def said(self, pieces: Sequence[Any]) -> str:
        """Its words."""
        return "".join(piece for piece in pieces if isinstance(piece, str))

    def said_of(self, *steps: PartStep) -> str:
        """All words."""
        return "".join(step for step in steps if isinstance(step, str))

    def test_what_it_reasons_is_no_word_of_it(self) -> None:
        """Thoughts are thoughts."""
        self.steered()

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer(Reasoning("They greet me."), "Hello.", Reasoning("That was it."))
            pieces = await self.all_of(part)
            assert self.said(pieces) == "Hello."
            thoughts = "".join(piece.text for piece in pieces if isinstance(piece, Reasoning))
            assert not thoughts or thoughts.endswith("They greet me.That was it."), thoughts

        self.run(check)

    def test_tools_are_called_one_beside_the_other_with_all_their_arguments(self) -> None:
        """However they were cut on their way."""
        self.steered()
        deep = {"city": _FOREIGN, "days": [1, 2.5, None, True], "more": {"and": "more"}}
        wanted = [LLMToolCall("c1", "weather", deep), LLMToolCall("c2", "weather", {"city": "Oslo"})]

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer("One moment. ", *wanted, LLMToolCall("c3", "weather", {}))
            pieces = await self.all_of(part)
            calls = [piece for piece in pieces if isinstance(piece, LLMToolCall)]
            assert [(call.name, dict(call.arguments)) for call in calls] == [
                *((call.name, dict(call.arguments)) for call in wanted),
                ("weather", {}),
            ]
            assert len({call.call for call in calls}) == 3, "two calls have one id"
            assert self.said(pieces) == "One moment. "

        self.run(check)

    def test_a_conversation_with_tools_arrives_as_it_was(self) -> None:
        """Roles, words and whom an answer is to."""
        self.steered()
        calls = [LLMToolCall("c1", "weather", {"city": _FOREIGN}), LLMToolCall("c2", "weather", {})]
        messages = [
            Message("system", "Be brief."),
            Message("user", _FOREIGN),
            Message("assistant", "", calls=calls),
            Message("tool", "sunny", call="c1"),
            Message("tool", '{"rain": true}', call="c2"),
            Message("assistant", "It is sunny."),
            Message("user", "And tomorrow?"),
        ]

        async def check(part: Any, far: FakeComponentService) -> None:
            pieces: list[LLMChunk] = [piece async for piece in part.reply(messages, [_TOOL])]
            self.judge(pieces)
            arrived: Sequence[Message] = far.received()[-1]
            assert [(m.role, m.text, m.call) for m in arrived] == [(m.role, m.text, m.call) for m in messages]
            assert [(c.call, c.name, c.arguments) for c in arrived[2].calls] == [
                (c.call, c.name, c.arguments) for c in calls
            ]

        self.run(check)


class TextToSpeechConformance(PartChecks):
    """Checks that text to speech has to pass; override `fake_service`."""

    first: ClassVar[PartStep] = bytes(range(1, 100))
    second: ClassVar[PartStep] = bytes(range(100, 201))
    other: ClassVar[PartStep] = bytes(300)

    def ask(self, part: TextToSpeech) -> AsyncIterator[Any]:
        """A sentence."""
        return part.speak(_SENTENCE)

    def judge(self, pieces: Sequence[Any]) -> None:
        """Bytes, which are whole samples together."""
        assert all(isinstance(piece, bytes) for piece in pieces), "it yields something that is no bytes"
        assert len(self.said(pieces)) % 2 == 0, "half a sample is missing"

    def said(self, pieces: Sequence[Any]) -> bytes:
        """Its sound."""
        return b"".join(pieces)

    def said_of(self, *steps: PartStep) -> bytes:
        """All sound."""
        return b"".join(step for step in steps if isinstance(step, bytes))

    def test_its_rate_is_a_rate(self) -> None:
        """It must be known before the first sound."""

        async def check(part: Any, far: FakeComponentService) -> None:
            assert 8000 <= part.sample_rate <= 48000, f"sample_rate is {part.sample_rate}"

        self.run(check)

    def test_a_sentence_lasts_as_long_as_one(self) -> None:
        """Check a part that makes its own sound: at its rate it can be speech, more text takes longer."""
        self.applies(not self.fake_service().connects, "the service decides what it sounds like")

        async def check(part: Any, far: FakeComponentService) -> None:
            short, long = [
                np.frombuffer(self.said([piece async for piece in part.speak(text)]), "<i2")
                for text in (_SENTENCE, f"{_SENTENCE} {_SENTENCE}")
            ]
            seconds = len(short) / part.sample_rate
            assert 1.0 < seconds < 8.0, f"nine words take {seconds:.1f} s at {part.sample_rate} Hz"
            assert len(long) > 1.5 * len(short), "twice the words do not take longer"
            assert np.abs(short.astype(np.int32)).max() > 1000, "it is silent"

        self.run(check)

    def test_a_sentence_arrives_as_it_was_written(self) -> None:
        """Letters of several bytes, too."""
        self.steered()

        async def check(part: Any, far: FakeComponentService) -> None:
            [piece async for piece in part.speak(_FOREIGN)]
            assert far.received()[-1] == _FOREIGN

        self.run(check)


def _sound(seconds: float) -> Samples:
    wave: Samples = (8000 * np.sin(np.arange(round(seconds * STT_RATE)) / 5)).astype(np.int16)
    return wave


def _costs(pieces: Sequence[Any]) -> None:
    for piece in pieces:
        if isinstance(piece, LLMUsage):
            assert all(isinstance(amount, int | float) for amount in piece.amounts.values()), piece

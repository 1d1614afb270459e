"""Models and voices that find no end, and what a call keeps of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, LanguageModel, Message
from fishjam_agents.backends.cascade.history import CUT
from fishjam_agents.backends.cascade.reply import UNSPOKEN
from fishjam_agents.backends.cascade.speech_synthesis import LEAD, OUTPUT_RATE
from fishjam_agents.testing import MemoryCall, VirtualClock
from tests.cascade.calls import asks, bot, said
from tests.cascade.components import LETTER, Answers, Speaks, Understands
from tests.cascade.drive import ENDED, drive
from tests.pipeline.conftest import converse, speech

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]
HI = Understands([["Hi."]])
SENTENCE = "And so on and so forth. "


class Endless(LanguageModel):
    in_process: ClassVar[bool] = True

    def __init__(self) -> None:
        self.given = 0
        self.closed = False

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[port.ToolDeclaration]
    ) -> AsyncIterator[str]:
        try:
            while True:
                await asyncio.sleep(0.001)
                self.given += 1
                yield SENTENCE
        finally:
            self.closed = True


def test_a_model_that_never_stops_is_read_and_spoken_only_so_far_ahead(virtual_clock: VirtualClock) -> None:
    llm, tts = Endless(), Speaks()
    told = drive(virtual_clock, Cascade([HI], [llm], [tts]), [ENDED, 120.0])
    given = sum(len(event.samples) for event in told.of(port.ReplyAudio)) / OUTPUT_RATE
    # One sentence may be over, one is made ahead of it.
    length = len(SENTENCE.strip()) * LETTER
    assert given == pytest.approx(120 + LEAD, abs=length + 0.2)
    assert llm.given <= len(tts.said) + UNSPOKEN + 2
    assert llm.closed


def test_who_speaks_over_a_long_story_ends_it_and_the_model_knows_how_much_was_heard(
    converse: Converse,
) -> None:
    story = [f"This is sentence {number} of a story. " for number in range(100)]
    llm = Answers([story, ["Yes?"]])

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(10.0)
        await alice.speak(speech("bob_question.wav"))
        await call.wait_for("reply_ended")

    call = converse(bot(Understands([["Tell."], ["Stop."]]), llm, tts := Speaks()), script)
    (cut,) = call.of("reply_interrupted")
    assert 9.5 < cut.heard.seconds < 11.5
    assert said(llm)[2:] == [("assistant", cut.heard.text + CUT), ("user", "Stop.")]
    assert len(tts.said) < 30


def test_a_long_story_is_heard_to_its_end_without_a_gap(converse: Converse) -> None:
    story = [f"This is sentence {number} of a story. " for number in range(100)]
    call = converse(bot(HI, Answers([story]), Speaks()), asks)
    (ended,) = call.of("reply_ended")
    assert ended.heard.seconds == pytest.approx(sum(len(part.strip()) for part in story) * LETTER, abs=0.01)
    assert not call.of("backend_warning")
    sounding = np.flatnonzero(call.room.played())
    assert np.diff(sounding).max() / OUTPUT_RATE < 0.003


def test_ten_minutes_of_sound_in_one_piece_are_heard_and_stopped_in_the_middle(
    virtual_clock: VirtualClock,
) -> None:
    @dataclass(frozen=True, eq=False)
    class Long(Speaks):
        async def speak(self, text: str) -> AsyncIterator[bytes]:
            yield np.ones(600 * OUTPUT_RATE, "<i2").tobytes() + b"\1"

    told = drive(virtual_clock, Cascade([HI], [Answers([["Hm."]])], [Long()]), [ENDED, 100.0])
    given = [len(event.samples) / OUTPUT_RATE for event in told.of(port.ReplyAudio)]
    assert max(given) <= 1.0
    assert sum(given) == pytest.approx(100 + LEAD, abs=1.1)


@pytest.mark.parametrize("answer", ["```python\nprint(1)\n```", "<think>Hm.</think>", "\U0001f600", ""])
def test_an_answer_without_a_word_is_told_of(converse: Converse, answer: str) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("backend_warning")

    call = converse(bot(HI, Answers([[answer]]), Speaks()), script)
    (warning,) = call.of("backend_warning")
    assert "no words that can be spoken" in warning.message


def test_of_a_sentence_that_was_cut_at_its_beginning_only_that_counts_as_heard(converse: Converse) -> None:
    sentence = "There is one at seven by the window and another one at half past eight in the garden."
    llm = Answers([[sentence], ["Sure. "]])
    pipeline = bot(Understands([["A table?"], ["Stop."]]), llm, Speaks(pause=0.001))

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")

    call = converse(pipeline, script)
    (cut,) = call.of("reply_interrupted")
    assert not cut.heard.text_exact
    assert sentence.startswith(cut.heard.text)
    # 0.05 s for each letter.
    assert len(cut.heard.text) * LETTER == pytest.approx(cut.heard.seconds, abs=0.4)
    assert said(llm)[2:] == [("assistant", cut.heard.text + CUT), ("user", "Stop.")]

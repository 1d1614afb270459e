"""Turns that are understood while they are spoken, in a session that is told of them bit by bit."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, EndOfSpeech, Speech, TranscriptPiece
from fishjam_agents.errors import BackendError
from fishjam_agents.events import Turn
from fishjam_agents.testing import VirtualClock
from tests.cascade.components import Answers, Speaks, Streams, Understands
from tests.cascade.drive import ENDED, Step, Told, drive

FRAME = np.full(320, 3000, np.int16)
FISH = [(0.4, "What"), (0.6, "is"), (1.0, "a fish?")]


def sound(seconds: float) -> Iterator[Step]:
    """So much of a speaker, in real time."""
    for _ in range(round(seconds / 0.02)):
        yield port.AudioInput("alice", FRAME, 0.02, speech=True)
        yield 0.02


def ended(start: float, end: float) -> port.TurnEndedInput:
    return port.TurnEndedInput(Turn("t1", "alice", "mic", start, end))


def turn(start: float = 2.0, seconds: float = 1.0) -> list[Step]:
    """A turn of this length, whose quiet has ended it."""
    end = start + seconds
    return [
        port.TurnStartedInput("alice", start, start),
        *sound(seconds),
        *sound(0.2),
        port.TurnPausedInput("alice", end),
        *sound(0.4),
        ended(start, end),
    ]


def talk(
    clock: VirtualClock,
    steps: Sequence[Step],
    stt: Streams | Sequence[Any],
    llm: Answers | None = None,
    **settings: Any,
) -> Told:
    parts = [stt] if isinstance(stt, Streams) else list(stt)
    return drive(clock, Cascade(parts, [llm or Answers([["Yes. "]])], [Speaks()], **settings), steps)


def words(told: Told) -> list[tuple[str, bool]]:
    return [(event.text, event.final) for event in told.of(port.UserTranscript)]


def asked(llm: Answers) -> list[str]:
    return [messages[-1].text for messages in llm.asked]


def test_words_are_told_while_they_are_spoken_with_where_they_ended(virtual_clock: VirtualClock) -> None:
    told = talk(virtual_clock, [*turn(), 1.0], Streams([FISH]))
    assert words(told) == [
        ("What", False),
        ("What is", False),
        ("What is a fish?", False),
        ("What is a fish?", True),
    ]
    events = told.of(port.UserTranscript)
    assert {(event.peer, event.start) for event in events} == {("alice", 2.0)}
    assert [event.media_at for event in events] == pytest.approx([2.4, 2.6, 3.0, 3.0])
    assert told.times(port.UserTranscript)[0] == pytest.approx(0.4, abs=0.03)


def test_the_quiet_after_the_last_pause_is_no_part_of_a_turn(virtual_clock: VirtualClock) -> None:
    talk(virtual_clock, [*turn(), 1.0], stt := Streams([FISH]))
    assert [len(audio) / 16000 for audio in stt.heard] == [pytest.approx(1.2)]
    assert stt.pauses == [pytest.approx(1.0)]


def test_who_goes_on_after_a_pause_is_understood_as_one_turn(virtual_clock: VirtualClock) -> None:
    goes_on: list[Step] = [
        port.TurnStartedInput("alice", 0.0, 0.0),
        *sound(1.0),
        port.TurnPausedInput("alice", 0.8),
        *sound(0.2),
        port.TurnResumedInput("alice"),
        *sound(0.6),
        ended(0.0, 1.8),
    ]
    told = talk(virtual_clock, [*goes_on, 1.0], stt := Streams([[*FISH, (1.5, "Tell me.")]]))
    assert words(told)[-1] == ("What is a fish? Tell me.", True)
    assert len(stt.heard[0]) == round(1.8 * 16000)


def test_the_model_is_asked_with_the_final_words(virtual_clock: VirtualClock) -> None:
    llm = Answers([["Yes. "]])
    told = talk(virtual_clock, [*turn(), 2.0], Streams([FISH], lag=0.7), llm)
    assert asked(llm) == ["What is a fish?"]
    (latency,) = told.of(port.ReplyLatency)
    assert latency.parts["stt"] == pytest.approx(0.7, abs=0.41)


def test_a_turn_is_answered_as_far_as_it_is_understood_when_the_wait_is_over(
    virtual_clock: VirtualClock,
) -> None:
    class Late(Streams):
        async def hear(self, speech: Any) -> Any:
            async for piece in super().hear(speech):
                if getattr(piece, "final", False):
                    yield type(piece)("What is a dish?", final=True)
                else:
                    yield piece

    llm = Answers([["Yes. "], ["No. "]])
    steps = [*turn(), 4.0, *turn(10.0), 1.0, 4.0]
    told = talk(virtual_clock, steps, Late([FISH], lag=3.0), llm, transcript_wait=1.0)
    (warning, _) = told.of(port.BackendWarning)
    assert "not final 1 s after the end of the turn" in warning.message
    assert [message.text for message in llm.asked[0]] == ["What is a fish?"]
    # The final words came after it was asked, and belong to the turn they were spoken in.
    assert [message.text for message in llm.asked[1]] == ["What is a dish?", "Yes.", "What is a fish?"]
    finals = [event for event in told.of(port.UserTranscript) if event.final]
    assert (finals[0].text, finals[0].start) == ("What is a dish?", 2.0)


def test_a_turn_without_a_word_is_no_turn(virtual_clock: VirtualClock) -> None:
    for nothing in ("[BLANK_AUDIO]", "♪", "Thank you for watching!", "..."):
        llm = Answers([["What?"]])
        told = talk(virtual_clock, [*turn(), 2.0], Streams([[(0.5, nothing)]]), llm, preemptive=True)
        assert not llm.asked
        assert not told.of(port.UserTranscript)


def test_an_answer_is_begun_at_a_pause_and_adopted_if_the_turn_ends_there(
    virtual_clock: VirtualClock,
) -> None:
    llm = Answers([["Yes. "]])
    told = talk(virtual_clock, [*turn(), 2.0], Streams([FISH], lag=0.1), llm, preemptive=True)
    (event,) = told.of(port.PreemptiveReply)
    assert event.outcome == "adopted"
    assert len(llm.asked) == 1
    (latency,) = told.of(port.ReplyLatency)
    assert latency.parts["ahead"] < 0


def test_an_answer_to_half_a_sentence_is_never_heard(virtual_clock: VirtualClock) -> None:
    goes_on: list[Step] = [
        port.TurnStartedInput("alice", 0.0, 0.0),
        *sound(1.0),
        port.TurnPausedInput("alice", 0.8),
        *sound(0.4),
        port.TurnResumedInput("alice"),
        *sound(0.6),
        ended(0.0, 1.8),
    ]
    llm = Answers([["Half. "], ["Whole. "]])
    told = talk(virtual_clock, [*goes_on, 2.0], Streams([[*FISH, (1.5, "Tell me.")]]), llm, preemptive=True)
    assert [event.outcome for event in told.of(port.PreemptiveReply)] == ["went_on"]
    assert told.text == ["Whole."]
    assert asked(llm) == ["What is a fish?", "What is a fish? Tell me."]


def test_a_sound_that_becomes_no_turn_is_not_answered(virtual_clock: VirtualClock) -> None:
    steps: list[Step] = [
        port.SpeechSuspectedInput("alice", 1.0, 0.8),
        *sound(0.6),
        port.TurnCancelledInput("alice"),
        0.5,
    ]
    llm = Answers([["What?"]])
    told = talk(virtual_clock, steps, stt := Streams([[(0.4, "Mhm.")]]), llm)
    assert words(told) == [("Mhm.", False)]
    assert told.of(port.UserTranscript)[0].media_at == pytest.approx(1.2)
    assert (llm.asked, stt.closed) == ([], ["closed"])


def test_a_suspected_sound_that_becomes_a_turn_is_heard_once(virtual_clock: VirtualClock) -> None:
    steps: list[Step] = [
        port.SpeechSuspectedInput("alice", 1.0, 0.8),
        *sound(0.6),
        port.TurnStartedInput("alice", 1.0, 0.8),
        *sound(0.6),
        ended(1.0, 2.0),
        1.0,
    ]
    told = talk(virtual_clock, steps, stt := Streams([FISH]))
    assert words(told)[-1] == ("What is a fish?", True)
    assert [len(audio) for audio in stt.heard] == [round(1.2 * 16000)]


def test_the_recognisers_own_end_of_turn_is_passed_on(virtual_clock: VirtualClock) -> None:
    told = talk(virtual_clock, [*turn(), 1.0], Streams([[*FISH, (1.02, EndOfSpeech())]]))
    assert told.of(port.UserSpeech) == [port.UserSpeech(False)]


@pytest.mark.parametrize("second", ["whole", "streams"])
def test_a_part_that_breaks_off_in_mid_word_is_followed_by_one_that_hears_the_turn_from_its_beginning(
    virtual_clock: VirtualClock, second: str
) -> None:
    first = Streams([[(0.4, "What"), (0.5, BackendError("the line is cut", retryable=True))]])
    other = Understands([["What is a fish?"]]) if second == "whole" else Streams([FISH])
    llm = Answers([["Yes. "]])
    told = talk(virtual_clock, [*turn(), 2.0], [first, other], llm)
    assert asked(llm) == ["What is a fish?"]
    assert [len(audio) for audio in other.heard] == [round(1.2 * 16000)]
    assert words(told)[-1] == ("What is a fish?", True)


def test_a_part_that_fails_at_the_end_loses_nothing_that_was_understood(virtual_clock: VirtualClock) -> None:
    stt = Streams([[*FISH, (1.1, BackendError("the line is cut", retryable=True))]])
    llm = Answers([["Yes. "]])
    told = talk(virtual_clock, [*turn(), 2.0], stt, llm)
    assert asked(llm) == ["What is a fish?"]
    assert "answered as far as it came: the line is cut" in told.of(port.BackendWarning)[-1].message
    assert words(told)[-1] == ("What is a fish?", True)


def test_a_part_that_says_nothing_after_the_end_is_given_up(virtual_clock: VirtualClock) -> None:
    other = Understands([["What is a fish?"]])
    llm = Answers([["Yes. "]])
    talk(virtual_clock, [*turn(), 8.0], [Streams([[]], lag=60.0), other], llm)
    assert asked(llm) == ["What is a fish?"]


def test_a_part_that_comes_back_while_the_speaker_goes_on_has_all_of_the_turn(
    virtual_clock: VirtualClock,
) -> None:
    stt = Streams([[(0.3, BackendError("the line is cut", retryable=True))]] * 2 + [FISH])
    llm = Answers([["Yes. "]])
    told = talk(virtual_clock, [*turn(), 2.0], stt, llm)
    assert asked(llm) == ["What is a fish?"]
    assert [len(audio) for audio in stt.heard] == [round(1.2 * 16000)]
    assert len(told.of(port.BackendWarning)) == 1


def test_a_call_keeps_no_sound_of_turns_that_are_answered(virtual_clock: VirtualClock) -> None:
    kept: list[weakref.ref[Speech]] = []

    class Watched(Understands):
        async def hear(self, speech: Speech) -> AsyncIterator[TranscriptPiece]:
            kept.append(weakref.ref(speech))
            async for piece in super().hear(speech):
                yield piece

    alive: list[int] = []

    def look() -> None:
        gc.collect()
        alive.append(sum(speech() is not None for speech in kept))

    steps: list[Step] = []
    for start in (0.0, 10.0, 20.0):
        steps += [port.TurnStartedInput("alice", start), ENDED, 3.0, look]
    talk(virtual_clock, steps, [Watched([["Hi."]])])
    assert len(kept) == 3
    assert max(alive) <= 1


def test_turns_that_follow_one_another_keep_their_words(virtual_clock: VirtualClock) -> None:
    llm = Answers([["One. "], ["Two. "]])
    steps = [*turn(), port.TurnStartedInput("alice", 4.0, 4.0), *turn(4.0)[1:], 8.0]
    stt = Streams([FISH, [(0.5, "And a cat?")]], lag=1.5)
    told = talk(virtual_clock, steps, stt, llm)
    finals = [(event.text, event.start) for event in told.of(port.UserTranscript) if event.final]
    assert finals == [("What is a fish?", 2.0), ("And a cat?", 4.0)]
    assert [message.text for message in llm.asked[-1] if message.role == "user"] == [
        "What is a fish?",
        "And a cat?",
    ]

"""Sentences after one another, and what happens to them when nobody wants them any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, TextToSpeech
from fishjam_agents.backends.cascade.speech_synthesis import AHEAD
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import MemoryCall, VirtualClock
from tests.cascade.calls import asks, bot
from tests.cascade.components import LETTER, Answers, Speaks, Understands
from tests.cascade.drive import ENDED, SOUND, Told, drive
from tests.pipeline.conftest import converse

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]
HI = Understands([["Hi."]])


def test_there_is_no_gap_between_sentences_of_a_voice_that_begins_slowly(converse: Converse) -> None:
    # It speaks hardly faster than people listen, so that nothing is in store when a sentence ends.
    tts = Speaks(first=0.4, pause=0.095)
    call = converse(
        bot(HI, Answers([["One sentence with some words. Another of them. And a third."]]), tts), asks
    )
    wave = call.room.played()
    sounding = np.flatnonzero(wave)
    silences = np.diff(sounding)
    assert silences.max() / 24000 < 0.003
    assert (sounding[-1] - sounding[0]) / 24000 == pytest.approx((29 + 16 + 12) * LETTER, abs=0.01)


def test_one_sentence_at_most_is_made_ahead(virtual_clock: VirtualClock) -> None:
    tts = Speaks(pause=1.0)
    cascade = Cascade([HI], [Answers([["First. Second. Third. Fourth."]])], [tts])
    told = drive(virtual_clock, cascade, [ENDED, 0.5])
    assert tts.said == ["First.", "Second."]
    assert told.text == []


def test_sentences_are_heard_in_their_order_whichever_is_made_first(virtual_clock: VirtualClock) -> None:
    @dataclass(frozen=True, eq=False)
    class Uneven(Speaks):
        async def speak(self, text: str) -> AsyncIterator[bytes]:
            await asyncio.sleep(2.0 if text == "First." else 0.0)
            yield np.full(2400, len(text), "<i2").tobytes()

    told = drive(
        virtual_clock, Cascade([HI], [Answers([["First. Then another."]])], [Uneven()]), [ENDED, 5.0]
    )
    assert [int(event.samples[0]) for event in told.of(port.ReplyAudio)] == [6, 13]
    assert [event.at for event in told.of(port.ReplyTextDelta)] == pytest.approx([0.0, 0.1])
    first, second = told.times(port.ReplyAudio)
    assert second == first


def test_a_sentence_made_ahead_is_bounded(virtual_clock: VirtualClock) -> None:
    @dataclass(frozen=True, eq=False)
    class Endless(Speaks):
        made: list[str] = field(default_factory=list)

        async def speak(self, text: str) -> AsyncIterator[bytes]:
            for _ in range(1000 if text == "Endless." else 20):
                await asyncio.sleep(0.1 if text == "Endless." else 10.0)
                self.made.append(text)
                yield bytes(48000)

    tts = Endless()
    drive(
        virtual_clock, Cascade([HI], [Answers([["First. Endless."]])], [tts], deadline=20.0), [ENDED, 100.0]
    )
    assert tts.made.count("Endless.") == AHEAD


def test_a_sentence_made_ahead_whose_voice_fails_does_not_cut_the_one_before_it(
    virtual_clock: VirtualClock,
) -> None:
    @dataclass(frozen=True, eq=False)
    class Once(Speaks):
        async def speak(self, text: str) -> AsyncIterator[bytes]:
            if text == "Second.":
                raise BackendError("the voice is gone", retryable=True)
            for _ in range(10):
                await asyncio.sleep(0.1)
                yield bytes(4800)

    told = drive(virtual_clock, Cascade([HI], [Answers([["First. Second."]])], [Once()]), [ENDED, 5.0])
    assert len(told.of(port.ReplyAudio)) == 10
    assert [warning.message for warning in told.of(port.BackendWarning)] == [
        "a sentence could not be spoken to its end: the voice is gone"
    ]
    assert len(told.of(port.ReplyAudioEnded)) == 1


GONE = BackendError("the voice is gone", retryable=True)


@dataclass(frozen=True, eq=False)
class Marked(TextToSpeech):
    """0.2 s of sound for each sentence, of a height of its own; `breaks` bounds the pieces of some."""

    height: int = 100
    breaks: dict[str, int] = field(default_factory=dict)
    sample_rate: int = 24000
    in_process: ClassVar[bool] = True

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        sound = np.full(480, self.height + len(text), "<i2").tobytes()
        for _ in range(self.breaks.get(text, 10)):
            await asyncio.sleep(0.02)
            yield sound
        if self.breaks.get(text, 0):
            raise GONE


FOUR = "A one. And two. And three. And number four."


def heights(told: Told) -> list[tuple[int, int]]:
    """The sentences that were heard, by their height, and how many pieces of each."""
    found: list[tuple[int, int]] = []
    for event in told.of(port.ReplyAudio):
        height = int(event.samples[0])
        pieces = found.pop()[1] if found and found[-1][0] == height else 0
        found.append((height, pieces + 1))
    return found


@pytest.mark.parametrize(
    ("breaks", "first"),
    [({"And two.": 3}, [(108, 3), (208, 10)]), ({"And two.": 0}, [(208, 10)])],
    ids=["breaks-off", "gives-nothing"],
)
def test_a_voice_that_fails_in_a_sentence_is_stood_in_for_there_and_in_all_that_follow(
    virtual_clock: VirtualClock, breaks: dict[str, int], first: list[tuple[int, int]]
) -> None:
    cascade = Cascade([HI], [Answers([[FOUR]])], [Marked(breaks=breaks), Marked(height=200)])
    told = drive(virtual_clock, cascade, [ENDED, 5.0])
    # The third is begun while the second is spoken, by whichever voice is well then.
    one, *rest = heights(told)
    assert one == (106, 10)
    assert rest[: len(first)] == first
    assert [(height % 100, pieces) for height, pieces in rest[len(first) :]] == [(10, 10), (16, 10)]
    assert len(told.of(port.ReplyAudioEnded)) == 1


@pytest.mark.parametrize("pieces", [3, 0])
def test_a_voice_without_a_stand_in_loses_no_more_than_the_sentence(
    virtual_clock: VirtualClock, pieces: int
) -> None:
    cascade = Cascade([HI], [Answers([[FOUR]])], [Marked(breaks={"And two.": pieces})])
    told = drive(virtual_clock, cascade, [ENDED, 5.0])
    assert [height for height, _ in heights(told)] == [106, *([108] if pieces else []), 110, 116]
    # What made no sound has not been said.
    assert ("And two." in told.text) == bool(pieces)
    # What was not said to its end has not been heard whole.
    assert [event.broke_off for event in told.of(port.ReplyTextDelta)] == [
        *([False, False, True] if pieces else [False]),
        False,
        False,
    ]
    (warning,) = told.of(port.BackendWarning)
    assert warning.message.startswith("a sentence could not be spoken to its end: ")


def test_a_voice_that_gives_nothing_twice_in_a_row_ends_the_reply(virtual_clock: VirtualClock) -> None:
    tts = Marked(breaks={"And two.": 0, "And three.": 0})
    told = drive(virtual_clock, Cascade([HI], [Answers([[FOUR]])], [tts]), [ENDED, 5.0])
    assert heights(told) == [(106, 10)]
    assert told.of(port.BackendWarning)[-1].message == (
        "a reply could not be given: the voice gave no sound for 'And three.': try again"
    )


def test_a_reply_without_a_sound_is_none(virtual_clock: VirtualClock) -> None:
    tts = Marked(breaks={"A one.": 0})
    told = drive(virtual_clock, Cascade([HI], [Answers([["A one."]])], [tts]), [ENDED, 5.0])
    assert [event.message for event in told.of(port.BackendWarning)] == [
        "a reply could not be given: the voice gave no sound for 'A one.': try again"
    ]


STUCK = 60.0


@pytest.mark.parametrize(
    ("stt", "llm", "tts", "closed"),
    [
        ([["Hi.", STUCK]], [["Never."]], 0.0, (["closed"], [], [])),
        ([["Hi."]], [[STUCK, "Never."]], 0.0, (["finished"], ["closed"], [])),
        ([["Hi."]], [["First. ", STUCK]], STUCK, (["finished"], ["closed"], ["closed"])),
        ([["Hi."]], [["First. Second. ", STUCK]], STUCK, (["finished"], ["closed"], ["closed", "closed"])),
    ],
    ids=["understanding", "thinking", "speaking", "speaking-and-making-the-next"],
)
@pytest.mark.parametrize("before", [True, False], ids=["before-the-turn-is-over", "after"])
def test_all_that_streams_is_closed_at_once(
    virtual_clock: VirtualClock,
    stt: list[list[str | float | BackendError]],
    llm: list[list[str | float]],
    tts: float,
    closed: tuple[list[str], list[str], list[str]],
    before: bool,
) -> None:
    parts = Understands(stt), Answers(llm), Speaks(first=tts)  # type: ignore[arg-type]
    cascade = Cascade([parts[0]], [parts[1]], [parts[2]], deadline=99.0, preemptive=True)
    seen: list[tuple[list[str], ...]] = []

    def look() -> None:
        seen.append(tuple([*part.closed] for part in parts))

    begins = port.TurnPausedInput("alice", 1.0, SOUND) if before else ENDED
    ends = port.TurnResumedInput("alice") if before else port.InterruptInput(None)
    drive(virtual_clock, cascade, [begins, 1.0, look, ends, 0.001, look])
    if before and closed[2]:
        # Only the first sentence is made before it is certain that anybody wants it.
        closed = (closed[0], closed[1], closed[2][:1])
    earlier = tuple([end for end in part if end == "finished"] for part in closed)
    if not before and closed[0] == ["closed"]:
        # What the user said in a turn is remembered, though nobody waits for its answer.
        closed = earlier = ([], [], [])
    assert seen == [earlier, closed]


def test_a_part_that_waits_while_it_closes_holds_up_nothing(virtual_clock: VirtualClock) -> None:
    @dataclass(frozen=True, eq=False)
    class Reluctant(TextToSpeech):
        ends: list[float] = field(default_factory=list)
        sample_rate: int = 24000
        in_process: ClassVar[bool] = True

        async def speak(self, text: str) -> AsyncIterator[bytes]:
            if text != "Stuck.":
                yield bytes(4800)
                return
            try:
                await asyncio.sleep(60.0)
                yield b""
            finally:
                try:
                    await asyncio.sleep(3600.0)
                finally:
                    self.ends.append(asyncio.get_running_loop().time())

    tts = Reluctant()
    cascade = Cascade([HI], [Answers([["Stuck."], ["Fine."]])], [tts])
    told = drive(virtual_clock, cascade, [ENDED, 1.0, port.InterruptInput(None), ENDED, 2.0])
    assert told.text == ["Fine."]
    # The next answer did not wait for it, and it was ended all the same.
    assert told.times(port.ReplyStarted) == pytest.approx([0.0, 1.0])
    assert tts.ends == pytest.approx([1.5], abs=0.01)


@pytest.mark.parametrize("before", [True, False], ids=["before-the-turn-is-over", "after"])
def test_nothing_is_left_of_parts_that_all_wait_while_they_close(
    virtual_clock: VirtualClock, before: bool
) -> None:
    async def waits() -> AsyncIterator[None]:
        try:
            await asyncio.sleep(60.0)
            yield
        finally:
            await asyncio.sleep(3600.0)

    class Thinks(Answers):
        async def reply(self, messages, tools):  # type: ignore[no-untyped-def]
            yield "First. Second. "
            async for _ in waits():
                yield ""

    class Says(Speaks):
        async def speak(self, text: str) -> AsyncIterator[bytes]:
            async for _ in waits():
                yield b""

    cascade = Cascade([HI], [Thinks([[]])], [Says()], preemptive=True)
    begins = port.TurnPausedInput("alice", 1.0, SOUND) if before else ENDED
    ends = port.TurnResumedInput("alice") if before else port.InterruptInput(None)
    # It looks for tasks that are left behind when the session is closed, which does not take long.
    drive(virtual_clock, cascade, [begins, 1.0, ends])
    drive(virtual_clock, cascade, [begins, 1.0, ends, 1.4])
    drive(virtual_clock, cascade, [begins, 1.0])


def test_a_part_that_waits_while_its_deadline_closes_it_has_a_stand_in_soon(
    virtual_clock: VirtualClock,
) -> None:
    @dataclass(frozen=True, eq=False)
    class Stuck(Answers):
        async def reply(self, messages, tools):  # type: ignore[no-untyped-def]
            try:
                await asyncio.sleep(60.0)
                yield ""
            finally:
                await asyncio.sleep(3600.0)

    cascade = Cascade([HI], [Stuck([[]]), Answers([["Here."]])], [Speaks()], fallback_after=2.0)
    told = drive(virtual_clock, cascade, [ENDED, 5.0])
    assert told.times(port.ReplyStarted) == pytest.approx([2.5])


def test_a_part_that_swallows_its_cancellation_is_not_listened_to(virtual_clock: VirtualClock) -> None:
    @dataclass(frozen=True, eq=False)
    class Deaf(Answers):
        async def reply(self, messages, tools):  # type: ignore[no-untyped-def]
            try:
                await asyncio.sleep(60.0)
            except asyncio.CancelledError:
                yield "I go on. "
                yield "And on. "

    cascade = Cascade([HI], [Deaf([[]])], [Speaks()])
    told = drive(virtual_clock, cascade, [ENDED, 1.0, port.InterruptInput(None), 5.0])
    assert told.text == []

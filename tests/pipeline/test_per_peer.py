"""`hearing: per_peer`: a backend session for everybody, and one voice that takes turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from fishjam_agents.backends import Backend, BackendContext, Capabilities, Parrot, port
from fishjam_agents.backends.port import BackendInput, BackendSession, InterruptInput, TurnEndedInput
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
ENDS = ("reply_ended", "reply_interrupted")


class Bot(AgentPipeline):
    backend: Backend = Parrot()
    hearing = HearingSettings(mode="per_peer")


def order(call: MemoryCall, *kinds: str) -> list[tuple[str, str]]:
    """What happened to whose reply, in order."""
    whose = {event.reply: event.peer for event in call.of("reply_started")}
    return [(event.kind, whose[event.reply]) for event in call.observed if event.kind in kinds]


def test_two_who_speak_at_once_are_both_heard_and_answered_one_after_the_other(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        bob.say(speech("bob_question.wav"))
        await alice.speak(speech("alice_long.wav"))
        await call.wait_for("reply_ended", 2)

    call = converse(Bot(), script)
    assert sorted(turn.peer for turn in call.of("user_turn_ended")) == ["alice", "bob"]
    assert len({turn.turn for turn in call.of("user_turn_ended")}) == 2
    assert order(call, "reply_first_audio", "reply_ended") == [
        *(("reply_first_audio", "bob"), ("reply_ended", "bob")),
        *(("reply_first_audio", "alice"), ("reply_ended", "alice")),
    ]
    _, alice_sounds = call.of("reply_first_audio")
    bob_over, _ = call.of("reply_ended")
    assert 0.25 <= alice_sounds.at - bob_over.at < 0.5, "a breath in between"
    assert all(event.heard.seconds > 1 for event in call.of("reply_ended"))


@pytest.mark.parametrize(("whose", "ends"), [("addressee", False), ("anybody", True)])
def test_who_may_end_a_reply_to_somebody_else_is_a_setting(
    converse: Converse, whose: Any, ends: bool
) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        await alice.speak(speech("alice_long.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.0)
        await bob.speak(speech("bob_question.wav"))
        await call.wait_for("reply_ended", 1 if ends else 2)

    bot = Bot()
    bot.hearing = HearingSettings(mode="per_peer", interrupts=whose)
    call = converse(bot, script)
    assert [turn.peer for turn in call.of("user_turn_ended")] == ["alice", "bob"]
    interrupted = order(call, "reply_interrupted")
    assert interrupted == ([("reply_interrupted", "alice")] if ends else [])
    assert bool(call.of("barge_in_confirmed")) is ends
    assert order(call, "reply_ended")[-1] == ("reply_ended", "bob")


def test_the_one_who_is_answered_interrupts_and_the_others_keep_their_answers(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        alice.say(speech("alice_long.wav"))
        await bob.speak(speech("bob_long.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.0)
        whose = call.of("reply_started")[0].peer
        await {"alice": alice, "bob": bob}[whose].speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended", 2)

    call = converse(Bot(), script)
    first, second = (event.peer for event in call.of("reply_started")[:2])
    assert order(call, "reply_interrupted", "reply_ended") == [
        ("reply_interrupted", first),
        ("reply_ended", second),
        ("reply_ended", first),
    ]
    assert {event.peer for event in call.of("barge_in_confirmed")} == {first}


def test_who_goes_on_before_the_answer_had_its_turn_gets_one_to_all_of_it(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        await alice.speak(speech("alice_long.wav"))
        await call.wait_for("reply_first_audio")
        await bob.speak(speech("bob_question.wav"))
        await call.wait_for("reply_started", 2)
        assert len(call.of("reply_ended")) == 0
        await bob.speak(speech("bob_long.wav"))
        await call.wait_for("reply_ended", 2)

    call = converse(Bot(), script)
    assert order(call, "reply_interrupted", "reply_ended") == [
        ("reply_interrupted", "bob"),
        ("reply_ended", "alice"),
        ("reply_ended", "bob"),
    ]
    assert call.of("reply_interrupted")[0].heard.seconds == 0


def test_a_reply_waits_for_the_end_of_what_others_say_but_not_forever(converse: Converse) -> None:
    chatter = np.concatenate([speech("bob_long.wav"), speech("bob_numbers.wav")] * 3)

    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        bob.say(chatter)
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        bob.stop_speaking()
        await call.wait_for("reply_ended", 2)

    call = converse(Bot(), script)
    (begun, *_), (sounded, *_) = call.of("reply_started"), call.of("reply_first_audio")
    assert (begun.peer, begun.reply) == ("alice", sounded.reply)
    assert 1.0 < sounded.at - begun.at < 5.2


def test_a_reply_to_somebody_who_leaves_is_over_and_the_next_is_heard(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        bob.say(speech("bob_question.wav"))
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_started", 2)
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(0.5)
        call.room.leave(call.of("reply_started")[0].peer)
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    gone, there = (event.peer for event in call.of("reply_started"))
    assert order(call, "reply_interrupted", "reply_ended") == [
        ("reply_interrupted", gone),
        ("reply_ended", there),
    ]


@dataclass(frozen=True, eq=False)
class Ledger(Backend):
    """A model that answers with a tone, and notes who is connected and what it was told."""

    capabilities = Capabilities(truncate=True, cancel=True, replies_wait=True, text=True, verbatim_say=True)
    in_process = True

    open: list[int] = field(default_factory=list)
    ever: list[list[BackendInput]] = field(default_factory=list)
    emits: list[Callable[[port.BackendEvent], None]] = field(default_factory=list)
    fails: Callable[[int], bool] = lambda number: False
    closing: float = 0.0

    @asynccontextmanager
    async def connect(self, conversation: BackendContext) -> AsyncIterator[BackendSession]:
        number = len(self.ever)
        self.ever.append([])
        self.emits.append(conversation.emit)
        if self.fails(number):
            raise BackendError("the key is refused: check it", retryable=False)
        self.open.append(number)
        try:
            yield _LedgerSession(conversation, self.ever[number])
        finally:
            await asyncio.sleep(self.closing)
            self.open.remove(number)


class _LedgerSession(BackendSession):
    def __init__(self, conversation: BackendContext, entries: list[BackendInput]) -> None:
        self.emit = conversation.emit
        self.entries = entries
        self.turns = 0

    async def send(self, entry: BackendInput) -> None:
        if isinstance(entry, port.AudioInput):
            return
        self.entries.append(entry)
        said = entry.reply if isinstance(entry, port.TextInput) and entry.verbatim else None
        if said is None and not isinstance(entry, TurnEndedInput):
            return
        self.turns += 1
        reply = said or f"r{self.turns}"
        self.emit(port.ReplyStarted(reply))
        self.emit(port.ReplyAudio(reply, np.full(3 * 24000, 3000, np.int16)))
        self.emit(port.ReplyAudioEnded(reply))

    async def read(self) -> None:
        await asyncio.Event().wait()


def ledger_bot(backend: Ledger, sessions: int = 4) -> Bot:
    bot = Bot()
    bot.backend = backend
    bot.hearing = HearingSettings(mode="per_peer", max_sessions=sessions)
    return bot


def test_sessions_come_and_go_with_peers_and_each_knows_its_own_replies(converse: Converse) -> None:
    backend = Ledger()

    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        assert backend.open == [0, 1]
        for peer in (alice, bob):
            await peer.speak(speech("alice_question.wav"))
            await call.wait_for("reply_first_audio", len(call.of("reply_first_audio")) + 1)
            await asyncio.sleep(1)
            await peer.speak(speech("bob_question.wav"))
            await call.wait_for("reply_ended", len(call.of("reply_ended")) + 1)
        call.room.leave("alice")
        await asyncio.sleep(0.1)
        assert backend.open == [1]
        call.room.join("alice")
        await asyncio.sleep(0.5)
        assert backend.open == [1, 2]
        await asyncio.sleep(1)

    call = converse(ledger_bot(backend), script)
    assert backend.open == []
    for entries in backend.ever[:2]:
        (interrupt,) = [entry for entry in entries if isinstance(entry, InterruptInput)]
        assert interrupt.heard is not None
        assert interrupt.heard.reply == "r1", "the session's own id"
        assert 0.5 < interrupt.heard.seconds < 1.5
    assert len({event.reply for event in call.of("reply_started")}) == 4, "and the call tells them apart"


@pytest.mark.parametrize(("reply", "ends"), [("r1", False), ("r2", True), (None, True)])
def test_a_late_verdict_on_a_reply_that_is_over_does_not_end_the_next(
    converse: Converse, reply: str | None, ends: bool
) -> None:
    backend = Ledger()

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for turn in (1, 2):
            await alice.speak(speech("alice_question.wav"))
            await call.wait_for("reply_first_audio", turn)
            if turn == 1:
                await call.wait_for("reply_ended")
        await asyncio.sleep(0.5)
        backend.emits[0](port.Interrupted(reply))
        await call.wait_for("reply_interrupted" if ends else "reply_ended", 1 if ends else 2)

    call = converse(ledger_bot(backend), script)
    assert len(call.of("reply_interrupted")) == ends


def test_sessions_are_bounded_and_who_waits_gets_the_next(converse: Converse) -> None:
    backend = Ledger()

    async def script(call: MemoryCall) -> None:
        _, bob, _ = await call.arrive("alice", "bob", "carol")
        assert len(backend.open) == 1
        await bob.speak(speech("bob_question.wav"))
        await asyncio.sleep(2)
        assert not call.of("reply_started")
        call.room.leave("alice")
        await asyncio.sleep(0.5)
        await bob.speak(speech("bob_question.wav"))
        await call.wait_for("reply_ended")
        call.room.leave("bob")
        await asyncio.sleep(0.5)

    call = converse(ledger_bot(backend, 1), script)
    assert len(backend.ever) == 3
    assert [event.message.split()[0] for event in call.of("backend_warning")] == ["bob", "carol"]
    assert "hearing.max_sessions" in call.of("backend_warning")[0].message


def test_a_session_lost_for_good_ends_alone_and_a_new_turn_tries_again(converse: Converse) -> None:
    backend = Ledger(fails=lambda number: number == 1)

    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")
        await bob.speak(speech("bob_question.wav"))
        await call.wait_for("reply_ended", 2)

    call = converse(ledger_bot(backend), script)
    (failure,) = call.of("backend_failure")
    assert not failure.retryable
    assert [event.peer for event in call.of("reply_started")] == ["alice", "bob"]


def test_the_last_session_takes_the_call_with_it(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await asyncio.sleep(60)

    with pytest.raises(BackendError, match="the key is refused"):
        converse(ledger_bot(Ledger(fails=lambda number: True)), script)


def test_a_session_that_does_not_close_is_left_after_its_deadline(
    converse: Converse, caplog: pytest.LogCaptureFixture
) -> None:
    backend = Ledger(closing=1e4)

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")

    converse(ledger_bot(backend), script)
    assert backend.open == [0]
    assert "did not close within 5 s" in caplog.text


def test_words_are_said_by_one_session_and_text_is_told_to_all(converse: Converse) -> None:
    backend = Ledger()

    async def script(call: MemoryCall) -> None:
        with pytest.raises(BackendError, match="no session"):
            call.bot.say("hello")
        alice, _ = await call.arrive("alice", "bob")
        call.bot.send_text("the game begins")
        speech_handle = call.bot.say("welcome, all of you")
        await asyncio.sleep(1)
        await alice.speak(speech("alice_question.wav"))
        assert (await speech_handle).interrupted, "what is said to all may be interrupted by anybody"
        await call.wait_for("reply_ended")

    converse(ledger_bot(backend), script)
    told = [[e.text for e in entries if isinstance(e, port.TextInput)] for entries in backend.ever]
    assert sorted(map(len, told)) == [1, 2]
    assert all(texts[0] == "the game begins" for texts in told)


@pytest.mark.parametrize("setting", ["addressee", "anybody"])
@pytest.mark.parametrize("speaker", ["alice", "bob"])
@pytest.mark.parametrize("said_to", ["alice", "everybody", "protected"])
def test_the_table_of_docs_rooms_of_who_interrupts_whom(
    converse: Converse, said_to: str, speaker: str, setting: Any
) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice", "bob")
        if said_to == "alice":
            await call.room.members["alice"].speak(speech("alice_yes.wav"))
        else:
            call.bot.say("one two three", interruptible=said_to == "everybody")
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(0.5)
        await call.room.members[speaker].speak(speech("bob_question.wav"))
        await call.wait_for("reply_ended")

    bot = ledger_bot(Ledger())
    bot.hearing = HearingSettings(mode="per_peer", interrupts=setting)
    call = converse(bot, script)
    goes_on = said_to == "protected" or (said_to, speaker, setting) == ("alice", "bob", "addressee")
    first = call.of("reply_started")[0].reply
    (end,) = [event.kind for event in call.observed if event.kind in ENDS and event.reply == first]
    assert end == ENDS[not goes_on]


@pytest.mark.parametrize(
    ("hearing", "turns", "offers", "message"),
    [
        (HearingSettings(mode="per_peer"), TurnSettings(), Capabilities(), "out of date"),
        (
            HearingSettings(mode="per_peer"),
            TurnSettings(mode="backend"),
            Capabilities(own_turn_detection=True, replies_wait=True),
            "use 'local'",
        ),
        (HearingSettings(speaker_notes=True), TurnSettings(), Capabilities(), "takes no text"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(
    hearing: HearingSettings, turns: TurnSettings, offers: Capabilities, message: str
) -> None:
    bot = AgentPipeline()
    bot.backend, bot.hearing, bot.turns = Scripted(offers=offers), hearing, turns
    with pytest.raises(FishjamAgentsError, match=message):
        bot.verify()

"""One backend stands in for another: what callers hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from fishjam_agents.backends import Backend, Fallback, Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step, VirtualClock
from tests.backends.fallback_kit import (
    LOST,
    REFUSED,
    WORDS,
    Linked,
    bot_with,
    failed_call,
    failures,
    link,
    reply,
    sounded,
)


def test_a_key_that_is_refused_at_first_hands_over_before_anybody_spoke() -> None:
    first = Scripted([Step(None, [REFUSED])])
    with MemoryCall(bot_with(first, Parrot()), trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_ended")
        assert failures(call) == ["Parrot stands in for Scripted: the key was refused: make a new one"]
        (failure,) = [event for event in call.events if event["kind"] == "backend_failure"]
        assert (failure["failure"], failure["retryable"]) == ("auth", True)
        call.expect("outage", count=1, most={"seconds": 0.2})
        call.expect("reply_started", count=1)


def test_what_is_said_while_the_backend_fails_is_answered_once_by_the_stand_in() -> None:
    # The first takes frames of the turn, and dies in the middle of it.
    first = Scripted([Step(p.TurnStartedInput, [1.0, REFUSED])])
    with MemoryCall(bot_with(first, Parrot()), trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_ended")
        call.wait(5)
        call.expect("reply_ended", count=1)
        call.expect("user_turn_ended", count=1)
        assert sounded(first.entries) > 0.5
        turn = call.expect("user_turn_ended")
        heard = call.expect("reply_generated")
        assert turn is not None
        assert heard is not None
        # All of the turn, with what comes before it: also what the first had been sent.
        assert heard["seconds"] > turn["media_at"] - turn["start"]


def test_a_turn_that_had_no_answer_is_answered_by_the_stand_in() -> None:
    first = Scripted([Step(p.TurnStartedInput), Step(p.TurnEndedInput, [2.0, REFUSED])])
    with MemoryCall(bot_with(first, Parrot()), trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_ended")
        call.wait(5)
        call.expect("reply_ended", count=1)
        call.expect_order("user_turn_ended", "backend_failure", "reply_started")


def test_a_turn_that_was_answered_is_not_answered_again() -> None:
    first = Scripted(
        [Step(p.TurnStartedInput), Step(p.TurnEndedInput, [*reply("r1", 2.0)[:-1], 0.5, REFUSED])]
    )
    with MemoryCall(bot_with(first, Parrot()), trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_ended")
        call.wait(5)
        # The reply under way ends with what there was of it.
        call.expect("reply_ended", count=1, least={"heard.seconds": 1.9})


def test_one_loss_is_no_reason_to_leave_a_backend() -> None:
    first = Scripted([Step(None, [5.0, LOST]), Step(p.TurnStartedInput), Step(p.TurnEndedInput, reply("r1"))])
    second = Scripted()
    with MemoryCall(bot_with(first, second), trouble=True) as call:
        ann = call.join("ann")
        call.wait(6)
        ann.say(WORDS)
        call.until("reply_ended")
        assert failures(call) == [str(LOST)]
        first.finish()
    assert [context.attempt for context in first.connections] == [0, 1]
    assert first.connections[0].memory is first.connections[1].memory
    assert not second.connections


def test_losses_in_a_row_are_one_and_each_backend_counts_its_own() -> None:
    first, second = Scripted(refuse=2), Scripted()
    with MemoryCall(bot_with(first, second), trouble=True) as call:
        call.wait(5)
        refused = "the script refuses the connection"
        handed_over = f"Scripted (2 of 2) stands in for Scripted (1 of 2): {refused}"
        assert failures(call) == [refused, handed_over]
    assert [context.attempt for context in second.connections] == [0]
    assert second.connections[0].memory is not first.connections[0].memory


def test_a_backend_with_a_bug_is_stood_in_for() -> None:
    class Buggy(Parrot):
        @asynccontextmanager
        async def connect(self, context: p.BackendContext) -> AsyncIterator[p.InlineSession]:
            yield _Buggy()

    class _Buggy(p.InlineSession):
        def handle(self, item: p.BackendInput) -> None:
            if isinstance(item, p.TurnEndedInput):
                raise ZeroDivisionError("oops")

    with MemoryCall(bot_with(Buggy(), Parrot()), trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_ended")
        (message,) = failures(call)
        assert message.startswith(
            "Parrot stands in for Buggy: it failed on its own (ZeroDivisionError('oops')): see the log"
        )


def test_a_deaf_service_is_given_up_within_its_deadline() -> None:
    class Silent(Parrot):
        @asynccontextmanager
        async def connect(self, context: p.BackendContext) -> AsyncIterator[p.InlineSession]:
            await asyncio.Event().wait()
            yield

    with MemoryCall(bot_with(Silent(), Parrot(), attempts=1, deadline=3), trouble=True) as call:
        failure = call.until("backend_failure")
        assert failure["at"] == pytest.approx(3, abs=0.1)
        assert "did not answer within 3 s" in failure["message"]
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_ended")


def test_when_every_backend_failed_there_is_an_apology_and_one_sentence() -> None:
    bot = bot_with(Scripted([Step(None, [3.0, REFUSED])]), Scripted([Step(None, [1.0, REFUSED])]))
    bot.apology = np.full(12000, 5000, np.int16)
    sentence = "every backend failed, at last the key was refused: make a new one"
    call, error = failed_call(bot, 10)
    assert (str(error), error.failure) == (sentence, "auth")
    assert failures(call)[1:] == [sentence]
    call.expect("backend_failure 2", where={"failure": "auth", "retryable": "false"})
    call.expect_order("backend_failure", "backend_failure", "reply_started", "reply_ended")
    call.expect("reply_ended", count=1, least={"heard.seconds": 0.5})


def test_backends_that_are_all_away_are_tried_in_turn_and_given_up_like_one() -> None:
    backends = [Scripted(refuse=99), Scripted(refuse=99)]
    _, error = failed_call(bot_with(*backends), 60)
    assert str(error).endswith("given up after 6 attempts")
    first, second = (len(backend.connections) for backend in backends)
    assert first + second <= 10
    assert second >= 3


def test_a_turn_that_a_backend_cannot_answer_is_tried_again_and_then_answered_by_the_stand_in() -> None:
    sorry = [p.Unanswered("a reply could not be given: the model is away")]
    first = Scripted([Step(p.TurnStartedInput), Step(p.TurnEndedInput, sorry)] * 2)
    with MemoryCall(bot_with(first, Parrot()), trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_ended")
        call.wait(5)
        first.finish()
        call.expect("reply_ended", count=1)
        assert failures(call) == [
            "a reply could not be given: the model is away",
            "Parrot stands in for Scripted: a reply could not be given: the model is away",
        ]


def test_without_a_stand_in_a_turn_that_cannot_be_answered_is_a_warning() -> None:
    bot = AgentPipeline()
    bot.backend = Scripted([Step(None, [1.0, p.Unanswered("a reply could not be given: wait")])])
    with MemoryCall(bot) as call:
        call.until("backend_warning")


def test_a_session_that_ends_without_a_word_is_a_failure_and_leaving_one_is_none() -> None:
    class Ends(Scripted):
        @asynccontextmanager
        async def connect(self, context: p.BackendContext) -> AsyncIterator[p.BackendSession]:
            yield _Ends()

    class _Ends(p.BackendSession):
        async def send(self, item: p.BackendInput) -> None:
            raise AssertionError(item)

        async def read(self) -> None:
            await asyncio.sleep(1)

    async def script(linked: Linked) -> None:
        await asyncio.sleep(10)

    linked = link(Fallback([Ends(), Parrot()]), script)
    messages = [event.message for event in linked.events if isinstance(event, p.BackendFailure)]
    ended = "Ends ended the session: it is tried again"
    assert messages == [ended, "Parrot stands in for Ends: ended the session: it is tried again"]

    async def leave() -> None:
        async with Fallback([Parrot()]).connect(p.BackendContext("call", print)):
            pass

    VirtualClock().run(leave())


@dataclass(frozen=True)
class Stuck(Backend):
    """Takes nothing, or does not let go."""

    in_process = True
    takes: bool = True
    closes: bool = True

    @asynccontextmanager
    async def connect(self, context: p.BackendContext) -> AsyncIterator[p.BackendSession]:
        try:
            yield _StuckSession(self.takes)
        finally:
            if not self.closes:
                await asyncio.sleep(1000)


class _StuckSession(p.BackendSession):
    def __init__(self, takes: bool) -> None:
        self._takes = takes

    async def send(self, item: p.BackendInput) -> None:
        if not self._takes:
            await asyncio.Event().wait()
        raise REFUSED

    async def read(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("first", "reason", "within"),
    [
        (Stuck(takes=False), "the backend took nothing for 10 s", 10.5),
        (Stuck(closes=False), "the key was refused: make a new one", 4.5),
    ],
)
def test_a_backend_that_takes_nothing_or_does_not_let_go_is_stood_in_for(
    first: Stuck, reason: str, within: float
) -> None:
    async def script(linked: Linked) -> None:
        linked.turn(np.full(16000, 3000, np.int16), whole=False)
        await asyncio.sleep(within)
        (failure,) = [event for event in linked.events if isinstance(event, p.BackendFailure)]
        assert failure.message == f"Parrot stands in for Stuck: {reason}"
        await asyncio.sleep(1)
        assert len([event for event in linked.events if isinstance(event, p.ReplyAudioEnded)]) == 1

    link(Fallback([first, Parrot()], attempts=1), script)

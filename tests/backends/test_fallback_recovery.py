"""The way back to the backend that is preferred."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from fishjam_agents.backends import Backend, Capabilities, Fallback, Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.backends.fallback.failover import FailoverPolicy
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.backends.fallback_kit import (
    LOST,
    REFUSED,
    WORDS,
    Linked,
    bot_with,
    failures,
    link,
    reply,
    warnings,
)


@dataclass(frozen=True, eq=False)
class Flaky(Backend):
    """Away between two moments of the loop's clock; answers turns and text with half a second of sound."""

    in_process = True
    capabilities = Capabilities(text=True, replies_wait=True)

    away: tuple[float, float] = (2.0, 20.0)
    error: BackendError = LOST
    connected: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self, context: p.BackendContext) -> AsyncIterator[p.BackendSession]:
        now = asyncio.get_running_loop().time()
        self.connected.append(now)
        self._fail_if_away(now)
        self.told.append(context.instructions or "")
        context.memory["used"] = True
        yield _FlakySession(self, context)

    def _fail_if_away(self, now: float) -> None:
        if self.away[0] <= now < self.away[1]:
            raise self.error


class FlakyOwner(Flaky):
    capabilities = Capabilities(own_turn_detection=True)


class _FlakySession(p.BackendSession):
    def __init__(self, backend: Flaky, context: p.BackendContext) -> None:
        self._backend = backend
        self._emit = context.emit
        self._count = 0

    async def send(self, item: p.BackendInput) -> None:
        if isinstance(item, (p.TurnEndedInput, p.TextInput)):
            self._count += 1
            for event in reply(f"flaky-{self._count}"):
                self._emit(event)

    async def read(self) -> None:
        loop = asyncio.get_running_loop()
        begins = self._backend.away[0]
        await asyncio.sleep(begins - loop.time() if loop.time() < begins else 1e6)
        raise self._backend.error


def test_the_preferred_backend_is_taken_up_again_in_a_quiet_moment_without_a_gap() -> None:
    first = Flaky()
    with MemoryCall(bot_with(first, Parrot(), recovery=10), trouble=True) as call:
        ann = call.join("ann")
        call.wait(3)
        ann.say(WORDS)
        call.until("reply_ended")
        call.wait(37)
        ann.say(WORDS)
        call.until("reply_ended 2")
        # The first attempts, then one after 10 s, and after 20 more; the last is the way back.
        assert [round(at) for at in first.connected] == [0, 2, 12, 32, 32]
        assert len(failures(call)) == 2
        assert warnings(call) == ["Flaky serves again: Parrot stood in for it"]
        call.expect("outage", count=1, most={"seconds": 0.5})
        speakers = [
            event["reply"].partition("-")[0] for event in call.events if event["kind"] == "reply_ended"
        ]
        assert speakers == ["parrot", "flaky"]
    assert len(first.told) == 3


def test_nobody_is_left_in_the_middle_of_a_turn_or_of_a_reply() -> None:
    first, second = Flaky(away=(2.0, 3.0)), Parrot(delay=3.0, at_least=6.0)
    with MemoryCall(bot_with(first, second, recovery=5), trouble=True) as call:
        ann = call.join("ann")
        call.wait(6.5)
        ann.say(WORDS)
        call.until("reply_ended")
        ended = call.now
        call.wait(5)
        # It was found to work again while somebody spoke or was owed an answer.
        assert first.connected[-2] < ended - 6
        assert first.connected[-1] == pytest.approx(ended, abs=0.7)
        call.expect("reply_ended", count=1, least={"heard.seconds": 6})


def test_the_one_that_comes_back_is_told_what_was_said_meanwhile() -> None:
    first = Flaky(away=(2.0, 3.0))
    second = Scripted([Step(p.TextInput, reply("r1", text="it is noon"))], Capabilities(text=True))

    async def script(linked: Linked) -> None:
        await asyncio.sleep(3)
        linked.put(p.TextInput("what time is it"))
        await asyncio.sleep(10)

    link(Fallback([first, second], recovery=5), script)
    assert first.told[0] == "Be brief."
    assert "user: what time is it\nyou: it is noon\n" in first.told[-1]


@pytest.mark.parametrize(("error", "recovery"), [(REFUSED, 5.0), (LOST, None)])
def test_a_rejected_key_is_not_tried_again_and_neither_is_anything_without_recovery(
    error: BackendError, recovery: float | None
) -> None:
    first = Flaky(away=(2.0, 3.0), error=error)

    async def script(linked: Linked) -> None:
        await asyncio.sleep(3000)

    link(Fallback([first, Parrot()], attempts=1, recovery=recovery), script)
    assert first.connected == [pytest.approx(0.0)]


def test_one_that_fails_again_each_time_is_tried_less_and_less_often() -> None:
    first = Flaky(away=(2.0, 1e6))

    async def script(linked: Linked) -> None:
        await asyncio.sleep(3000)

    linked = link(Fallback([first, Parrot()], attempts=1), script)
    assert len([event for event in linked.events if isinstance(event, p.BackendFailure)]) == 1
    pauses = np.diff(first.connected[1:])
    assert [round(pause) for pause in pauses[:6]] == [60, 120, 240, 480, 600, 600]


def test_an_exhausted_quota_is_left_at_once_and_tried_again_later() -> None:
    quota = BackendError("the quota is exhausted: wait", retryable=True, failure="quota")
    first = Flaky(away=(2.0, 20.0), error=quota)
    with MemoryCall(bot_with(first, Parrot()), trouble=True) as call:
        call.wait(60)
        assert len(failures(call)) == 1
    assert [round(at) for at in first.connected] == [0, 32, 32]


def test_where_the_model_rules_turns_nobody_is_left_while_somebody_speaks() -> None:
    owns = Capabilities(own_turn_detection=True)
    first = FlakyOwner(away=(2.0, 3.0))

    async def script(linked: Linked) -> None:
        for number in range(1000):
            frame = np.full(320, 200, np.int16)
            linked.put(p.AudioInput("ann", frame, 0.02, speech=number < 700))
            await asyncio.sleep(0.02)

    link(Fallback([first, Scripted([], owns)], recovery=5), script, "backend")
    assert first.connected[-1] == pytest.approx(14.7, abs=0.3)


def test_a_backend_that_lasted_has_its_failures_forgotten() -> None:
    policy = FailoverPolicy(["a", "b"], 2, 30.0)
    for lasted in (0.0, 31.0, 40.0):
        following, raised = policy.failed(0, LOST, lasted, 100.0)
        assert (following, raised) == (0, LOST)
    following, raised = policy.failed(0, LOST, 1.0, 100.0)
    assert following == 1
    assert isinstance(raised, p.Failover)


def test_handing_over_is_progress_once_for_each_backend() -> None:
    policy = FailoverPolicy(["a", "b", "c"], 1, 30.0)
    raised = [policy.failed(index, LOST, 0.0, float(index)) for index in (0, 1, 2, 0, 1, 2)]
    assert [following for following, _ in raised] == [1, 2, 0, 1, 2, 0]
    assert [isinstance(error, p.Failover) for _, error in raised] == [True, True, *[False] * 4]

"""A handoff whose model cannot be reached: the bot before goes on with the call, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.link import TAKEOVER_ATTEMPTS
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.tools.handoff import Handoff
from fishjam_agents.tools.tool import tool
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
CAN = port.Capabilities(tools=True, text=True, respond=True, conversation=True)


@dataclass(frozen=True, eq=False)
class Unreachable(Scripted):
    """A model that cannot be opened."""

    error: Exception | None = None
    takes: float = 0.0

    @asynccontextmanager
    async def connect(self, context: port.BackendContext) -> AsyncIterator[port.BackendSession]:
        self.connections.append(context)
        await asyncio.sleep(self.takes)
        raise self.error or BackendError("the key is refused: check it", failure="auth")
        yield


class Billing(AgentPipeline):
    instructions = "You are billing."

    def __init__(self, backend: port.Backend) -> None:
        super().__init__()
        self.backend = backend
        self.told: list[str] = []

    async def on_handoff(self, summary: str) -> None:
        self.told.append(summary)


class Reception(AgentPipeline):
    instructions = "You are the reception."

    def __init__(self, backend: port.Backend, other: port.Backend) -> None:
        super().__init__()
        self.backend = backend
        self.handoffs = {"billing": lambda: Billing(other)}
        self.told: list[str] = []

    @tool
    async def to_billing(self) -> Handoff:
        """Hand the call over to billing."""
        return Handoff("billing", "a refund")

    async def on_handoff(self, summary: str) -> None:
        self.told.append(summary)


async def _visited(call: MemoryCall) -> None:
    await call.arrive("alice")
    await call.wait_for("bot_changed", 2)
    await asyncio.sleep(1.0)


AWAY = BackendError("it is away", retryable=True)


@pytest.mark.parametrize(
    ("other", "attempts", "reason"),
    [
        (Unreachable(), 1, "the key is refused: check it"),
        (Unreachable(error=AWAY), TAKEOVER_ATTEMPTS, "it is away"),
        (Unreachable(error=AWAY, takes=12.0), 1, "it is away"),
        (Unreachable(takes=100.0), 1, "the backend did not answer within 15 s"),
        (Unreachable(error=ValueError("a bug")), 1, "the backend Unreachable failed (ValueError('a bug')"),
    ],
    ids=["refused", "away", "slow", "hangs", "bug"],
)
def test_the_bot_before_goes_on_and_tells_the_caller(
    converse: Converse, other: Unreachable, attempts: int, reason: str
) -> None:
    asked = port.ToolCall("c1", "to_billing", {})
    first = Scripted([Step(None, [asked]), Step(port.TextInput)], CAN)
    pipeline = Reception(first, other)
    call = converse(pipeline, _visited)
    first.finish()
    assert len(other.connections) == attempts
    (told,) = [entry for entry in first.entries if isinstance(entry, port.TextInput)]
    assert told.text.startswith("billing cannot take the call over at the moment, and you have it again.")
    assert told.instructs
    changed = [(event.bot, event.before) for event in call.of("bot_changed")]
    assert changed == [("billing", "Reception"), ("Reception", "billing")]
    (error,) = [event for event in call.of("error") if event.where == "handoff"]
    assert error.message.startswith(f"billing cannot take the call over ({reason}")
    assert error.message.endswith(": Reception goes on with it")
    assert pipeline.told == ["billing cannot take the call over at the moment, and you have it again."]
    before, after = first.connections
    assert before.instructions == after.instructions == "You are the reception."
    assert [declared.name for declared in after.tools] == ["to_billing"]
    assert not call.of("backend_failure") or reason == "it is away"
    (ended,) = call.of("call_ended")
    assert ended.reason == "stopped"


def test_what_the_caller_says_meanwhile_is_heard_by_the_bot_that_goes_on(converse: Converse) -> None:
    first = Scripted(
        [Step(port.TurnStartedInput), Step(port.TurnStartedInput), Step(port.TurnEndedInput)], CAN
    )
    other = Unreachable(error=AWAY, takes=12.0)
    pipeline = Reception(first, other)
    question = speech("alice_question.wav")

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        speaking = asyncio.create_task(alice.speak(question))
        await call.wait_for("user_started_speaking")
        await asyncio.sleep(1.0)
        billing = Billing(other)
        pipeline.become(billing)
        # Meant for a model that never has the call.
        billing.update(instructions="You are nobody.")
        await speaking
        await call.wait_for("bot_changed", 2)
        await asyncio.sleep(1.0)

    call = converse(pipeline, script)
    first.finish()
    begins = [n for n, entry in enumerate(first.entries) if isinstance(entry, port.TurnStartedInput)]
    heard = [entry for entry in first.entries[begins[1] :] if isinstance(entry, port.AudioInput)]
    assert sum(entry.seconds for entry in heard) == pytest.approx(_turn_seconds(call), abs=0.9)
    assert first.connections[-1].instructions == "You are the reception."


def _turn_seconds(call: MemoryCall) -> float:
    (turn,) = call.of("user_turn_ended")
    return float(turn.media_at - turn.start)


def test_a_model_of_another_kind_hears_the_turn_from_its_beginning(converse: Converse) -> None:
    first, second = Scripted([Step(port.TurnStartedInput)], CAN), Scripted(offers=CAN)
    pipeline = Reception(first, second)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        speaking = asyncio.create_task(alice.speak(speech("alice_question.wav")))
        await call.wait_for("user_started_speaking")
        await asyncio.sleep(1.0)
        pipeline.become("billing")
        await speaking
        await call.wait_for("user_turn_ended")
        await asyncio.sleep(0.5)

    converse(pipeline, script)
    sound = [entry for entry in second.entries if isinstance(entry, port.AudioInput)]
    before = [entry for entry in first.entries if isinstance(entry, port.AudioInput)]
    assert isinstance(second.entries[0], port.TurnStartedInput)
    # What the first one heard comes at once, then what is said from there on.
    heard = np.concatenate([entry.samples for entry in before])
    assert len(before) > 1
    assert np.array_equal(sound[0].samples, heard)
    assert sum(isinstance(entry, port.TurnStartedInput) for entry in second.entries) == 1
    assert sum(entry.seconds for entry in sound) > sound[0].seconds + 0.5


def test_a_call_that_changes_hands_twice_before_a_model_is_there_goes_back_to_the_one_that_spoke(
    converse: Converse,
) -> None:
    first = Scripted(offers=CAN)
    slow, refused = Unreachable(error=AWAY, takes=5.0), Unreachable()
    pipeline = Reception(first, slow)

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        pipeline.become("billing")
        await asyncio.sleep(1.0)
        pipeline.become(Billing(refused))
        await call.wait_for("bot_changed", 3)
        await asyncio.sleep(1.0)
        assert len(first.sessions) == 1

    call = converse(pipeline, script)
    assert [event.bot for event in call.of("bot_changed")] == ["billing", "Billing", "Reception"]
    assert (len(slow.connections), len(refused.connections), len(first.connections)) == (1, 1, 2)


def test_the_bot_that_goes_on_again_may_try_once_more(converse: Converse) -> None:
    first = Scripted(offers=CAN)
    other = Scripted(offers=CAN, refuse=TAKEOVER_ATTEMPTS)
    pipeline = Reception(first, other)

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        pipeline.become("billing")
        await call.wait_for("bot_changed", 2)
        await asyncio.sleep(1.0)
        pipeline.become("billing")
        await asyncio.sleep(1.0)
        assert len(other.sessions) == 1
        assert not first.sessions

    call = converse(pipeline, script)
    assert [event.bot for event in call.of("bot_changed")] == ["billing", "Reception", "billing"]

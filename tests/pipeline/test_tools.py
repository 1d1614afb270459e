"""What a bot's model can do, from the class or the file to the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from fishjam_agents import AgentPipeline, ToolContext, tool
from fishjam_agents.backends import Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.errors import ConfigError, FishjamAgentsError
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech
from tests.pipeline.scripts import ABLE, calls, reply

Converse = Callable[..., MemoryCall]


class Waiter(AgentPipeline):
    """A bot with two tools."""

    orders: list[str]

    @tool
    async def order(self, dish: str, context: ToolContext) -> str:
        """Order a dish."""
        self.orders.append(dish)
        return f"{dish} for {context.peer}"

    @tool(timeout=2)
    async def cook(self) -> None:
        """Cook."""
        await asyncio.sleep(100)

    @tool
    async def pay(self) -> None:
        """Pay."""
        await asyncio.sleep(3)

    @tool
    async def roast(self) -> None:
        """Roast."""
        await asyncio.sleep(15)

    @tool(cancellable=True)
    async def search(self) -> None:
        """Search."""
        await asyncio.sleep(3)

    @tool
    def broken(self) -> None:
        """Break."""
        raise ValueError("secret-token")


def waiter(backend: p.Backend) -> Waiter:
    bot = Waiter()
    bot.backend = backend
    bot.orders = []
    return bot


def test_a_method_is_told_to_the_model_called_and_answered(converse: Converse) -> None:
    results: list[p.BackendInput] = []
    backend = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(
                p.TurnEndedInput, [p.ToolCall("c1", "order", {"dish": "soup"}), p.ToolCall("c1", "order", {})]
            ),
            Step(p.ToolResultInput, reply("r", 0.3), check=results.append),
        ],
        ABLE,
    )

    async def script(call: MemoryCall) -> None:
        (ann,) = await call.arrive("ann")
        await ann.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")

    bot = waiter(backend)
    call = converse(bot, script)
    backend.finish()
    assert [made.name for made in backend.connections[0].tools] == [
        *("order", "cook", "pay", "roast", "search", "broken")
    ]
    assert backend.connections[0].tools[0].parameters["required"] == ["dish"]
    assert results == [p.ToolResultInput("c1", "soup for ann", "order")]
    assert bot.orders == ["soup"]
    (told,) = call.of("tool_called")
    assert (told.tool, told.call, told.outcome) == ("order", "c1", "ok")


def test_a_timeout_is_answered_and_the_call_goes_on(converse: Converse) -> None:
    results: list[p.ToolResultInput] = []
    backend = Scripted([calls(p.ToolCall("c1", "cook")), Step(p.ToolResultInput, check=results.append)], ABLE)  # type: ignore[arg-type]

    async def script(call: MemoryCall) -> None:
        told = await call.wait_for("tool_called")
        assert told.outcome == "timeout"
        assert told.duration == pytest.approx(2)
        await asyncio.sleep(1)

    converse(waiter(backend), script)
    backend.finish()
    assert results[0].error


@pytest.mark.parametrize(
    ("tool_name", "outcome", "seconds"),
    [("pay", "ok", 3), ("roast", "cancelled", 5.5), ("search", "cancelled", 0.5)],
)
def test_what_runs_when_the_call_ends_has_a_while_to_come_to_its_end(
    converse: Converse, tool_name: str, outcome: str, seconds: float
) -> None:
    backend = Scripted([calls(p.ToolCall("c1", tool_name))], ABLE)

    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(1)

    call = converse(waiter(backend), script)
    (told,) = call.of("tool_called")
    assert told.outcome == outcome
    assert told.duration == pytest.approx(seconds, abs=0.01)
    assert not [entry for entry in backend.entries if isinstance(entry, p.ToolResultInput)]


def test_what_a_tool_raises_reaches_on_error_and_no_log_above_debug(
    converse: Converse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    errors: list[Exception] = []

    class Bot(Waiter):
        async def on_error(self, error: Exception) -> None:
            errors.append(error)

    backend = Scripted([calls(p.ToolCall("c1", "broken")), Step(p.ToolResultInput)], ABLE)
    bot = Bot()
    bot.backend = backend

    async def script(call: MemoryCall) -> None:
        await call.wait_for("tool_called")
        await asyncio.sleep(0.1)

    call = converse(bot, script)
    assert [type(error) for error in errors] == [ValueError]
    assert "The tool broken failed (ValueError, raised at " in caplog.text
    assert "test_tools.py:" in caplog.text
    assert "secret-token" not in caplog.text + repr(call.observed) + repr(backend.entries)


def test_a_tool_that_returns_nothing_the_model_can_be_told_reaches_on_error_and_the_log(
    converse: Converse, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = []

    class Bot(AgentPipeline):
        backend = Scripted([calls(p.ToolCall("c1", "opaque")), Step(p.ToolResultInput)], ABLE)

        @tool
        def opaque(self) -> object:
            """Give something."""
            return object()

        async def on_error(self, error: Exception) -> None:
            errors.append(error)

    async def script(call: MemoryCall) -> None:
        await call.wait_for("tool_called")
        await asyncio.sleep(0.1)

    converse(Bot(), script)
    assert [str(error) for error in errors] == ["a object is neither text nor JSON"]
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert warning.getMessage().startswith(
        "The tool opaque gave no answer (a object is neither text nor JSON)"
    )


def test_a_tool_that_the_service_runs_itself_is_only_told(converse: Converse) -> None:
    bot = AgentPipeline()
    bot.backend = Scripted([calls(p.ToolCall("c1", "theirs"))])

    async def script(call: MemoryCall) -> None:
        assert (await call.wait_for("tool_called")).outcome == "elsewhere"

    converse(bot, script)


def test_a_bot_whose_model_calls_no_tools_is_refused() -> None:
    with pytest.raises(
        FishjamAgentsError, match=r"Parrot calls no tools, but Waiter offers some \(order, cook"
    ):
        waiter(Parrot()).verify()


def test_two_tools_of_one_name_are_refused() -> None:
    def order(dish: str) -> None:
        """Order."""

    def order_lunch() -> None:
        """Order lunch."""

    bot = waiter(Scripted(offers=ABLE))
    bot.tools = (order,)
    with pytest.raises(
        ConfigError, match=r"two tools are called order \(Waiter.order and .*order\): rename one"
    ):
        bot.verify()
    bot.tools = (order_lunch, order_lunch)
    with pytest.raises(ConfigError, match=r"the tool order_lunch \(.*order_lunch\) is given twice: keep one"):
        bot.verify()


class Witness(AgentPipeline):
    """Notes whose turn brought a tool call about."""

    def __init__(self, backend: p.Backend) -> None:
        super().__init__()
        self.backend = backend
        self.seen: list[str | None] = []

    @tool
    async def who(self, context: ToolContext) -> None:
        """Tell who asks."""
        self.seen.append(context.peer)


@pytest.mark.parametrize("owner", ["local", "backend"])
def test_a_call_belongs_to_the_turn_that_is_answered_and_not_to_who_spoke_last(
    converse: Converse, owner: Any
) -> None:
    backend = Scripted([], p.Capabilities(tools=True, own_turn_detection=True))
    bot = Witness(backend)
    bot.turns = TurnSettings(mode=owner)

    async def script(call: MemoryCall) -> None:
        ann, bob = await call.arrive("ann", "bob")
        await ann.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        bob.say(speech("bob_question.wav"))
        await call.wait_for("user_started_speaking", 2)
        backend.answer(p.ToolCall("c1", "who"))
        await call.wait_for("user_turn_ended", 2)
        await asyncio.sleep(0.1)
        backend.answer(p.ToolCall("c2", "who"))
        await call.wait_for("tool_called", 2)

    converse(bot, script)
    assert bot.seen == ["ann", "bob"]


def test_a_model_that_finds_the_end_of_a_turn_sooner_calls_for_who_has_just_paused(
    converse: Converse,
) -> None:
    backend = Scripted([], p.Capabilities(tools=True, own_turn_detection=True))
    bot = Witness(backend)
    bot.turns = TurnSettings(mode="backend")

    async def script(call: MemoryCall) -> None:
        ann, bob = await call.arrive("ann", "bob")
        for number, peer in enumerate((ann, bob), 1):
            await peer.speak(speech("alice_question.wav"))
            await call.wait_for("user_stopped_speaking", number)
            backend.answer(p.ToolCall(f"c{number}", "who"))
            await call.wait_for("user_turn_ended", number)

    converse(bot, script)
    assert bot.seen == ["ann", "bob"]

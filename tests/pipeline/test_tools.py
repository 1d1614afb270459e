"""What a bot's model can do, from the class or the file to the answer."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents import AgentPipeline, ToolContext, tool
from fishjam_agents.backends import Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.errors import BackendError, ConfigError, FishjamAgentsError
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.tools.builtin import end_call
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
ABLE = p.Capabilities(tools=True)


def calls(*events: p.BackendEvent | float | BackendError) -> Step:
    return Step(None, [0.5, *events])


def reply(name: str, seconds: float) -> list[p.BackendEvent | float | BackendError]:
    samples = (8000 * np.sin(np.arange(round(seconds * 24000)) / 9)).astype(np.int16)
    return [p.ReplyStarted(name), p.ReplyAudio(name, samples), p.ReplyAudioEnded(name)]


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


@pytest.mark.parametrize("goodbye", [0.0, 4.0])
def test_end_call_lets_the_goodbye_be_heard(converse: Converse, goodbye: float) -> None:
    bot = AgentPipeline()
    bot.tools = (end_call,)
    bot.backend = Scripted(
        [
            calls(p.ToolCall("c1", "end_call")),
            Step(p.ToolResultInput, [1.0, *reply("bye", goodbye)] if goodbye else []),
        ],
        ABLE,
    )

    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(600)

    call = converse(bot, script)
    assert call.kinds[-2] == ("reply_ended" if goodbye else "tool_called")
    assert (call.kinds[-1], call.observed[-1].reason) == ("call_ended", "bot")  # type: ignore[attr-defined]
    assert call.observed[-1].at < 10


CALLED_OFF = "[The user spoke before the call had ended, so it goes on: end it again when they want to go.]"


def leaves(
    *answer: p.BackendEvent | float | BackendError, cut: bool = True, notes: bool = True
) -> AgentPipeline:
    """A bot that says goodbye for four seconds, and answers once more if somebody speaks."""
    bot = AgentPipeline()
    bot.tools = (end_call,)
    bot.backend = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [p.ToolCall("c1", "end_call")]),
            Step(p.ToolResultInput, [0.5, *reply("bye", 4.0)]),
            *([Step(p.InterruptInput)] if cut else []),
            Step(p.TurnStartedInput),
            *([Step(p.TextInput)] if notes else []),
            Step(p.TurnEndedInput, [1.0, *answer]),
        ],
        p.Capabilities(tools=True, text=notes, truncate=True),
    )
    return bot


class Leaving:
    """Somebody asks, and makes a sound so many seconds after the goodbye has begun."""

    def __init__(self, after: float, sound: str = "bob_question.wav") -> None:
        self.after = after
        self.sound = speech(sound)
        self.ended = 0.0

    async def __call__(self, call: MemoryCall) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            (ann,) = await call.arrive("ann")
            await ann.speak(speech("alice_question.wav"))
            await call.wait_for("reply_first_audio")
            await asyncio.sleep(self.after)
            await ann.speak(self.sound)
            await asyncio.sleep(60)
        finally:
            self.ended = loop.time() - begun


@pytest.mark.parametrize("notes", [True, False])
@pytest.mark.parametrize("after", [0.5, 2.0, 3.5, 4.3])
def test_who_interrupts_the_goodbye_calls_the_end_of_the_call_off(
    converse: Converse, after: float, notes: bool
) -> None:
    bot = leaves(*reply("answer", 1.0), cut=after < 4, notes=notes)
    call = converse(bot, script := Leaving(after))
    assert call.of("reply_ended")[-1].reply == "answer"
    assert script.ended > 60
    assert isinstance(bot.backend, Scripted)
    bot.backend.finish()
    texts = [entry.text for entry in bot.backend.entries if isinstance(entry, p.TextInput)]
    assert texts == ([CALLED_OFF] if notes else [])


def test_the_call_ends_when_nothing_follows_from_what_was_said_over_the_goodbye(converse: Converse) -> None:
    call = converse(leaves(), script := Leaving(1.0))
    (cut,) = call.of("reply_interrupted")
    assert 10 < script.ended - cut.at < 14


def test_a_cough_over_the_goodbye_does_not_keep_the_call(converse: Converse) -> None:
    call = converse(leaves(), script := Leaving(1.0, "cough.wav"))
    assert not call.of("reply_interrupted")
    (ended,) = call.of("reply_ended")
    assert script.ended - ended.at < 1.5


def test_a_call_whose_end_was_called_off_can_be_ended_again(converse: Converse) -> None:
    call = converse(leaves(*reply("answer", 1.0), p.ToolCall("c2", "end_call")), script := Leaving(1.0))
    last = call.of("reply_ended")[-1]
    assert last.reply == "answer"
    assert script.ended - last.at < 4


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


# --- from a file ---

MODULE = '''
from fishjam_agents import AgentPipeline, tool
from fishjam_agents.backends import port
from fishjam_agents.testing import Scripted

class Able(AgentPipeline):
    backend = Scripted(offers=port.Capabilities(tools=True))

class Unable(AgentPipeline):
    backend = Scripted()

def get_weather(city: str, days: int = 1) -> str:
    """Weather."""
    return city

@tool(blocking=False)
def search(words: str) -> str:
    """Search."""
    return words

def untyped(city):
    """Weather."""

number = 7
'''


def bot_of(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[AgentPipeline, list[str]]:
    (folder / "desk_bot.py").write_text(MODULE)
    (folder / "config.yaml").write_text(text)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "desk_bot", raising=False)
    config = load_config(folder / "config.yaml", {})
    pipeline = pipeline_factory(config)()
    return pipeline, describe(config, pipeline)


def test_a_file_names_functions_and_check_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = '["desk_bot:get_weather", "desk_bot:search", end_call]'
    _, lines = bot_of(tmp_path, f'agent: {{pipeline: "desk_bot:Able", tools: {names}}}', monkeypatch)
    weather, search = "get_weather(city: string, days?: integer)", "search(words: string), in the background"
    assert f"tools     {weather}; {search}; end_call()" in lines


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (
            'pipeline: "desk_bot:Unable", tools: ["desk_bot:get_weather"]',
            "Scripted calls no tools, but Unable offers some (get_weather): use a backend that does",
        ),
        (
            'pipeline: "desk_bot:Able", tools: ["desk_bot:get_wether"]',
            "config.yaml:1: agent.tools: desk_bot has no function get_wether: did you mean get_weather?",
        ),
        (
            'pipeline: "desk_bot:Able", tools: ["desk_bot:number"]',
            "config.yaml:1: agent.tools: desk_bot has no function number",
        ),
        (
            'pipeline: "desk_bot:Able", tools: ["no_such_module:f"]',
            "config.yaml:1: agent.tools: there is no module no_such_module",
        ),
        (
            'pipeline: "desk_bot:Able", tools: ["desk_bot:untyped"]',
            "config.yaml:1: agent.tools: parameter city of tool desk_bot:untyped has no type hint",
        ),
        (
            'pipeline: "desk_bot:Able", tools: [hang_up]',
            "config.yaml:1: agent.tools: 'hang_up' is no tool: use module:function like my_bot:get_weather",
        ),
        (
            'pipeline: "desk_bot:Able", tools: {end_call: 1}',
            "config.yaml:1: agent.tools must be a list, each of it text",
        ),
    ],
)
def test_what_is_wrong_with_a_tool_is_told_with_its_line(
    agent: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError) as caught:
        bot_of(tmp_path, f"agent: {{{agent}}}", monkeypatch)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


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

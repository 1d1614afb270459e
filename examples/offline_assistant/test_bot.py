"""The receptionist in words, without sound: what it understands, asks, says and does."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Sequence
from pathlib import Path

import pytest
from fishjam_agents_local.intents import Intents

from fishjam_agents import AgentPipeline, ToolError
from fishjam_agents.backends.cascade import LLMToolCall, Message
from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.tools.collect import collect

HERE = Path(__file__).parent


@pytest.fixture
def bot() -> AgentPipeline:
    """The bot as config.yaml makes it."""
    return pipeline_factory(load_config(HERE / "config.yaml"))()


def talk(bot: AgentPipeline, *lines: str) -> tuple[list[str], list[LLMToolCall]]:
    """Say lines to the dialogue: its last words to each, and the calls of tools, which answer "21"."""
    tools = [tool.declaration for tool in collect(bot, bot.tools)]

    async def conversation() -> tuple[list[str], list[LLMToolCall]]:
        messages: list[Message] = []
        calls: list[LLMToolCall] = []
        answers = []
        async with Intents(file=HERE / "dialogue.yaml").connect() as model:
            for line in lines:
                messages.append(Message("user", line))
                called = True
                while called:
                    words = ""
                    made: Sequence[LLMToolCall] = ()
                    async for piece in model.reply(messages, tools):
                        if isinstance(piece, LLMToolCall):
                            made = [piece]
                        elif isinstance(piece, str):
                            words += piece
                    messages.append(Message("assistant", words.strip(), calls=made))
                    messages += [Message("tool", "21", call=call.call) for call in made]
                    calls += made
                    called = bool(made)
                answers.append(words.strip())
        return answers, calls

    return asyncio.run(conversation())


def test_a_table_is_booked_by_what_it_asks_for(bot: AgentPipeline) -> None:
    answers, calls = talk(
        bot, "A table for two on Saturday at half past seven", "My name is Miller", "Yes please"
    )
    assert answers[0] == "Under which name?"
    assert answers[2] == "It is booked. Your number is 21."
    (call,) = calls
    assert call.name == "book_table"
    day = datetime.date.fromisoformat(call.arguments["day"])
    assert f"{day:%A}" == "Saturday"
    assert {**call.arguments, "day": "Saturday"} == {
        "people": 2,
        "day": "Saturday",
        "time": "19:30",
        "name": "Miller",
    }


@pytest.mark.parametrize(
    ("line", "tool"),
    [
        ("Could you tell me what time it is, please?", "current_time"),
        ("Please set a timer for a quarter of an hour.", "set_timer"),
        ("Which day is today?", "current_day"),
        ("Okay, goodbye then.", "end_call"),
    ],
)
def test_a_wish_calls_its_tool(bot: AgentPipeline, line: str, tool: str) -> None:
    assert [call.name for call in talk(bot, line)[1]] == [tool]


def test_small_talk_calls_none(bot: AgentPipeline) -> None:
    answers, calls = talk(bot, "Hello!", "How are you doing?", "Thank you very much.")
    assert answers[0] == "Hello! What can I do for you?"
    assert not calls


def test_what_is_out_of_bounds_is_asked_again(bot: AgentPipeline) -> None:
    answers, _ = talk(bot, "I would like to book a table", "For thirty people")
    assert answers == [
        "For how many people?",
        "We have tables for up to twelve people. For how many people?",
    ]


def test_it_is_closed_on_mondays(bot: AgentPipeline) -> None:
    booking = {"people": 2, "time": datetime.time(19), "name": "Miller"}
    with pytest.raises(ToolError, match="closed on Mondays"):
        asyncio.run(bot.book_table(day=datetime.date(2030, 1, 7), **booking))
    assert asyncio.run(bot.book_table(day=datetime.date(2030, 1, 8), **booking)) >= 21

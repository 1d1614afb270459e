"""What servers insist on in a conversation, and the forms in which they call tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from fishjam_agents_openai import Chat
from fishjam_agents_openai.emulator import DIALECTS, Answer, Emulator

from fishjam_agents.backends.cascade import LanguageModel, LLMToolCall, Message, Reasoning
from fishjam_agents.backends.cascade.history import History
from integrations.openai.tests.asking import HELLO, ask, run


def told(calls: Sequence[LLMToolCall], *texts: str) -> list[Message]:
    """What tools said to calls, in their order."""
    return [Message("tool", text, call=call.call) for call, text in zip(calls, texts, strict=True)]


def calling(*calls: tuple[str, Any], **more: Any) -> list[dict[str, Any]]:
    """One delta for each call, as OpenAI has them."""
    return [
        {
            "tool_calls": [
                {
                    "index": index,
                    "id": f"c{index:08d}",
                    "type": "function",
                    "function": {"name": name, "arguments": json.dumps(arguments)},
                    **more,
                }
            ]
        }
        for index, (name, arguments) in enumerate(calls)
    ]


async def answer(chat: LanguageModel, messages: list[Message]) -> tuple[str, list[LLMToolCall]]:
    pieces = [piece async for piece in chat.reply(messages, ())]
    words = "".join(piece for piece in pieces if isinstance(piece, str))
    return words, [piece for piece in pieces if isinstance(piece, LLMToolCall)]


@pytest.mark.parametrize("server", [name for name in DIALECTS if name not in ("speaches", "kokoro")])
def test_a_call_with_tools_and_interruptions_is_one_that_every_server_takes(server: str) -> None:
    """The bot speaks first; the user goes on; a tool is called after a word; the next one is spoken over."""

    async def scenario(emulator: Emulator) -> None:
        history = History("Be brief.", 1000)
        history.assistant("greeting", "Hello.")
        async with Chat(base_url=emulator.base_url, model="m").connect() as chat:
            history.user("Is it")
            history.user("sunny in Oslo?")
            words, calls = await answer(chat, history.messages)
            assert words == "Let me look."
            assert [(call.name, call.arguments) for call in calls] == [
                ("weather", {"city": "Oslo"}),
                ("time", {}),
            ]
            history.assistant("r1", words)
            history.called(calls, told(calls, "sunny", "noon"))
            words, _ = await answer(chat, history.messages)
            assert words == "Sunny."
            history.assistant("r1", words)
            history.user("And in Kyoto?")
            _, calls = await answer(chat, history.messages)
            history.called(calls, told(calls, "rain"))
            history.user("Wait, in Rome?")
            assert await answer(chat, history.messages) == ("Rome? Sunny.", [])

    answers = [
        Answer(["Let me look.", *calling(("weather", {"city": "Oslo"}), ("time", {}))]),
        Answer(["Sunny."]),
        Answer(calling(("weather", {"city": "Kyoto"}))),
        Answer(["Rome? ", "Sunny."]),
    ]
    run(scenario, chats=answers, dialect=DIALECTS[server])


def test_what_a_server_sent_with_a_call_goes_back_to_it_and_to_no_other() -> None:
    extra = {"google": {"thought_signature": "abc"}}
    called = [{"reasoning_content": "Let me "}, {"reasoning_content": "think."}]
    first = Answer([*called, *calling(("weather", {}), extra_content=extra)])

    async def scenario(emulator: Emulator) -> None:
        history = History("Be brief.", 1000)
        history.user("Hello?")
        settings = {"base_url": emulator.base_url, "model": "m"}
        async with Chat(**settings).connect() as chat, Chat(**settings).connect() as other:
            _, calls = await answer(chat, history.messages)
            history.called(calls, told(calls, "sunny"))
            history.assistant("r1", "Sunny.")
            history.user("And?")
            await answer(chat, history.messages)
            await answer(other, history.messages)

    _, back, elsewhere = run(scenario, chats=[first, Answer(["So."]), Answer(["So."])]).requests
    call, _, words = back.fields["messages"][2:5]
    assert call["reasoning_content"] == "Let me think."
    assert call["tool_calls"][0]["extra_content"] == extra
    assert words["reasoning_content"].isspace()
    sent = json.dumps(elsewhere.fields["messages"])
    assert "reasoning_content" not in sent
    assert "extra_content" not in sent


def test_reasoning_of_an_answer_that_followed_a_tool_goes_back_too() -> None:
    async def scenario(emulator: Emulator) -> None:
        history = History(None, 1000)
        history.user("Hello?")
        async with Chat(base_url=emulator.base_url, model="m").connect() as chat:
            _, calls = await answer(chat, history.messages)
            history.called(calls, told(calls, "sunny"))
            words, _ = await answer(chat, history.messages)
            history.assistant("r1", words)
            history.user("And?")
            await answer(chat, history.messages)

    answers = [
        Answer([{"reasoning_content": "One."}, *calling(("weather", {}))]),
        Answer([{"reasoning_content": "Two."}, "Sunny."]),
        Answer(["So."]),
    ]
    messages = run(scenario, chats=answers).requests[2].fields["messages"]
    assert [message.get("reasoning_content") for message in messages] == [None, "One.", None, "Two.", None]


@pytest.mark.parametrize(
    "told",
    [
        (400, "Tool call id was call_abc but must be a-z, A-Z, 0-9, with a length of 9."),
        (500, "Tool call IDs should be alphanumeric strings with length 9!"),
    ],
)
def test_calls_that_another_server_made_get_ids_that_this_one_takes(told: tuple[int, str]) -> None:
    call = LLMToolCall("call_abc", "weather", {})
    before = [*HELLO, Message("assistant", "", [call]), Message("tool", "sunny", call="call_abc")]

    async def scenario(emulator: Emulator) -> None:
        async with Chat(base_url=emulator.base_url, model="m").connect() as chat:
            assert await answer(chat, before) == ("Sunny.", [])
            assert await answer(chat, before) == ("Still.", [])

    status, words = told
    refused, again, later = run(
        scenario, chats=[Answer([words], status), Answer(["Sunny."]), Answer(["Still."])]
    ).requests
    assert refused.fields["messages"][3]["tool_call_id"] == "call_abc"
    for request in (again, later):
        asked, answered = request.fields["messages"][2:]
        id = answered["tool_call_id"]
        assert (len(id), id.isalnum()) == (9, True)
        assert asked["tool_calls"][0]["id"] == id


def test_pictures_of_a_user_who_goes_on_stay_in_their_place() -> None:
    messages = [
        Message("user", "Look.", images=[(b"1", "image/png")]),
        Message("user", "What is it?"),
        Message("assistant", "A cat."),
        Message("assistant", "Or a dog."),
        Message("user", ""),
    ]

    async def scenario(emulator: Emulator) -> None:
        await ask(emulator, messages)

    (request,) = run(scenario, chats=[Answer(["So."])]).requests
    user, assistant, last = request.fields["messages"]
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "text"]
    assert assistant["content"] == "A cat.\n\nOr a dog."
    assert last["content"] == ""


WEATHER = LLMToolCall("", "weather", {"city": "Oslo"})
TIME = LLMToolCall("", "time", {})


def call(name: str | None = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        # The arguments: an object, none, JSON that is not quite.
        ([[call("weather", {"city": "Oslo"}, index=0, id="a")]], [WEATHER]),
        ([[call("time", None, index=0, id="a")]], [TIME]),
        ([[call("time", "null", index=0, id="a")]], [TIME]),
        ([[call("time", "", index=0, id="a")]], [TIME]),
        ([[call("weather", '{"city": "Oslo",}', index=0, id="a")]], [WEATHER]),
        ([[{"index": 0, "id": "a", "function": {"name": "time"}}]], [TIME]),
        # Neither id nor index.
        ([[call("weather", '{"city": "Oslo"}'), call("time", "{}")]], [WEATHER, TIME]),
        ([[call("weather", '{"city": "Oslo"}')], [call("time", "{}")]], [WEATHER, TIME]),
        ([[call("time")], [call("time")], [call("weather", {"city": "Oslo"})]], [TIME, WEATHER]),
        ([[call("time", "{}"), call("time", "{}")]], [TIME, TIME]),
        ([[call("time", "{}")], [call("time", "{}")]], [TIME, TIME]),
        ([[call("weather")], [call(None, '{"city": ')], [call(None, '"Oslo"}')]], [WEATHER]),
        ([[call("weather", '{"city"', id="a")], [call("weather", ': "Oslo"}', id="a")]], [WEATHER]),
        # Every index 0.
        ([[call("weather", '{"city": "Oslo"}', index=0), call("time", "{}", index=0)]], [WEATHER, TIME]),
        ([[call("time", "{}", index=0)], [call("time", "{}", index=0)]], [TIME, TIME]),
        ([[call("weather", "", index=0)], [call("weather", '{"city": "Oslo"}', index=0)]], [WEATHER]),
        # Pieces of two calls that take turns.
        (
            [
                [call("weather", '{"city"', index=0, id="a"), call("time", "", index=1, id="b")],
                [call(None, "{}", index=1), call(None, ': "Oslo"}', index=0)],
            ],
            [WEATHER, TIME],
        ),
        # The same id for both.
        (
            [[call("weather", '{"city": "Oslo"}', index=0, id="x"), call("time", "{}", index=1, id="x")]],
            [WEATHER, TIME],
        ),
        # A name with a mark of a template; an empty object before the arguments.
        ([[call("weather<|channel|>commentary", '{}{"city": "Oslo"}', index=0, id="a")]], [WEATHER]),
    ],
)
def test_calls_are_read_in_every_form(
    deltas: list[list[dict[str, Any]]], expected: list[LLMToolCall]
) -> None:
    async def scenario(emulator: Emulator) -> None:
        calls = [piece for piece in await ask(emulator) if isinstance(piece, LLMToolCall)]
        assert [(each.name, each.arguments, each.unreadable) for each in calls] == [
            (each.name, each.arguments, None) for each in expected
        ]
        assert len({each.call for each in calls}) == len(calls)
        assert all(each.call for each in calls)

    run(scenario, chats=[Answer([{"tool_calls": delta} for delta in deltas])])


def test_arguments_nested_without_end_are_told_to_the_model() -> None:
    async def scenario(emulator: Emulator) -> None:
        (one,) = [piece for piece in await ask(emulator) if isinstance(piece, LLMToolCall)]
        assert one.unreadable is not None

    deltas = [{"tool_calls": [call("time", "[" * 100_000)]}, {"tool_calls": [call("time", "{}")]}]
    run(scenario, chats=[Answer(deltas)])


def test_an_id_of_the_conversation_is_not_given_to_another_call() -> None:
    before = [*HELLO, Message("assistant", "", [LLMToolCall("0", "f", {})]), Message("tool", "x", call="0")]

    async def scenario(emulator: Emulator) -> None:
        (again,) = [piece for piece in await ask(emulator, before) if isinstance(piece, LLMToolCall)]
        assert again.call != "0"

    run(scenario, chats=[Answer([{"tool_calls": [call("f", "{}", id="0", index=0)]}])])


@pytest.mark.parametrize("odd", [[7], "what", {"index": 0}, [None], [{"function": 7}]])
def test_calls_that_are_none_end_no_conversation(odd: Any) -> None:
    async def scenario(emulator: Emulator) -> None:
        assert "Yes." in await ask(emulator)

    run(scenario, chats=[Answer([{"tool_calls": odd}, "Yes."])])


@pytest.mark.parametrize(
    "content",
    [
        [
            {
                "type": "thinking",
                "thinking": [{"type": "text", "text": "Hm. "}, {"type": "text", "text": "So."}],
            },
            {"type": "text", "text": "Yes."},
        ],
        [{"type": "thinking", "thinking": "Hm. So."}, {"type": "text", "text": "Yes."}],
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Hm. So."}]},
            {"type": "reference"},
            "Yes.",
        ],
    ],
)
def test_content_in_parts_is_read_and_its_reasoning_told_apart(content: Any) -> None:
    async def scenario(emulator: Emulator) -> None:
        pieces = await ask(emulator)
        assert pieces[:2] == [Reasoning("Hm. So."), "Yes."]

    run(scenario, chats=[Answer([{"content": content}])])


def test_thoughts_that_gemini_puts_into_the_content_are_none_of_its_words() -> None:
    thought = {"content": "<thought>Hm.", "extra_content": {"google": {"thought": True}}}

    async def scenario(emulator: Emulator) -> None:
        assert (await ask(emulator))[:2] == [Reasoning("<thought>Hm."), "</thought>Yes."]

    run(scenario, chats=[Answer([thought, "</thought>Yes."])])


def test_a_field_that_a_server_refuses_can_be_left_out() -> None:
    async def scenario(emulator: Emulator) -> None:
        await ask(emulator, extra={"stream_options": None, "max_tokens": 9})

    (request,) = run(scenario).requests
    assert "stream_options" not in request.fields
    assert request.fields["max_tokens"] == 9

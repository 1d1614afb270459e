"""The models behind the emulator's program: each tool is called once, and what came back is said."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from fishjam_agents_openai.chat import Chat
from fishjam_agents_openai.emulator import Emulator
from fishjam_agents_openai.emulator.assistant import RealtimeAssistant, chat_assistant

from fishjam_agents.backends import port as p
from fishjam_agents.backends.cascade import LLMToolCall, Message
from integrations.openai.tests.realtime_call import Call, run

NUMBER = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
TOOLS = {"end_call": {"type": "object"}, "order": NUMBER, "hours": {"type": "object"}}
DECLARED = [{"type": "function", "name": name, "parameters": schema} for name, schema in TOOLS.items()]


def replies(call: Call) -> list[str]:
    words: dict[str, str] = {}
    for event in call.of(p.ReplyTextDelta):
        words[event.reply] = words.get(event.reply, "") + event.text
    return list(words.values())


def test_each_tool_of_a_realtime_session_is_called_once_and_the_goodbye_is_last() -> None:
    told: list[str] = []

    async def scenario(call: Call) -> None:
        for number, answer in enumerate(['{"state": "sent"}', "at nine", "bye"], 1):
            await call.turn()
            called = await call.until(p.ToolCall, number)
            await call.session.send(p.ToolResultInput(called.call, answer))
            await call.until(p.ReplyAudioEnded, number)
        await call.turn()
        await call.until(p.ReplyAudioEnded, 4)
        calls = [(event.name, event.arguments) for event in call.of(p.ToolCall)]
        assert calls == [("order", {"number": 1}), ("hours", {}), ("end_call", {})]
        *answers, words = replies(call)
        assert answers == ['order answered: {"state": "sent"}', "hours answered: at nine", "Goodbye."]
        assert words.startswith("You spoke for 1.0 seconds.")

    model: Any = {"model": lambda line: RealtimeAssistant(line, told.append)}
    run(scenario, emulator=model, raw={"tools": DECLARED})
    assert told[:2] == ["the model calls order(number=1)", 'order answered: {"state": "sent"}']


def test_a_realtime_reply_is_longer_than_the_question_so_that_it_can_be_spoken_over() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)
        seconds = sum(len(event.samples) for event in call.of(p.ReplyAudio)) / 24000
        assert seconds > 1.9

    model: Any = {"model": lambda line: RealtimeAssistant(line, lambda words: None, tools=False)}
    run(scenario, emulator=model)


def test_a_chat_calls_each_tool_once_tells_its_answer_and_then_repeats_the_user() -> None:
    told: list[str] = []
    tools = [p.ToolDeclaration(name, "", schema) for name, schema in TOOLS.items()]

    async def pieces(part: Any, messages: list[Message]) -> list[Any]:
        came = [piece async for piece in part.reply(messages, tools)]
        return [piece for piece in came if isinstance(piece, str | LLMToolCall)]

    async def main() -> None:
        messages = []
        async with (
            Emulator(model=lambda request: chat_assistant(request, told.append)) as server,
            Chat(model="m", base_url=server.base_url).connect() as part,
        ):
            for name in ("order", "hours", "end_call"):
                messages.append(Message("user", "Hello."))
                (call,) = await pieces(part, messages)
                assert call.name == name
                messages += [
                    Message("assistant", "", calls=(call,)),
                    Message("tool", "done", call=call.call),
                ]
                said = "".join(await pieces(part, messages))
                assert said == ("Goodbye." if name == "end_call" else f"{name} answered: done")
            messages.append(Message("user", "Hello."))
            assert "".join(await pieces(part, messages)).startswith("You said: Hello.")

    asyncio.run(asyncio.wait_for(main(), 20))
    assert told[0] == "the model calls order(number=1)"


def test_the_realtime_program_lets_in_only_its_own_key() -> None:
    code = """
import asyncio, os
from fishjam_agents.errors import BackendError
from fishjam_agents_openai.realtime import Realtime
from fishjam_agents.backends.port import BackendContext

async def main():
    for key in (os.environ["OPENAI_API_KEY"], "another-key"):
        os.environ["OPENAI_API_KEY"] = key
        try:
            async with Realtime().connect(BackendContext("c", print)):
                print("in")
        except BackendError as error:
            print(error.failure)

asyncio.run(main())
"""
    words = ["-m", "fishjam_agents_openai.emulator", "--realtime", sys.executable, "-c", code]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stdout.splitlines() if line in ("in", "auth")] == ["in", "auth"], done

"""The models behind the program: each calls every tool once, says what came back, and repeats the user."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fishjam_agents.testing.arguments import arguments_for
from fishjam_agents_openai.emulator.answers import Answer
from fishjam_agents_openai.emulator.input_buffer import RATE
from fishjam_agents_openai.emulator.steps import ScriptStep, Sound, Tool

if TYPE_CHECKING:
    from fishjam_agents_openai.emulator.connection import EmulatorConnection
    from fishjam_agents_openai.emulator.server import Request

GOODBYE = "end_call"
"""The tool that ends the call: it is called last."""
_LONGEST = 100
"""Characters of an answer that are said."""

Tell = Callable[[str], None]
"""Is told each call and each answer in words, for whoever watches."""


class RealtimeAssistant:
    """The model of one connection to the Realtime API: one tool in each turn, in the order of the session.

    Args:
        line: The connection.
        tell: Told of calls and answers.
        tools: Whether it calls any.
    """

    def __init__(self, line: EmulatorConnection, tell: Tell, tools: bool = True) -> None:
        self._line = line
        self._tell = tell
        self._tools = tools
        self._reported: set[str] = set()

    def __call__(self) -> Sequence[ScriptStep]:
        """Return the steps that it says and does next."""
        instructions = self._line.asked.get("instructions")
        if instructions:
            # What the app asks for is said, and no tool called: the last of it is for this response alone.
            return [instructions.rpartition("\n\n")[2][:_LONGEST]]
        items = list(self._line.items.values())
        calls = {item["call_id"]: item["name"] for item in items if item["type"] == "function_call"}
        came = {item["call_id"]: item["output"] for item in items if item["type"] == "function_call_output"}
        new = [call for call in came if call not in self._reported]
        self._reported.update(new)
        if new:
            return [_report(((calls[call], came[call]) for call in new), self._tell)]
        declared = self._line.session.get("tools", ()) if self._tools else ()
        tool = _next_call(declared, calls.values(), self._tell)
        if tool is not None:
            return [Tool(*tool)]
        voice = self._line.hearing.voice()
        return [f"You spoke for {len(voice) / RATE:.1f} seconds. ", Sound(voice)]


def chat_assistant(request: Request, tell: Tell) -> Answer | None:
    """The model of `/chat/completions`; None where there is neither a tool to call nor an answer to tell."""
    messages = request.fields["messages"]
    calls = {
        call["id"]: call["function"]["name"] for said in messages for call in said.get("tool_calls") or ()
    }
    answers: list[tuple[str, str]] = []
    while messages and messages[-1]["role"] == "tool":
        answers.insert(0, (calls[messages[-1]["tool_call_id"]], messages[-1]["content"]))
        messages = messages[:-1]
    if answers:
        return Answer([_report(answers, tell)])
    declared = [tool["function"] for tool in request.fields.get("tools", ())]
    tool = _next_call(declared, calls.values(), tell)
    if tool is None:
        return None
    function = {"name": tool[0], "arguments": tool[1]}
    call = {"index": 0, "id": f"call_{len(calls) + 1}", "type": "function", "function": function}
    return Answer([{"tool_calls": [call]}])


def _next_call(
    declared: Iterable[Mapping[str, Any]], called: Collection[str], tell: Tell
) -> tuple[str, str] | None:
    """Name and arguments of the first tool that was not called."""
    left = [tool for tool in declared if tool["name"] not in called]
    if not left:
        return None
    tool = min(left, key=lambda tool: tool["name"] == GOODBYE)
    arguments = arguments_for(tool.get("parameters") or {})
    words = ", ".join(f"{name}={json.dumps(value)}" for name, value in arguments.items())
    tell(f"the model calls {tool['name']}({words})")
    return tool["name"], json.dumps(arguments)


def _report(answers: Iterable[tuple[str, str]], tell: Tell) -> str:
    said = []
    for tool, answer in answers:
        text = " ".join(str(answer).split())
        text = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
        tell(f"{tool} answered: {text}")
        said.append("Goodbye." if tool == GOODBYE else f"{tool} answered: {text}")
    return "; ".join(said)

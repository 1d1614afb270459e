"""The model behind the program: a parrot that calls every tool once, and says what came back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fishjam_agents.testing.arguments import arguments_for

from .answers import parrot, pictures, speak, tone, understand
from .rules import JSON_SCHEMA

if TYPE_CHECKING:
    from .connection import Connection
    from .messages import Request

GOODBYE = "end_call"
"""The tool that ends the call: it is called last."""
_LONGEST = 100
"""Characters of an answer that are said."""
_WORD = 0.2
_SHORTEST, _LONGEST_SOUND = 0.6, 3.0
"""Seconds of the tone for a word, and for a sentence."""
_PIECE = 4
"""Words in a message."""


class Assistant:
    """Calls one tool in each turn of the user, in the order in which they are declared; then it is a parrot.

    A tool that blocks is waited for in silence, over one that does not it talks on. Who speaks while it waits
    does not want the answer any more.

    Args:
        tell: Told each call and each answer in words, for whoever watches.
    """

    def __init__(self, tell: Callable[[str], None] = lambda words: None) -> None:
        self._tell = tell

    async def __call__(self, connection: Connection, request: Request) -> None:
        """Answer a request."""
        if request.results:
            await self._report(connection, request)
            return
        for call in sorted(connection.session.pending):
            if not connection.in_background(connection.session.calls[call]):
                await connection.cancel_tool(call)
        tool = _next_tool(connection)
        if tool is None:
            await parrot(connection, request)
        else:
            await understand(connection, request)
            await self._call(connection, tool)

    async def _call(self, connection: Connection, tool: str) -> None:
        declared = connection.tools[tool]
        schemas = (declared.get(key) for key in (*JSON_SCHEMA, "parameters"))
        arguments = arguments_for(next((schema for schema in schemas if schema), {}))
        words = ", ".join(f"{name}={json.dumps(value)}" for name, value in arguments.items())
        self._tell(f"the model calls {tool}({words})")
        await connection.call_tool(tool, arguments)
        if connection.in_background(tool):
            await _say(connection, f"I am asking {tool}.")

    async def _report(self, connection: Connection, request: Request) -> None:
        said = []
        for call, response in request.results:
            tool = connection.session.calls[call]
            outcome, text = _outcome(tool, response)
            self._tell(f"{tool} {outcome}: {text}")
            said.append("Goodbye." if tool == GOODBYE else f"{tool} {outcome}: {text}")
        if request.images:
            said.append(f"I see {pictures(request.images)}")
        await _say(connection, "; ".join(said))


def _next_tool(connection: Connection) -> str | None:
    called = set(connection.session.calls.values())
    left = [tool for tool in connection.tools if tool not in called]
    return min(left, key=lambda tool: tool == GOODBYE) if left else None


def _outcome(tool: str, response: Any) -> tuple[str, str]:
    given = response if isinstance(response, dict) else {"output": response}
    failed = "error" in given
    answer = given.get("error" if failed else "output", given)
    text = answer if isinstance(answer, str) else json.dumps(answer)
    text = " ".join(text.split()).removeprefix(f"{tool}: ")
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return ("failed" if failed else "answered"), text


async def _say(connection: Connection, sentence: str) -> None:
    words = sentence.split()
    seconds = min(max(_WORD * len(words), _SHORTEST), _LONGEST_SOUND)
    pieces = [" ".join(words[at : at + _PIECE]) + " " for at in range(0, len(words), _PIECE)]
    await speak(connection, tone(seconds), pieces)
    await connection.finish_turn()

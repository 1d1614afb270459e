"""Conversations, tools and calls of tools in the form of OpenAI, which llama.cpp's templates take."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from fishjam_agents.backends.arguments import read_arguments
from fishjam_agents.backends.cascade import LLMToolCall, Message
from fishjam_agents.backends.port import ToolDeclaration

_NUMBERS = itertools.count(1)


def conversation(messages: Sequence[Message], *, tools: bool) -> list[dict[str, Any]]:
    """A conversation as the templates of models take it: nobody speaks twice in a row.

    Args:
        messages: The conversation.
        tools: Whether the model knows of tools; without that, calls and their results are left out.
    """
    shown: list[dict[str, Any]] = []
    for message in messages:
        if not tools and (message.role == "tool" or (message.calls and not message.text)):
            continue
        entry: dict[str, Any] = {"role": message.role, "content": message.text}
        if tools and message.calls:
            entry["tool_calls"] = [_call(call) for call in message.calls]
        if message.call is not None:
            entry["tool_call_id"] = message.call
        before = shown[-1] if shown else {}
        if before.get("role") == message.role in ("user", "system", "assistant") and not (
            "tool_calls" in before or "tool_calls" in entry
        ):
            before["content"] = f"{before['content']}\n{message.text}"
        else:
            shown.append(entry)
    return shown


def _call(call: LLMToolCall) -> dict[str, Any]:
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    return {"id": call.call, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def declarations(tools: Sequence[ToolDeclaration]) -> list[dict[str, Any]]:
    """Tools as OpenAI's requests declare them."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
            },
        }
        for tool in tools
    ]


class Calls:
    """Calls of tools of one answer, put together from pieces that bear an index."""

    def __init__(self) -> None:
        self._calls: dict[int, dict[str, str]] = {}

    def feed(self, pieces: object) -> None:
        """Take the `tool_calls` of one delta."""
        if not isinstance(pieces, list):
            return
        for piece in pieces:
            call = self._calls.setdefault(piece.get("index", 0), {"id": "", "name": "", "arguments": ""})
            function = piece.get("function") or {}
            call["id"] = call["id"] or piece.get("id") or ""
            call["name"] = call["name"] or function.get("name") or ""
            call["arguments"] += function.get("arguments") or ""

    def requested(self) -> Iterator[LLMToolCall]:
        """Yield each call."""
        for _, call in sorted(self._calls.items()):
            yield LLMToolCall(
                call["id"] or f"call{next(_NUMBERS)}", call["name"], *read_arguments(call["arguments"])
            )

"""Conversations that servers refuse, in the words they refuse them with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from fishjam_agents_openai.emulator.answers import Answer
from fishjam_agents_openai.emulator.dialects import Dialect

_SHORT_ID = re.compile("[a-zA-Z0-9]{9}")


def refusal(request: Mapping[str, Any], dialect: Dialect) -> Answer | None:
    """Return a server's refusal of a request to `/chat/completions`; None where it takes it."""
    messages: Sequence[Mapping[str, Any]] = request["messages"]
    for index, message in enumerate(messages):
        calls = message.get("tool_calls") or ()
        if message["role"] == "assistant" and not calls and not message.get("content"):
            return Answer(["Assistant message must have either content or tool_calls, but not none."], 400)
        for call in calls:
            try:
                json.loads(call["function"]["arguments"])
            except ValueError:
                return Answer([f"Failed to parse tool call arguments as JSON: {call['function']}"], 500)
            if dialect.short_ids and not _SHORT_ID.fullmatch(call["id"]):
                told = f"Tool call id was {call['id']} but must be a-z, A-Z, 0-9, with a length of 9."
                return Answer([told], 400)
        if calls and dialect.signs and "thought_signature" not in json.dumps(calls[0]):
            name = calls[0]["function"]["name"]
            told = f"Function call is missing a thought_signature in functionCall parts: {name}"
            return Answer([told], 400)
        wanted = dialect.returns_thoughts
        if wanted is not None and dialect.thinks(request) and _lacks_thoughts(messages, index):
            return Answer([wanted.format(index=index)], 400)
        if not dialect.tool_then_user and message["role"] == "user" and messages[index - 1]["role"] == "tool":
            return Answer(["Unexpected role 'user' after role 'tool'"], 400, "3230")
    if dialect.alternates is not None and not _alternate(messages):
        status, told = dialect.alternates
        return Answer([told], status)
    return None


def _lacks_thoughts(messages: Sequence[Mapping[str, Any]], index: int) -> bool:
    """Return whether a message of the assistant has no reasoning though tools were called up to there."""
    if messages[index]["role"] != "assistant" or messages[index].get("reasoning_content"):
        return False
    return any(message.get("tool_calls") for message in messages[: index + 1])


def _alternate(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether user and assistant take turns, the user first; calls and results do not count."""
    counted = [
        message["role"]
        for message in messages[messages[0]["role"] == "system" :]
        if message["role"] != "tool" and not message.get("tool_calls")
    ]
    # No template has two messages of one role in a row, calls or not.
    doubled = any(one["role"] == two["role"] != "tool" for one, two in pairwise(messages))
    return not doubled and counted == ["user", "assistant"] * (len(counted) // 2) + ["user"] * (
        len(counted) % 2
    )

"""A conversation as `/chat/completions` takes it, at the strictest of the servers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fishjam_agents.backends.cascade import LLMToolCall, Message

BEGINNING = "(The call begins.)"
"""A user's words before those of an assistant who speaks first."""
INTERRUPTED = "[interrupted]"
"""An assistant's words between what a tool answered and the user who spoke over the reply."""
_REMEMBERED = 1024
_SHORT_ID = re.compile("[a-zA-Z0-9]{9}")
_NO_REASONS = " "
"""Reasoning of an answer whose own is not known. Kimi refuses an empty one."""


class Returned:
    """Data that a server sent with its answers and wants back: of one connection, for its own calls.

    * `extra_content` of a call: Gemini's thought signature
      (ai.google.dev/gemini-api/docs/thought-signatures).
    * `reasoning_content` of an answer: DeepSeek (api-docs.deepseek.com/guides/thinking_mode) and Kimi want it
      with every message of the assistant as soon as tools were called. Where none came none is sent: others
      refuse it.

    Attributes:
        short_ids: Whether ids of calls are 9 letters and digits: Mistral refuses those of other vendors.
    """

    def __init__(self) -> None:
        self.short_ids = False
        self._reasoned = False
        # By call: what goes back with it, and with the message that holds it.
        self._extra: OrderedDict[str, Any] = OrderedDict()
        self._reasoning: OrderedDict[str, str] = OrderedDict()

    def note(
        self, messages: Sequence[Message], calls: Iterable[tuple[LLMToolCall, Any]], reasoning: str
    ) -> None:
        """An answer to a conversation has come."""
        self._reasoned = self._reasoned or bool(reasoning)
        called = False
        for call, extra in calls:
            called = True
            _keep(self._extra, call.call, extra)
            _keep(self._reasoning, call.call, reasoning)
        if not called and messages and messages[-1].call is not None:
            # The words that follow a tool's answer.
            _keep(self._reasoning, f"after {messages[-1].call}", reasoning)

    def id(self, call: str | None) -> str | None:
        """The id of a call as this server takes it."""
        if call is None or not self.short_ids or _SHORT_ID.fullmatch(call):
            return call
        return hashlib.sha256(call.encode()).hexdigest()[:9]

    def with_call(self, call: str) -> dict[str, Any]:
        """Fields of a call."""
        extra = self._extra.get(call)
        return {} if extra is None else {"extra_content": extra}

    def with_message(self, key: str | None = None) -> dict[str, Any]:
        """Fields of a message of the assistant.

        Args:
            key: A call it holds, or `after` the call whose answer it follows.
        """
        if not self._reasoned:
            return {}
        return {"reasoning_content": self._reasoning.get(key or "") or _NO_REASONS}


def _keep(kept: OrderedDict[str, Any], key: str, value: Any) -> None:
    if value:
        kept[key] = value
        if len(kept) > _REMEMBERED:
            kept.popitem(last=False)


def wire_messages(messages: Sequence[Message], returned: Returned) -> list[dict[str, Any]]:
    """The messages of a request.

    User and assistant take turns, which templates of Gemma and Mistral insist on, and the user begins; what
    one of them said in several messages is one. Between a tool's answer and a user stands an assistant:
    Mistral refuses a role `user` after a role `tool`.
    """
    sent: list[dict[str, Any]] = []
    for made in _made(messages, returned):
        last = sent[-1] if sent else {"role": "system"}
        role = made["role"]
        if role == "assistant" and last["role"] == "system":
            sent.append({"role": "user", "content": BEGINNING})
        elif role == "user" and last["role"] == "tool":
            sent.append({"role": "assistant", "content": INTERRUPTED, **returned.with_message()})
        elif role == last["role"] and role in ("user", "assistant") and "tool_calls" not in last:
            sent[-1] = {**last, **made, "content": _together(last["content"], made["content"])}
            continue
        sent.append(made)
    return sent


def _made(messages: Sequence[Message], returned: Returned) -> Iterator[dict[str, Any]]:
    before: Message | None = None
    for message in messages:
        made = _message(message, returned)
        if message.role == "assistant":
            key = message.calls[0].call if message.calls else None
            if key is None and before is not None and before.call is not None:
                key = f"after {before.call}"
            made |= returned.with_message(key)
        before = message
        yield made


def _message(message: Message, returned: Returned) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": returned.id(message.call), "content": message.text}
    if message.calls:
        calls = [
            {
                "id": returned.id(call.call),
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
                **returned.with_call(call.call),
            }
            for call in message.calls
        ]
        return {"role": "assistant", "content": message.text or None, "tool_calls": calls}
    if message.images:
        pictures = [
            {
                "type": "image_url",
                "image_url": {"url": f"data:{kind};base64,{base64.b64encode(data).decode()}"},
            }
            for data, kind in message.images
        ]
        return {"role": message.role, "content": [{"type": "text", "text": message.text}, *pictures]}
    return {"role": message.role, "content": message.text}


def _together(first: Any, second: Any) -> Any:
    """Two contents as one: texts, or lists of parts where there are pictures."""
    if not first or not second:
        return first or second
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [*_parts(first), *_parts(second)]


def _parts(content: Any) -> list[Mapping[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content

"""What outlives a connection: the conversation in words, to tell the next one, and what was updated."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from fishjam_agents.backends.port import ToolDeclaration

_REMEMBERED = 100
"""Messages a new connection is told."""


class Memory:
    """One call, over all its connections.

    Attributes:
        instructions: The system prompt as it is now.
        tools: The tools as they are now.
        replies: Replies so far, for their ids.
    """

    def __init__(self, instructions: str | None, tools: Sequence[ToolDeclaration]) -> None:
        self.instructions = instructions
        self.tools = tools
        self.replies = 0
        self._said: deque[list[str]] = deque(maxlen=_REMEMBERED)
        self._replies: dict[str, list[str]] = {}

    def user(self, text: str) -> None:
        """The user said or wrote something."""
        if text.strip():
            self._said.append(["user", text.strip()])

    def reply(self, reply: str, text: str) -> None:
        """More words of a reply."""
        line = self._replies.get(reply)
        if line is None:
            line = self._replies[reply] = ["assistant", ""]
            self._said.append(line)
        line[1] += text

    def heard(self, reply: str, text: str) -> None:
        """No more of a reply than this was heard."""
        line = self._replies.get(reply)
        if line is not None:
            line[1] = f"{text} [interrupted]" if text else ""

    def items(self) -> Iterator[dict[str, Any]]:
        """The conversation as items to create."""
        for role, text in self._said:
            if text.strip():
                kind = "input_text" if role == "user" else "output_text"
                content = [{"type": kind, "text": text.strip()}]
                yield {"type": "message", "role": role, "content": content}

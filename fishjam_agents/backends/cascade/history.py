"""The conversation as the language model is shown it: what was heard, not what was generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fishjam_agents.backends.cascade.parts import Message, Requested
from fishjam_agents.events import Heard

CUT = " [interrupted]"
"""Marks words of the assistant after which nothing was heard any more."""


class History:
    """Messages in order, the instructions first.

    Args:
        instructions: The system prompt.
        limit: Messages that are kept beside it; the oldest go first.
    """

    def __init__(self, instructions: str | None, limit: int) -> None:
        self.instructions = instructions
        self._limit = limit
        self._messages: list[Message] = []
        self._replies: dict[str, Message] = {}
        self._images: list[tuple[bytes, str]] = []

    @property
    def messages(self) -> list[Message]:
        """All of it, for a request."""
        system = [Message("system", self.instructions)] if self.instructions else []
        return [*system, *self._messages]

    def user(self, text: str) -> None:
        """The user said something."""
        self._add(Message("user", text, images=tuple(self._images)))
        self._images.clear()

    def image(self, data: bytes, content_type: str) -> None:
        """A still, shown with the user's next words; only the last one is."""
        self._images = [(data, content_type)]

    def assistant(self, reply: str, text: str) -> None:
        """More of a reply is on its way to the user."""
        before = self._replies.get(reply)
        # After a tool was called, what follows is a message of its own.
        if before is None or self._messages[-1] is not before:
            message = Message("assistant", text)
            self._add(message)
        else:
            message = replace(before, text=f"{before.text} {text}")
            self._messages[-1] = message
        self._replies[reply] = message

    def called(self, calls: Sequence[Requested], answers: Sequence[str]) -> None:
        """The model called tools and was answered, in the same order."""
        self._add(Message("assistant", "", calls=tuple(calls)))
        for call, answer in zip(calls, answers, strict=True):
            self._add(Message("tool", answer, call=call.call))

    def heard(self, heard: Heard) -> None:
        """A reply was cut short: keep what of it was heard."""
        message = self._replies.pop(heard.reply, None)
        index = next((n for n, kept in enumerate(self._messages) if kept is message), None)
        if message is None or index is None:
            return
        if heard.text:
            self._messages[index] = replace(message, text=heard.text + CUT)
        else:
            del self._messages[index]

    def _add(self, message: Message) -> None:
        self._messages.append(message)
        while len(self._messages) > self._limit:
            dropped = self._messages.pop(0)
            # An answer without its call is refused by every vendor.
            while self._messages and self._messages[0].role == "tool":
                self._messages.pop(0)
            self._replies = {reply: kept for reply, kept in self._replies.items() if kept is not dropped}

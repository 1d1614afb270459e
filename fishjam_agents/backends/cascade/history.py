"""The conversation as the language model is shown it: what was heard, not what was generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from fishjam_agents.backends.cascade.components import LLMToolCall, Message
from fishjam_agents.backends.cascade.context import tokens, without_oldest
from fishjam_agents.backends.conversation import (
    CUT,
    UNKNOWN_OUTCOME,
    BotLine,
    PastConversation,
    ToolLine,
    UserLine,
)
from fishjam_agents.events import Heard

_ROOM = 0.8
"""The share of the limit that is kept when it is reached."""
_REPLIES = 64
"""Replies that may still be cut short."""
IMAGES = 3
"""Pictures that go with a user's words: the latest of so many tracks."""


class History:
    """Messages in order, the instructions first.

    Args:
        instructions: The system prompt.
        limit: Tokens that are kept beside it, about; the oldest exchanges go first.

    Attributes:
        instructions: The system prompt.
        version: Differs from before when anything was said since.
    """

    def __init__(self, instructions: str | None, limit: int) -> None:
        self.instructions = instructions
        self.version = 0
        self._limit = limit
        self._messages: list[Message] = []
        # Of each reply that may still be cut short: its messages, in order.
        self._replies: dict[str, list[Message]] = {}
        self._images: dict[tuple[str | None, str | None], tuple[bytes, str]] = {}

    @property
    def unanswered(self) -> bool:
        """True if the assistant has not said anything to what came last."""
        return bool(self._messages) and self._messages[-1].role in ("user", "tool")

    @property
    def messages(self) -> list[Message]:
        """All of it, for a request."""
        system = [Message("system", self.instructions)] if self.instructions else []
        return [*system, *self._messages]

    def followed_by(self, text: str) -> list[Message]:
        """All of it, as if the user had said something; nothing is changed."""
        words = self._of_user(text)
        return [*(message.without_images() if words.images else message for message in self.messages), words]

    def user(self, text: str) -> Message:
        """The user said something; returns the message, for `reworded`."""
        words = self._of_user(text)
        self._images.clear()
        if words.images:
            # Pictures are large, and sent with every request: only the latest are shown.
            self._messages = [message.without_images() for message in self._messages]
        self._add(words)
        return words

    def reworded(self, message: Message, text: str) -> Message:
        """Correct what the user said; nothing where it is known no more.

        Returns:
            The message as it is now.
        """
        index = self._place(message)
        if index is None:
            return message
        self.version += 1
        self._messages[index] = replace(self._messages[index], text=text)
        return self._messages[index]

    def _place(self, message: Message) -> int | None:
        """Return the index of a message, or of the latest like it where its pictures are shown no more."""
        places = [index for index, kept in enumerate(self._messages) if kept is message]
        if not places:
            shown = message.without_images()
            places = [index for index, kept in enumerate(self._messages) if kept == shown]
        return places[-1] if places else None

    def _of_user(self, text: str) -> Message:
        return Message("user", text, images=tuple(self._images.values()))

    def image(self, data: bytes, content_type: str, source: tuple[str | None, str | None]) -> None:
        """A still, shown with the user's next words unless a newer one of its source comes before them."""
        self._images.pop(source, None)
        self._images[source] = (data, content_type)
        if len(self._images) > IMAGES:
            del self._images[next(iter(self._images))]

    def assistant(self, reply: str, text: str) -> None:
        """More of a reply is on its way to the user."""
        parts = self._replies.setdefault(reply, [])
        # After a tool was called, what follows is a message of its own.
        if not parts or self._messages[-1] is not parts[-1]:
            parts.append(Message("assistant", text))
            self._add(parts[-1])
            return
        self.version += 1
        parts[-1] = self._messages[-1] = replace(parts[-1], text=f"{parts[-1].text} {text}")

    def called(self, calls: Sequence[LLMToolCall], answers: Sequence[Message]) -> None:
        """The model called tools and was answered, in the same order."""
        self._add(Message("assistant", "", calls=tuple(calls)))
        for answer in answers:
            self._add(answer)

    def heard(self, heard: Heard) -> None:
        """A reply was cut short: keep what of it was heard, over all its messages."""
        self.version += 1
        rest = heard.text.strip()
        last: int | None = None
        parts = self._replies.pop(heard.reply, [])
        for message in parts:
            length = len(rest) if message is parts[-1] else len(message.text)
            text, rest = rest[:length].rstrip(), rest[length:].lstrip()
            index = next((n for n, kept in enumerate(self._messages) if kept is message), None)
            if index is None:
                continue
            if text:
                self._messages[index] = replace(message, text=text)
                last = index
            else:
                del self._messages[index]
        if last is not None:
            self._messages[last] = replace(self._messages[last], text=self._messages[last].text + CUT)

    def continues(self, conversation: PastConversation) -> None:
        """Messages of before this process served the call."""
        for line in conversation.lines:
            match line:
                case UserLine():
                    self._add(Message("user", line.text))
                case BotLine():
                    if line.heard:
                        self._add(Message("assistant", line.heard + (CUT if line.cut else "")))
                case ToolLine():
                    answer = UNKNOWN_OUTCOME if line.result is None else line.result
                    told = Message("tool", answer, call=line.call, error=line.result is None)
                    self.called([LLMToolCall(line.call, line.name, line.arguments)], [told])
                case _:
                    assert_never(line)

    def full(self, fits: int) -> None:
        """A model has no room for more tokens than these."""
        if fits < self._limit:
            self._limit = fits

    def _add(self, message: Message) -> None:
        self.version += 1
        self._messages.append(message)
        if tokens(self._messages) > self._limit:
            # Some more than must: what servers know of the beginning of a request is of no use after that.
            self._messages = without_oldest(self._messages, round(_ROOM * self._limit))
        if len(self._replies) > _REPLIES:
            del self._replies[next(iter(self._replies))]

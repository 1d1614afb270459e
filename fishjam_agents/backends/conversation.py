"""The conversation of a call before this process served it, as a backend is told it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never


@dataclass(frozen=True, slots=True)
class UserLine:
    """Words of a user, spoken or written."""

    text: str
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class BotLine:
    """A reply.

    Attributes:
        heard: The words that were heard of it.
        unheard: The words that nobody heard because the process was lost; empty where a user cut it short.
        cut: Whether it ended before its time.
    """

    heard: str
    unheard: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ToolLine:
    """A call of a tool.

    Attributes:
        call: Its id, unique in the conversation.
        name: The tool.
        arguments: By parameter.
        result: What the model was told; None where nobody knows what came of it.
    """

    call: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    result: str | None = None


ConversationLine: TypeAlias = UserLine | BotLine | ToolLine

UNKNOWN_OUTCOME = "The outcome is unknown: the line was lost while it ran. It was not run again."
"""Text for the model in place of a result that nobody knows."""


@dataclass(frozen=True, slots=True)
class PastConversation:
    """Messages and tool calls, oldest first.

    Attributes:
        lines: The lines.
        lost: Seconds since the last sign of the process that was lost.
        instructions: The system prompt as it was last; None where it was never set.
        bot: Name of the bot that had taken the call over; None where it was the one that began.
        unanswered: Whether a user's turn has no answer yet.
        unworded: Whether the words of that turn are not known.
        half: Words so far of a user who was speaking when the line was lost, "" where they are not known;
            None where nobody was.
        handle: By which the vendor's session can be resumed, of the backend of type `handle_of`.
        handle_of: Name of that backend's class.
        handle_age: Seconds since it came.
        handle_lines: Number of lines that were there when it came: the session knows these.
    """

    lines: Sequence[ConversationLine] = ()
    lost: float = 0.0
    instructions: str | None = None
    bot: str | None = None
    unanswered: bool = False
    unworded: bool = False
    half: str | None = None
    handle: str | None = None
    handle_of: str | None = None
    handle_age: float = 0.0
    handle_lines: int = 0

    @property
    def unknown(self) -> Sequence[ToolLine]:
        """Calls of tools of which nobody knows what came of them."""
        return [line for line in self.lines if isinstance(line, ToolLine) and line.result is None]

    @property
    def unheard(self) -> Sequence[BotLine]:
        """Replies that were lost before they were heard to their end."""
        return [line for line in self.lines if isinstance(line, BotLine) and line.unheard]


CUT = " [interrupted]"
"""Marks words of the bot after which nothing was heard any more."""
_CHARACTERS = 8000
"""Of the conversation, the latest, in instructions: they are part of every request."""


def told_in_words(instructions: str | None, conversation: PastConversation) -> str | None:
    """Return instructions that end with what was said, for a model that is told it in no other way."""
    told: list[str] = []
    room = _CHARACTERS
    for line in reversed(conversation.lines):
        text = _in_words(line)
        room -= len(text)
        if room < 0:
            break
        if text:
            told.append(text)
    if not told:
        return instructions
    begun = [] if instructions is None else [instructions, ""]
    return "\n".join([*begun, "The conversation is under way. So far was said:", *reversed(told)])


def _in_words(line: ConversationLine) -> str:
    match line:
        case UserLine():
            return f"user: {line.text}"
        case BotLine():
            return f"you: {line.heard}{CUT if line.cut else ''}" if line.heard else ""
        case ToolLine():
            return f"{line.name} was called: {line.result or UNKNOWN_OUTCOME}"
        case _:
            assert_never(line)

"""The conversation so far in words, as far as they are known: what a backend that stands in is told."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, assert_never

from fishjam_agents.backends.conversation import (
    UNKNOWN_OUTCOME,
    BotLine,
    PastConversation,
    ToolLine,
    UserLine,
)
from fishjam_agents.events import Heard

_CHARACTERS = 8000
"""Of the conversation that are kept, the latest: what goes into every request of a model has a price."""
_INTRODUCTION = "You take over a conversation that is under way. So far was said:"
_REQUEST = "Go on from there, and do not greet again."
_BROKEN_OFF = " [broken off]"


@dataclass(slots=True)
class _Line:
    who: Literal["user", "you", "note"]
    text: str
    reply: str | None = None

    def __str__(self) -> str:
        return self.text if self.who == "note" else f"{self.who}: {self.text}"


class Transcript:
    """Lines of both sides, oldest first."""

    def __init__(self) -> None:
        self._lines: deque[_Line] = deque()
        self._characters = 0

    def __str__(self) -> str:
        """Return the text for the end of the instructions; empty if nothing was said."""
        lines = [str(line) for line in self._lines if line.text.strip()]
        return "\n".join([_INTRODUCTION, *lines, _REQUEST]) if lines else ""

    def continues(self, conversation: PastConversation) -> None:
        """Messages of before this process served the call."""
        for line in conversation.lines:
            match line:
                case UserLine():
                    self.user(line.text)
                case BotLine():
                    if line.heard:
                        self._add(_Line("you", line.heard + (_BROKEN_OFF if line.cut else "")))
                case ToolLine():
                    self.note(f"[{line.name} was called: {line.result or UNKNOWN_OUTCOME}]")
                case _:
                    assert_never(line)

    def user(self, text: str) -> None:
        """The user said or wrote something."""
        self._add_once(_Line("user", " ".join(text.split())))

    def note(self, text: str) -> None:
        """The backend was told something that is not to be answered."""
        self._add_once(_Line("note", text))

    def reply(self, reply: str, text: str) -> None:
        """More words of a reply."""
        line = self._find(reply)
        if line is None:
            self._add(_Line("you", text.lstrip(), reply))
        else:
            self._change(line, line.text + text)

    def heard(self, heard: Heard) -> None:
        """A reply was cut short: only what was heard of it was said."""
        line = self._find(heard.reply)
        if line is not None:
            self._change(line, heard.text + _BROKEN_OFF if heard.text else "")

    def broken(self, reply: str) -> None:
        """A reply was lost with its backend."""
        line = self._find(reply)
        if line is not None:
            self._change(line, line.text + _BROKEN_OFF)

    def _find(self, reply: str) -> _Line | None:
        return next((line for line in reversed(self._lines) if line.reply == reply), None)

    def _add_once(self, line: _Line) -> None:
        # What is sent to two backends is understood by both.
        if not self._lines or self._lines[-1] != line:
            self._add(line)

    def _add(self, line: _Line) -> None:
        self._lines.append(line)
        self._count(len(line.text))

    def _change(self, line: _Line, text: str) -> None:
        added = len(text) - len(line.text)
        line.text = text
        self._count(added)

    def _count(self, characters: int) -> None:
        self._characters += characters
        while self._characters > _CHARACTERS and len(self._lines) > 1:
            self._characters -= len(self._lines.popleft().text)
        if self._characters > _CHARACTERS:
            line = self._lines[0]
            line.text = line.text[-_CHARACTERS:]
            self._characters = len(line.text)

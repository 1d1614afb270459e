"""From the entries of a call to the conversation that goes on: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import assert_never

from fishjam_agents.backends.conversation import (
    BotLine,
    ConversationLine,
    PastConversation,
    ToolLine,
    UserLine,
)
from fishjam_agents.journal.entries import (
    BotChanged,
    BotHeard,
    BotSaid,
    CallBegan,
    CallEnded,
    HandleCame,
    InstructionsChanged,
    JournalEntry,
    PeerCame,
    ToolEnded,
    ToolIntended,
    TurnEnded,
    UserSaid,
    UserSpeaks,
)

_NOT_KNOWN = frozenset({"cancelled", "abandoned"})
"""Outcomes after which nobody knows what a tool has done: the call ended while it ran."""


@dataclass(slots=True)
class _Reply:
    heard: str = ""
    over: bool = False
    cut: bool = False
    parts: list[_Part] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Part:
    """Words of a reply between two calls of tools."""

    reply: _Reply
    text: str = ""

    def line(self) -> BotLine | None:
        reply = self.reply
        before = 0
        for part in reply.parts:
            if part is self:
                break
            before += len(part.text)
        is_last = self is reply.parts[-1]
        heard = reply.heard[before:] if is_last else reply.heard[before : before + len(self.text)]
        unheard = "" if reply.over else self.text[len(heard) :].strip()
        cut = bool(unheard) or (reply.cut and (is_last or len(heard) < len(self.text)))
        return BotLine(heard.strip(), unheard, cut) if heard.strip() or unheard else None


@dataclass(slots=True)
class _Tool:
    id: str
    intended: ToolIntended
    result: str | None = None

    def line(self) -> ToolLine:
        return ToolLine(self.id, self.intended.name, self.intended.arguments, self.result)


def recover(entries: Iterable[tuple[int, JournalEntry]], now: float) -> PastConversation:
    """Return the conversation as far as it is known.

    Args:
        entries: In order, each with the number of the process that wrote it. Ids of replies and of calls are
            unique in a process only.
        now: Seconds since the epoch.
    """
    return _Recovery(entries).conversation(now)


class _Recovery:
    def __init__(self, entries: Iterable[tuple[int, JournalEntry]]) -> None:
        self._lines: list[UserLine | _Part | _Tool] = []
        self._replies: dict[tuple[int, str], _Reply] = {}
        self._tools: dict[str, _Tool] = {}
        self._last = 0.0
        self._instructions: str | None = None
        self._bot: str | None = None
        self._unanswered = self._unworded = False
        # Words so far of those who are speaking, by peer.
        self._halves: dict[str | None, str] = {}
        self._handle: HandleCame | None = None
        self._handle_lines = 0
        for epoch, entry in entries:
            self._last = max(self._last, entry.at)
            self._take(epoch, entry)

    def _take(self, epoch: int, entry: JournalEntry) -> None:
        match entry:
            case InstructionsChanged():
                self._instructions = entry.instructions
            case BotChanged():
                # A handle of the one before is of no use to it.
                self._bot, self._handle = entry.bot, None
            case UserSpeaks():
                self._halves.pop(entry.peer, None)
                if not entry.over:
                    self._halves[entry.peer] = entry.text
            case TurnEnded():
                self._halves.pop(entry.peer, None)
                self._unanswered = self._unworded = True
            case UserSaid():
                self._halves.pop(entry.peer, None)
                self._lines.append(UserLine(entry.text, entry.peer))
                self._unanswered, self._unworded = True, False
            case BotSaid():
                # It answers, and so it has heard enough.
                self._halves.clear()
                self._part(epoch, entry.reply).text += entry.text
                self._unanswered = self._unworded = False
            case BotHeard():
                self._heard(epoch, entry)
            case ToolIntended():
                id = f"{entry.call}~{epoch}"
                if entry.again in self._tools:
                    self._tools[id] = self._tools[entry.again]
                    return
                self._tools[id] = _Tool(id, entry)
                self._lines.append(self._tools[id])
                self._unanswered, self._unworded = True, False
            case ToolEnded():
                # A process that goes on with the call knows those of the ones before by their whole ids.
                known = self._tools.get(f"{entry.call}~{epoch}") or self._tools.get(entry.call)
                if known is not None and entry.outcome not in _NOT_KNOWN:
                    known.result = entry.result
            case HandleCame():
                self._handle, self._handle_lines = entry, len(self._lines)
            case CallBegan() | PeerCame() | CallEnded():
                pass
            case _:
                assert_never(entry)

    def _part(self, epoch: int, id: str) -> _Part:
        reply = self._replies.get((epoch, id))
        if reply is None:
            # A process that speaks was told before what had not been heard.
            for (earlier, _), lost in self._replies.items():
                if earlier < epoch and not lost.over:
                    lost.over = lost.cut = True
            reply = self._replies[epoch, id] = _Reply()
        if not reply.parts or any(isinstance(line, _Tool) for line in self._after(reply.parts[-1])):
            reply.parts.append(_Part(reply))
            self._lines.append(reply.parts[-1])
        return reply.parts[-1]

    def _after(self, part: _Part) -> Iterator[UserLine | _Part | _Tool]:
        """The lines after one, the last first."""
        for line in reversed(self._lines):
            if line is part:
                return
            yield line

    def _heard(self, epoch: int, entry: BotHeard) -> None:
        reply = self._replies.get((epoch, entry.reply))
        if reply is None:
            # Sound without words.
            if entry.seconds:
                self._unanswered = self._unworded = False
            return
        reply.heard = entry.text
        reply.over = reply.over or entry.over
        reply.cut = reply.cut or entry.cut

    def conversation(self, now: float) -> PastConversation:
        lines: list[ConversationLine] = []
        handle_lines = 0
        for index, line in enumerate(self._lines):
            if index == self._handle_lines:
                handle_lines = len(lines)
            shown = line if isinstance(line, UserLine) else line.line()
            if shown is not None:
                lines.append(shown)
        if self._handle_lines >= len(self._lines):
            handle_lines = len(lines)
        handle = self._handle
        return PastConversation(
            lines,
            lost=max(0.0, now - self._last),
            instructions=self._instructions,
            bot=self._bot,
            unanswered=self._unanswered,
            unworded=self._unworded,
            half=" ".join(filter(None, self._halves.values())) if self._halves else None,
            handle=None if handle is None else handle.handle,
            handle_of=None if handle is None else handle.backend,
            handle_age=0.0 if handle is None else max(0.0, now - handle.at),
            handle_lines=handle_lines,
        )

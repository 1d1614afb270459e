"""What was said and done in a call so far, kept for a model that goes on with it."""

from __future__ import annotations

import time
from collections import deque

from fishjam_agents.backends.conversation import BotLine, ConversationLine, PastConversation, ToolLine
from fishjam_agents.events import Event
from fishjam_agents.journal.entries import JournalEntry
from fishjam_agents.journal.recovery import recover
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.journal_watcher import JournalWatcher
from fishjam_agents.pipeline.replies import Replies

_ENTRIES = 4000
"""Entries that are kept, the latest: hours of talk."""


class ConversationRecord:
    """The entries of a journal, in memory. A `Watcher`.

    Args:
        context: The call.
        replies: Its replies.
        earlier: What was said before this process served the call.
    """

    def __init__(
        self, context: CallContext, replies: Replies, earlier: PastConversation | None = None
    ) -> None:
        self._earlier = () if earlier is None else earlier.lines
        self._entries: deque[JournalEntry] = deque(maxlen=_ENTRIES)
        self._watcher = JournalWatcher(context, self, replies, "", lambda: True)
        context.events.watch(self)

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def put(self, entry: JournalEntry) -> None:
        """Keep an entry."""
        self._entries.append(entry)

    def event(self, event: Event) -> None:
        """Part of `Watcher`."""
        self._watcher.event(event)

    def written(self, text: str, peer: str | None) -> None:
        """Take what the model is told in writing, to be answered."""
        self._watcher.written(text, peer)

    @property
    def conversation(self) -> PastConversation:
        """The conversation up to now: of what is being said, the part that was heard."""
        self._watcher.tick(float("inf"))
        said = recover(((1, entry) for entry in self._entries), self.now())
        lines = [_as_said(line) for line in said.lines if not _is_running(line)]
        return PastConversation([*self._earlier, *lines])


def _is_running(line: ConversationLine) -> bool:
    """Return whether it is a tool whose answer is still to come."""
    return isinstance(line, ToolLine) and line.result is None


def _as_said(line: ConversationLine) -> ConversationLine:
    """Return a line as it will have been heard: what is being said goes on."""
    if isinstance(line, BotLine) and line.unheard:
        return BotLine(f"{line.heard} {line.unheard}".strip())
    return line

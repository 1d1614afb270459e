"""Writes what happens in a call to its journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fishjam_agents import events
from fishjam_agents.events import Event, Heard
from fishjam_agents.journal.entries import (
    BotChanged,
    BotHeard,
    BotSaid,
    CallBegan,
    HandleCame,
    InstructionsChanged,
    JournalEntry,
    PeerCame,
    TurnEnded,
    UserSaid,
    UserSpeaks,
)
from fishjam_agents.journal.journal import CallJournal
from fishjam_agents.pipeline.bot import Bot
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.replies import Replies
from fishjam_agents.session import OutgoingTrack

INTERVAL = 0.2
"""Seconds after which new words, and what was heard of them, are written."""


class EntryTaker(Protocol):
    """Taker of entries: a call's journal, or what was said so far in memory."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def put(self, entry: JournalEntry) -> None:
        """Take an entry. Never waits."""
        ...


class JournalWatcher:
    """A `Watcher` of one call.

    Args:
        context: The call.
        journal: Its journal.
        replies: Its replies.
        backend: Name of the backend's class.
        is_connected: Whether the session with the room is connected.
    """

    def __init__(
        self,
        context: CallContext,
        journal: EntryTaker,
        replies: Replies,
        backend: str,
        is_connected: Callable[[], bool],
    ) -> None:
        self._context = context
        self._journal = journal
        self._replies = replies
        self._backend = backend
        self._is_connected = is_connected
        self._arrived: list[str] = []
        self._words: dict[str, str] = {}
        self._heard: Heard | None = None
        self._next = 0.0
        # What is known and written of those who are speaking, by peer.
        self._speaking: dict[str | None, str] = {}
        self._spoken: dict[str | None, str] = {}
        self._ending = False

    def event(self, event: Event) -> None:
        """Part of `Watcher`."""
        journal, now = self._journal, self._journal.now()
        if isinstance(event, events.ReplyText):
            self._words[event.reply] = self._words.get(event.reply, "") + event.text
        elif isinstance(event, (events.ReplyEnded, events.ReplyInterrupted)):
            cut = isinstance(event, events.ReplyInterrupted)
            self._write_words()
            self._write_heard(event.heard, over=not (cut and self._ending), cut=cut)
        elif isinstance(event, events.UserStartedSpeaking):
            self._speaking.setdefault(event.peer, "")
        elif isinstance(event, events.UserTurnEnded):
            is_written = self._forget_speaking(event.peer)
            if event.reason != "cancelled":
                self._write_words()
                journal.put(TurnEnded(now, event.turn, event.peer))
            elif is_written:
                journal.put(UserSpeaks(now, event.peer, over=True))
        elif isinstance(event, events.UserTranscript):
            if not event.final:
                if event.peer in self._speaking:
                    self._speaking[event.peer] = event.text
            elif event.text.strip():
                self._write_words()
                journal.put(UserSaid(now, event.text, event.peer))
                if event.peer in self._speaking:
                    # More of the turn may follow.
                    self._speaking[event.peer] = self._spoken[event.peer] = ""
        elif isinstance(event, (events.ToolStarted, events.ToolCalled)):
            # `CallTools` writes these, with what the tool was given; words come before them.
            self._write_words()
        elif isinstance(event, events.PeerJoined):
            self._arrived.append(event.peer)
            self._write_arrived()

    def tick(self, now: float) -> None:
        """Part of `Watcher`."""
        if now < self._next:
            return
        self._next = now + INTERVAL
        self._write_words()
        self._write_speaking()
        self._write_arrived()
        reply = self._replies.current_reply
        if reply is None:
            return
        heard = self._replies.heard(reply)
        if self._heard is None or (heard.reply, heard.text) != (self._heard.reply, self._heard.text):
            self._write_heard(heard)

    def written(self, text: str, peer: str | None) -> None:
        """Take what the model is told in writing, to be answered."""
        self._write_words()
        self._journal.put(UserSaid(self._journal.now(), text, peer))

    def instructed(self, instructions: str) -> None:
        """Take new instructions; from whichever thread."""
        entry = InstructionsChanged(self._journal.now(), instructions)
        self._context.loop.call_soon_threadsafe(self._journal.put, entry)

    def changed(self, bot: str, backend: str, instructions: str | None) -> None:
        """Take that another bot goes on with the call."""
        self._write_words()
        self._backend = backend
        self._journal.put(BotChanged(self._journal.now(), bot))
        self._journal.put(InstructionsChanged(self._journal.now(), instructions or ""))

    def handle_came(self, handle: str) -> None:
        """Take the handle of the vendor's session."""
        self._write_words()
        self._journal.put(HandleCame(self._journal.now(), self._backend, handle))

    def end(self) -> None:
        """The call ends: what is cut from now on was cut by nobody in the room."""
        self._ending = True
        self._write_words()

    def _write_words(self) -> None:
        if self._words:
            words, self._words = self._words, {}
            for reply, text in words.items():
                self._journal.put(BotSaid(self._journal.now(), reply, text))

    def _write_arrived(self) -> None:
        # While its session is lost the bot is not there: if it does not come back, nobody who came meanwhile
        # has taken part.
        if self._arrived and self._is_connected():
            for peer in self._arrived:
                self._journal.put(PeerCame(self._journal.now(), peer))
            self._arrived.clear()

    def _write_speaking(self) -> None:
        for peer, text in self._speaking.items():
            if self._spoken.get(peer) != text:
                self._spoken[peer] = text
                self._journal.put(UserSpeaks(self._journal.now(), peer, text))

    def _forget_speaking(self, peer: str | None) -> bool:
        """A turn is over; true if its beginning was written."""
        self._speaking.pop(peer, None)
        return self._spoken.pop(peer, None) is not None

    def _write_heard(self, heard: Heard, *, over: bool = False, cut: bool = False) -> None:
        self._heard = heard
        seconds = round(heard.seconds, 3)
        self._journal.put(BotHeard(self._journal.now(), heard.reply, heard.text, seconds, over, cut))


def begin_journal(
    context: CallContext, bot: Bot, journal: CallJournal, replies: Replies, track: OutgoingTrack
) -> JournalWatcher:
    """Have the journal of a call written from now on."""
    backend = type(bot.backend).__name__
    journal.put(CallBegan(journal.now(), backend, bot.instructions))
    watcher = JournalWatcher(context, journal, replies, backend, lambda: getattr(track, "ready", True))
    context.events.watch(watcher)
    return watcher

"""Utterances for the log: one line for what somebody said, not one for every word of it."""

from __future__ import annotations

from fishjam_agents import events
from fishjam_agents.events import Event

_MOST = 50
"""Replies whose words are collected at a time; a call has one or two."""


class Utterances:
    """Passes events on, with the words of replies put together and without words that are not settled."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}

    def take(self, event: Event) -> list[Event]:
        """The events to log for one that has come, in order."""
        match event:
            case events.UserTranscript() if not event.final:
                return []
            case events.ReplyText():
                if event.reply not in self._words and len(self._words) >= _MOST:
                    del self._words[next(iter(self._words))]
                self._words[event.reply] = self._words.get(event.reply, "") + event.text
                return []
            case events.ReplyGenerated() | events.ReplyEnded() | events.ReplyInterrupted():
                return [*self._said(event.reply, event.at), event]
            case events.CallEnded():
                left = [one for reply in list(self._words) for one in self._said(reply, event.at)]
                return [*left, event]
            case _:
                return [event]

    def _said(self, reply: str, at: float) -> list[Event]:
        text = self._words.pop(reply, "").strip()
        return [events.ReplyText(at, reply, text)] if text else []

"""Words of a call as its observers get them: as they are, or as the bot's `redact` leaves them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from fishjam_agents import events
from fishjam_agents.event_base import Heard
from fishjam_agents.events import Event

_SENTENCE_END = re.compile(r"[.!?…。]\s*$")
"""End of what is given to `redact` at once: a number may come in several pieces."""
_LONGEST = 2000
"""Characters of a reply that wait for the end of a sentence."""


class EventRedaction:
    """Redacts the words of events.

    Pieces of a reply are held back until their sentence, or the reply, is over: a number that a model says in
    several pieces is seen as a whole.

    Args:
        text: Returns what may be shown of a text, None for nothing.
    """

    def __init__(self, text: Callable[[str], str | None]) -> None:
        self._text = text
        self._pieces: dict[str, str] = {}

    def shown(self, event: Event) -> Iterator[Event]:
        """The events that observers get in place of one."""
        match event:
            case events.ReplyText():
                words = self._pieces.pop(event.reply, "") + event.text
                if _SENTENCE_END.search(words) or len(words) > _LONGEST:
                    yield replace(event, text=self._redacted(words))
                else:
                    self._pieces[event.reply] = words
                return
            case events.UserTranscript() | events.UserText():
                yield replace(event, text=self._redacted(event.text))
                return
            case events.ReplyEnded() | events.ReplyInterrupted():
                yield from self._rest(event.reply, event.at)
                yield replace(event, heard=self._heard(event.heard))
                return
            case events.ReplyGenerated():
                yield from self._rest(event.reply, event.at)
            case events.CallEnded():
                for reply in tuple(self._pieces):
                    yield from self._rest(reply, event.at)
            case _:
                pass
        yield event

    def _rest(self, reply: str, at: float) -> Iterator[Event]:
        words = self._pieces.pop(reply, "")
        if words:
            yield events.ReplyText(at, reply, self._redacted(words))

    def _heard(self, heard: Heard) -> Heard:
        return replace(heard, text=self._redacted(heard.text)) if heard.text else heard

    def _redacted(self, text: str) -> str:
        return self._text(text) or ""

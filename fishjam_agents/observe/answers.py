"""Answers of a running call: which turn a reply answers, and how long that took.

The same pairs, with the same latencies, as a report finds in the whole timeline (`report/call.py`).
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from fishjam_agents import events
from fishjam_agents.events import Event

T = TypeVar("T")

_KEPT = 64
"""Turns, replies and spans of speech that are remembered, the latest ones."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that has begun to sound, and the turn it answers. Times are call time, in seconds.

    Attributes:
        reply: Id of the reply.
        turn: Id of the turn.
        peer: Who spoke; None where that is not known.
        spoken: When the speech ended.
        decided: When the turn was known to be over.
        started: When the backend began the reply.
        sounded: When its first audio was on the wire.
        waited: Whether somebody else, or another reply, sounded meanwhile: it had to wait.
    """

    reply: str
    turn: str
    peer: str | None
    spoken: float
    decided: float
    started: float
    sounded: float
    waited: bool

    @property
    def seconds(self) -> float:
        """Response latency: from the end of the speech to the first audio."""
        return self.sounded - self.spoken


@dataclass(frozen=True, slots=True)
class _Span:
    owner: str | None
    start: float
    end: float = math.inf


class AnswerTracker:
    """Follows a call by its events, in bounded memory."""

    def __init__(self) -> None:
        self._turns: deque[events.UserTurnEnded] = deque(maxlen=_KEPT)
        self._unasked: OrderedDict[str, events.ReplyStarted] = OrderedDict()
        self._answering: OrderedDict[str, tuple[events.ReplyStarted, events.UserTurnEnded]] = OrderedDict()
        self._sounded: OrderedDict[str, float] = OrderedDict()
        self._speech: OrderedDict[str, _Span] = OrderedDict()
        self._said: deque[_Span] = deque(maxlen=_KEPT)
        self._replies: OrderedDict[str, _Span] = OrderedDict()

    def take(self, event: Event) -> Answer | None:
        """Take an event of the call.

        Returns:
            The answer that has just been found: it has begun to sound, and its turn is over.
        """
        match event:
            case events.UserStartedSpeaking():
                # A second onset without an end between goes on with the first.
                self._speech.setdefault(event.track, _Span(event.peer, event.media_at))
                _bound(self._speech)
            case events.UserStoppedSpeaking():
                span = self._speech.pop(event.track, None)
                if span is not None:
                    self._said.append(replace(span, end=max(event.media_at, span.start)))
            case events.UserTurnEnded():
                return self._turn_ended(event)
            case events.ReplyStarted():
                self._reply_started(event)
            case events.ReplyFirstAudio():
                self._replies[event.reply] = _Span(event.reply, event.at)
                self._sounded[event.reply] = event.at
                _bound(self._replies)
                _bound(self._sounded)
                return self._answer(event.reply)
            case events.ReplyEnded() | events.ReplyInterrupted():
                span = self._replies.get(event.reply)
                if span is not None:
                    self._replies[event.reply] = replace(span, end=event.at)
                self._unasked.pop(event.reply, None)
                self._answering.pop(event.reply, None)
            case _:
                pass
        return None

    def _reply_started(self, event: events.ReplyStarted) -> None:
        ready = [
            turn
            for turn in self._turns
            if turn.media_at <= event.at and (event.peer is None or event.peer == turn.peer)
        ]
        if not ready:
            self._unasked[event.reply] = event
            _bound(self._unasked)
            return
        self._pair(event, max(ready, key=lambda turn: turn.media_at))
        for turn in [turn for turn in ready if turn.peer == self._answering[event.reply][1].peer]:
            self._turns.remove(turn)

    def _turn_ended(self, event: events.UserTurnEnded) -> Answer | None:
        # A model that detects turns itself may begin before our detection knows.
        for reply, started in self._unasked.items():
            if event.media_at <= started.at and (started.peer is None or started.peer == event.peer):
                del self._unasked[reply]
                self._pair(started, event)
                return self._answer(reply)
        self._turns.append(event)
        return None

    def _pair(self, started: events.ReplyStarted, turn: events.UserTurnEnded) -> None:
        self._answering[started.reply] = (started, turn)
        _bound(self._answering)

    def _answer(self, reply: str) -> Answer | None:
        pair, sounded = self._answering.get(reply), self._sounded.get(reply)
        if pair is None or sounded is None:
            return None
        del self._answering[reply]
        started, turn = pair
        others: Iterable[_Span] = (
            *(span for span in (*self._said, *self._speech.values()) if span.owner != turn.peer),
            *(span for name, span in self._replies.items() if name != reply),
        )
        waited = any(span.start < sounded and span.end > turn.media_at for span in others)
        return Answer(reply, turn.turn, turn.peer, turn.media_at, turn.at, started.at, sounded, waited)


def _bound(known: OrderedDict[str, T]) -> None:
    while len(known) > _KEPT:
        known.popitem(last=False)

"""The backend's events: replies to the voice, everything else to whom it concerns."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from fishjam_agents import events
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.events import Event, Heard
from fishjam_agents.playout.voice import Voice

_DEAD_REMEMBERED = 256
"""Ids of ended replies that are remembered, so that their late audio is dropped."""


class Verdicts(Protocol):
    """What the owner of turn-taking wants to know of the backend."""

    def reply_begins(self) -> None:
        """A reply is about to begin."""
        ...

    def user_speech(self, speaking: bool) -> None:
        """The model's own turn detection spoke."""
        ...

    def interrupted(self) -> None:
        """The model interrupts its reply."""
        ...


class Replies:
    """Replies of one call: from the backend, and local ones (`play`).

    Args:
        voice: Where they are played.
        now: Call time.
        emit: Takes our events.
        hook: Starts a hook of the pipeline.
    """

    def __init__(
        self,
        voice: Voice,
        now: Callable[[], float],
        emit: Callable[[Event], None],
        hook: Callable[..., None],
    ) -> None:
        self._voice = voice
        self._now = now
        self._emit = emit
        self._hook = hook
        self._dead: OrderedDict[str, None] = OrderedDict()
        self._full: set[str] = set()
        self._seconds: dict[str, float] = {}
        self._local = itertools.count(1)
        self.verdicts: Verdicts | None = None

    def handle(self, event: port.BackendEvent) -> None:
        """Take an event of the backend. Synchronous; awaits no user code."""
        if isinstance(event, port.ReplyAudio):
            self._audio(event.reply, event.samples)
        elif isinstance(event, port.ReplyStarted):
            self._begin(event.reply)
        elif isinstance(event, port.ReplyText):
            self._text(event)
        elif isinstance(event, port.ReplyEnded):
            self._generated(event.reply)
        elif isinstance(event, port.UserTranscript):
            self._emit(events.UserTranscript(self._now(), event.text, event.final, event.peer))
            self._hook("on_transcript", event.text, event.final, event.peer)
        elif isinstance(event, port.UserSpeech):
            if self.verdicts is not None:
                self.verdicts.user_speech(event.speaking)
        elif isinstance(event, port.Interrupted):
            if self.verdicts is not None:
                self.verdicts.interrupted()
        elif isinstance(event, port.ToolCall):
            self._emit(events.ToolCalled(self._now(), event.name, event.call))
        elif isinstance(event, port.Warning):
            self._emit(events.BackendWarning(self._now(), event.message))
        elif isinstance(event, port.Failure):
            self._emit(events.BackendFailure(self._now(), event.message, event.failure, event.retryable))

    def _begin(self, reply: str) -> bool:
        if reply in self._dead:
            return False
        if not self._voice.lives(reply):
            if self.verdicts is not None:
                self.verdicts.reply_begins()
            self._voice.begin(reply)
            self._emit(events.ReplyStarted(self._now(), reply))
            self._hook("on_reply_started", reply)
        return True

    def _audio(self, reply: str, samples: Samples) -> None:
        if not self._begin(reply) or self._voice.write(reply, samples):
            return
        if reply not in self._full and reply not in self._dead:
            self._full.add(reply)
            message = f"the playout buffer is full, audio of {reply} is dropped: raise playout.max_buffer"
            self._emit(events.BackendWarning(self._now(), message))

    def _text(self, event: port.ReplyText) -> None:
        if self._begin(event.reply):
            self._voice.add_text(event.reply, event.text, event.at)
            self._emit(events.ReplyText(self._now(), event.reply, event.text))

    def _generated(self, reply: str) -> None:
        seconds = self._voice.finish(reply)
        if seconds is not None:
            self._seconds[reply] = seconds
            self._emit(events.ReplyGenerated(self._now(), reply, round(seconds, 3)))

    def play(self, samples: Samples, text: str | None = None) -> str:
        """Play a recording as a reply of our own: int16 mono at the backend's output rate."""
        reply = f"play-{next(self._local)}"
        self._begin(reply)
        if text:
            self._text(port.ReplyText(reply, text))
        self._audio(reply, samples)
        self._generated(reply)
        return reply

    def played(self, heard: Heard) -> None:
        """The last sample of a reply has been played."""
        self._bury(heard.reply)
        self._emit(events.ReplyEnded(self._now(), heard.reply, heard))
        self._hook("on_reply_ended", self._speech(heard, interrupted=False))

    def interrupt(self) -> Heard | None:
        """Cut every reply short.

        Returns:
            What was heard of the one that was playing, None when there was none.
        """
        cut = self._voice.interrupt()
        for heard in cut:
            self._bury(heard.reply)
            self._emit(events.ReplyInterrupted(self._now(), heard.reply, heard))
            self._hook("on_interrupted", heard)
            self._hook("on_reply_ended", self._speech(heard, interrupted=True))
        return cut[0] if cut else None

    def _speech(self, heard: Heard, *, interrupted: bool) -> events.Speech:
        seconds = self._seconds.pop(heard.reply, heard.seconds)
        return events.Speech(heard.reply, seconds, heard, interrupted)

    def _bury(self, reply: str) -> None:
        self._full.discard(reply)
        self._dead[reply] = None
        if len(self._dead) > _DEAD_REMEMBERED:
            self._dead.popitem(last=False)

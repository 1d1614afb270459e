"""The backend's events: replies to the voice, everything else to whom it concerns."""

from __future__ import annotations

import itertools
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from fishjam_agents import events
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.events import Event, Heard
from fishjam_agents.pipeline.speech import Speech
from fishjam_agents.playout.voice import Voice

_DEAD_REMEMBERED = 256
"""Ids of ended replies that are remembered, so that their late audio is dropped."""
_FIRST = sys.maxsize
"""A priority above all others."""


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
        self._fillers: set[str] = set()
        self._speeches: dict[str, Speech] = {}
        self._local = itertools.count(1)
        self._said = itertools.count(1)
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
            speech = self._speeches.get(reply)
            if speech is None:
                speech = self._speeches[reply] = Speech(reply, self)
            # A filler goes ahead of what has nothing to say yet, and gives way once that has.
            self._voice.begin(reply, _FIRST if speech.filler else speech.priority, speech.interruptible)
            self._emit(events.ReplyStarted(self._now(), reply))
            self._hook("on_reply_started", reply)
        return True

    def _audio(self, reply: str, samples: Samples) -> None:
        if not self._begin(reply):
            return
        if self._voice.write(reply, samples):
            if self._fillers and reply not in self._fillers:
                for filler in tuple(self._fillers):
                    self.drop(filler)
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
            self._emit(events.ReplyGenerated(self._now(), reply, round(seconds, 3)))

    # --- what the bot says by itself ---

    def play(
        self,
        samples: Samples,
        text: str | None = None,
        *,
        priority: int = 0,
        interruptible: bool = True,
        filler: bool = False,
    ) -> Speech:
        """Play a recording as a reply of our own: int16 mono at the backend's output rate."""
        name = f"play-{next(self._local)}"
        speech = Speech(name, self, priority=priority, interruptible=interruptible, filler=filler)
        self._speeches[name] = speech
        if filler and any(self._voice.seconds(reply) for reply in self._speeches):
            self.drop(name)
            return speech
        if filler:
            self._fillers.add(name)
        self._begin(name)
        if text:
            self._text(port.ReplyText(name, text))
        self._audio(name, samples)
        self._generated(name)
        return speech

    def expect(self, *, priority: int = 0, interruptible: bool = True) -> Speech:
        """A reply that the backend was asked for, by an id of ours (`TextEntry.reply`)."""
        speech = Speech(f"say-{next(self._said)}", self, priority=priority, interruptible=interruptible)
        self._speeches[speech.id] = speech
        return speech

    # --- what Speech needs ---

    @property
    def current(self) -> Speech | None:
        """The speech that is playing or next to play."""
        reply = self._voice.current
        return None if reply is None else self._speeches.get(reply)

    def interruptible(self) -> bool:
        """Whether a barge-in may silence what is being said."""
        current = self.current
        return current is None or current.interruptible

    def heard(self, reply: str) -> Heard:
        """What has been heard of a live reply by now."""
        return self._voice.heard(reply) or Heard(reply, 0.0)

    def seconds(self, reply: str) -> float:
        """Audio given for a live reply so far, seconds."""
        return self._voice.seconds(reply)

    def protect(self, reply: str, protected: bool) -> None:
        """Whether a barge-in leaves a live reply alone."""
        self._voice.protect(reply, protected)

    def drop(self, reply: str) -> None:
        """End one reply, and leave the others as they are."""
        seconds = self._voice.seconds(reply)
        begun = self._voice.lives(reply)
        heard = self._voice.drop(reply) or Heard(reply, 0.0)
        if begun:
            self._emit(events.ReplyInterrupted(self._now(), reply, heard))
        self._over(heard, seconds, interrupted=True)

    # --- ends ---

    def played(self, heard: Heard) -> None:
        """The last sample of a reply has been played."""
        self._emit(events.ReplyEnded(self._now(), heard.reply, heard))
        self._over(heard, heard.seconds, interrupted=False)

    def interrupt(self, *, everything: bool = False) -> Heard | None:
        """Cut replies short.

        Args:
            everything: Also those that are not interruptible.

        Returns:
            What was heard of the one that was playing, None when there was none.
        """
        if not self._speeches:
            return None
        doomed = [s for s in self._speeches.values() if everything or s.interruptible]
        if len(doomed) < len(self._speeches):
            return self._interrupt_some(doomed)
        seconds = {speech.id: self._voice.seconds(speech.id) for speech in doomed}
        cut = self._voice.interrupt()
        for heard in cut:
            self._interrupted(heard, seconds.pop(heard.reply, heard.seconds))
        for reply in seconds:
            self._over(Heard(reply, 0.0), 0.0, interrupted=True)
        return cut[0] if cut else None

    def _interrupt_some(self, doomed: Sequence[Speech]) -> Heard | None:
        first: Heard | None = None
        for speech in doomed:
            seconds, begun = speech.seconds, self._voice.lives(speech.id)
            heard = self._voice.drop(speech.id)
            if heard is None or not begun:
                self._over(Heard(speech.id, 0.0), seconds, interrupted=True)
                continue
            first = first or heard
            self._interrupted(heard, seconds)
        self._voice.resume()
        return first

    def _interrupted(self, heard: Heard, seconds: float) -> None:
        self._emit(events.ReplyInterrupted(self._now(), heard.reply, heard))
        self._hook("on_interrupted", heard)
        self._over(heard, seconds, interrupted=True)

    def _over(self, heard: Heard, seconds: float, *, interrupted: bool) -> None:
        reply = heard.reply
        self._full.discard(reply)
        self._fillers.discard(reply)
        self._dead[reply] = None
        if len(self._dead) > _DEAD_REMEMBERED:
            self._dead.popitem(last=False)
        speech = self._speeches.pop(reply, None)
        if speech is not None:
            speech.finish(heard, seconds, interrupted=interrupted)
            self._hook("on_reply_ended", speech)

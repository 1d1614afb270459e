"""The backend's events: replies to the voice, everything else to whom it concerns."""

from __future__ import annotations

import itertools
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, assert_never

from fishjam_agents import events
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.events import Event, Heard
from fishjam_agents.pipeline.speech_handle import SpeechHandle
from fishjam_agents.playout.audio_output import AudioOutput
from fishjam_agents.turns.policies import BargeInPolicy

_DEAD_REMEMBERED = 256
"""Ids of ended replies that are remembered, so that their late audio is dropped."""
_FIRST = sys.maxsize
"""A priority above all others."""


class TurnListener(Protocol):
    """Callbacks of the owner of turn-taking for events of the backend."""

    def reply_begins(self, asked: bool) -> None:
        """A reply is about to begin; `asked` when the app wanted it (`say`, `play`), not the model."""
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
        cut: Told what was heard of each reply of the backend that is cut short; None when the backend is to
            stop and none of its replies had begun.
        policies: Which replies may be interrupted at all, where nobody says it of a single one.

    Attributes:
        verdicts: Told of what concerns whose turn it is.
        muted: Whether whatever begins ends at once, unheard, because the voice is switched off.
        unattended: Whether it does so because all who could hear it have left.
        addressee: Tells whom a reply answers, where that is known.
    """

    def __init__(
        self,
        voice: AudioOutput,
        now: Callable[[], float],
        emit: Callable[[Event], None],
        hook: Callable[..., None],
        cut: Callable[[Heard | None], None],
        policies: Sequence[BargeInPolicy] = (),
    ) -> None:
        self._voice = voice
        self._policies = policies
        self._by_policy: set[str] = set()
        self._done = 0
        self._now = now
        self._emit = emit
        self._hook = hook
        self._cut = cut
        self._dead: OrderedDict[str, None] = OrderedDict()
        self._full: set[str] = set()
        self._fillers: set[str] = set()
        self._speeches: dict[str, SpeechHandle] = {}
        self._local = itertools.count(1)
        self._said = itertools.count(1)
        self._closed = False
        self.turn_listener: TurnListener | None = None
        self.muted = False
        self.unattended = False
        self.addressee: Callable[[str], str | None] = lambda reply: None

    def handle(self, event: port.BackendEvent) -> None:
        """Take an event of the backend. Synchronous; awaits no user code."""
        match event:
            case port.ReplyAudio():
                self._audio(event.reply, event.samples)
            case port.ReplyStarted():
                self._begin(event.reply)
            case port.ReplyTextDelta():
                self._text(event)
            case port.ReplyAudioEnded():
                self._generated(event.reply)
            case port.UserSpeech():
                if self.turn_listener is not None:
                    self.turn_listener.user_speech(event.speaking)
            case port.Interrupted():
                if self.turn_listener is not None and (event.reply is None or event.reply in self._speeches):
                    self.turn_listener.interrupted()
            case port.VendorEvent():
                self._hook("on_vendor_event", event.kind, event.message)
            case port.ReplyLatency() | port.PreemptiveReply() | port.BackendUsage() | port.BackendWarning():
                self._emit(event.stamped(self._now()))
            case port.UserTranscript():
                self._emit(event.stamped(self._now()))
                self._hook("on_transcript", event.text, event.final, event.peer)
            case port.BackendFailure():
                self._emit(event.stamped(self._now()))
                self.end_unfinished()
            case port.ToolCall() | port.ToolCallCancelled() | port.OutOfBandResponse():
                pass  # They concern no reply.
            case _:
                assert_never(event)

    def _begin(self, reply: str) -> bool:
        if reply in self._dead or self._closed:
            return False
        if self._voice.is_live(reply):
            return True
        speech = self._speeches.get(reply)
        if self.turn_listener is not None:
            self.turn_listener.reply_begins(speech is not None)
        if speech is None:
            speech = self._speeches[reply] = self._speech(reply)
        # A filler goes ahead of what has nothing to say yet, and gives way once that has.
        self._voice.begin(reply, _FIRST if speech.filler else speech.priority, speech.interruptible)
        self._emit(events.ReplyStarted(reply, self.addressee(reply), at=self._now()))
        self._hook("on_reply_started", speech)
        if self._unheard:
            self.drop(reply)
        return not self._unheard

    @property
    def _unheard(self) -> bool:
        return self.muted or self.unattended

    def end_unfinished(self, of: Callable[[str], bool] = lambda reply: True) -> None:
        """The connection to the backend of these replies is lost: they end with what there is of them."""
        for speech in tuple(self._speeches.values()):
            if not speech.recording and self._voice.is_live(speech.id) and of(speech.id):
                self._generated(speech.id)

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
            self._emit(events.BackendWarning(message, at=self._now()))

    def _text(self, event: port.ReplyTextDelta) -> None:
        if self._begin(event.reply):
            self._voice.add_text(event.reply, event.text, event.at)
            self._emit(events.ReplyText(self._now(), event.reply, event.text))

    def _generated(self, reply: str) -> None:
        seconds = None if self._voice.is_generated(reply) else self._voice.finish(reply)
        if seconds is not None:
            self._emit(events.ReplyGenerated(self._now(), reply, round(seconds, 3)))

    # --- what the bot says by itself ---

    def play(
        self,
        samples: Samples,
        text: str | None = None,
        *,
        priority: int = 0,
        interruptible: bool | None = None,
        filler: bool = False,
    ) -> SpeechHandle:
        """Play a recording as a reply of our own: int16 mono at the backend's output rate."""
        name = f"play-{next(self._local)}"
        speech = self._speech(name, priority, interruptible, filler=filler, recording=True)
        self._speeches[name] = speech
        late = filler and any(self._voice.seconds(reply) for reply in self._speeches.keys() - self._fillers)
        if late or self._unheard or self._closed:
            self.drop(name)
            return speech
        if filler:
            self._fillers.add(name)
        self._begin(name)
        if text:
            self._text(port.ReplyTextDelta(name, text))
        self._audio(name, samples)
        self._generated(name)
        return speech

    def _speech(
        self,
        reply: str,
        priority: int = 0,
        interruptible: bool | None = None,
        *,
        filler: bool = False,
        recording: bool = False,
    ) -> SpeechHandle:
        if interruptible is None:
            self._by_policy.add(reply)
            interruptible = self._may_interrupt()
        return SpeechHandle(
            *(reply, self),
            priority=priority,
            interruptible=interruptible,
            filler=filler,
            recording=recording,
        )

    def _may_interrupt(self) -> bool:
        return not any(policy.protects(self._done) for policy in self._policies)

    def expect(self, *, priority: int = 0, interruptible: bool | None = None) -> SpeechHandle:
        """A reply that the backend was asked for, by an id of ours (`TextInput.reply`)."""
        speech = self._speech(f"say-{next(self._said)}", priority, interruptible)
        self._speeches[speech.id] = speech
        if self._unheard or self._closed:
            # The backend has not been asked: it has nothing to be told.
            self._over(Heard(speech.id, 0.0), 0.0, interrupted=True)
        return speech

    # --- what Speech needs ---

    @property
    def current(self) -> SpeechHandle | None:
        """The speech that is playing or next to play."""
        reply = self._voice.current
        return None if reply is None else self.speech(reply)

    def speech(self, reply: str) -> SpeechHandle | None:
        """The handle of what is being said or waits; None when it is over or never was."""
        return self._speeches.get(reply)

    @property
    def live(self) -> Iterable[str]:
        """Ids of all that is being said or waits."""
        return self._speeches

    def heard(self, reply: str) -> Heard:
        """Return the part of a live reply that has been heard by now."""
        return self._voice.heard(reply) or Heard(reply, 0.0)

    def seconds(self, reply: str) -> float:
        """Audio given for a live reply so far, seconds."""
        return self._voice.seconds(reply)

    def protect(self, reply: str, protected: bool) -> None:
        """Set whether a barge-in leaves a live reply alone."""
        self._by_policy.discard(reply)
        self._voice.protect(reply, protected)

    def drop(self, reply: str) -> None:
        """End one reply, and leave the others as they are."""
        seconds = self._voice.seconds(reply)
        heard = self._voice.drop(reply)
        if heard is None:
            self._unbegun(reply)
            return
        self._emit(events.ReplyInterrupted(self._now(), reply, heard))
        if not self._speeches[reply].recording:
            self._cut(heard)
        self._over(heard, seconds, interrupted=True, begun=True)
        self._voice.go_on()

    # --- ends ---

    def played(self, heard: Heard) -> None:
        """The last sample of a reply has been played."""
        self._emit(events.ReplyEnded(self._now(), heard.reply, heard))
        self._done += heard.reply not in self._fillers
        self._over(heard, heard.seconds, interrupted=False, begun=True)
        if self._policies:
            undecided = tuple(self._by_policy)
            for reply in undecided:
                self._speeches[reply].interruptible = self._may_interrupt()
            self._by_policy.update(undecided)

    def close(self) -> None:
        """The call is over: so is everything the bot says, and will be asked to say."""
        self._closed = True
        self.interrupt(everything=True)

    def interrupt(
        self, *, everything: bool = False, of: Callable[[str], bool] = lambda reply: True
    ) -> Heard | None:
        """Cut replies short.

        Args:
            everything: Also those that are not interruptible.
            of: Which ones, by their ids.

        Returns:
            What was heard of the one that was playing, None when none was cut.
        """
        current = self.current
        speeches = sorted(self._speeches.values(), key=lambda speech: speech is not current)
        doomed = [speech for speech in speeches if (everything or speech.interruptible) and of(speech.id)]
        if not doomed:
            return None
        lengths = {speech.id: speech.seconds for speech in doomed}
        if len(doomed) == len(speeches):
            cut = self._voice.interrupt()
        else:
            cut = [heard for speech in doomed if (heard := self._voice.drop(speech.id)) is not None]
        self._tell(cut, any(not speech.recording for speech in speeches if speech not in doomed))
        for heard in cut:
            self._emit(events.ReplyInterrupted(self._now(), heard.reply, heard))
            self._hook("on_interrupted", heard)
            self._over(heard, lengths.pop(heard.reply), interrupted=True, begun=True)
        for reply in lengths:
            self._unbegun(reply)
        return cut[0] if cut else None

    def _unbegun(self, reply: str) -> None:
        """Words to speak that had not begun are not wanted any more."""
        heard = Heard(reply, 0.0)
        if not self._speeches[reply].recording:
            self._cut(heard)
        self._over(heard, 0.0, interrupted=True)

    def _tell(self, cut: Sequence[Heard], backend_goes_on: bool) -> None:
        """The backend learns what was heard of its replies, and that it is to stop if it has begun none."""
        own = [heard for heard in cut if not self._speeches[heard.reply].recording]
        for heard in own:
            self._cut(heard)
        if cut and not own and not backend_goes_on:
            self._cut(None)

    def _over(self, heard: Heard, seconds: float, *, interrupted: bool, begun: bool = False) -> None:
        reply = heard.reply
        self._full.discard(reply)
        self._fillers.discard(reply)
        self._by_policy.discard(reply)
        self._dead[reply] = None
        if len(self._dead) > _DEAD_REMEMBERED:
            self._dead.popitem(last=False)
        speech = self._speeches.pop(reply, None)
        if speech is not None:
            speech.finish(heard, seconds, interrupted=interrupted)
            if begun:
                self._hook("on_reply_ended", speech)

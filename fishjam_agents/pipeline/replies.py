"""Replies of a call: what the bot says, from its first word to what was heard of it."""

from __future__ import annotations

import itertools
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from fishjam_agents import events
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.events import Heard
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.ports import BackendInputSink
from fishjam_agents.pipeline.speech_handle import SpeechHandle
from fishjam_agents.playout.audio_output import AudioOutput

_DEAD_REMEMBERED = 256
"""Ids of ended replies that are remembered, so that their late audio is dropped."""
_FIRST = sys.maxsize
"""A priority above all others."""


class Replies:
    """Replies of one call: from the backend, and local ones (`play`). A `PlaybackControl` of all of them.

    Args:
        context: The call.
        output: Plays them.
        backend: Told what was heard of each of its replies that is cut short, or to stop where none of them
            had begun.
        begins: Called before a reply begins, with whether the app asked for it.
        addressee: Returns whom a reply answers, None where that is not known.

    Attributes:
        is_muted: Whether whatever begins ends at once, unheard, because the bot's voice is switched off.
        is_unattended: Whether it does so because all who could hear it have left.
    """

    def __init__(
        self,
        context: CallContext,
        output: AudioOutput,
        backend: BackendInputSink,
        begins: Callable[[bool], None],
        addressee: Callable[[str], str | None],
    ) -> None:
        self._output = output
        self._backend = backend
        self._begins = begins
        self._addressee = addressee
        self._policies = context.turns.policies
        self._tells_interrupts = context.capabilities.truncate or context.capabilities.cancel
        self._now, self._emit, self._hook = context.now, context.emit, context.start_hook
        self._by_policy: set[str] = set()
        self._done = 0
        self._dead: OrderedDict[str, None] = OrderedDict()
        self._full: set[str] = set()
        self._fillers: set[str] = set()
        self._speeches: dict[str, SpeechHandle] = {}
        self._local = itertools.count(1)
        self._said = itertools.count(1)
        self._closed = False
        self.is_muted = False
        self.is_unattended = False

    def handle(
        self, event: port.ReplyStarted | port.ReplyAudio | port.ReplyTextDelta | port.ReplyAudioEnded
    ) -> None:
        """Take a part of a reply of the backend. Synchronous; awaits no user code."""
        match event:
            case port.ReplyAudio():
                self.add_audio(event.reply, event.samples)
            case port.ReplyStarted():
                self._begin(event.reply)
            case port.ReplyTextDelta():
                self._text(event)
            case port.ReplyAudioEnded():
                self._generated(event.reply)
            case _:
                assert_never(event)

    def _begin(self, reply: str) -> bool:
        if reply in self._dead or self._closed:
            return False
        if self._output.is_live(reply):
            return True
        speech = self._speeches.get(reply)
        self._begins(speech is not None)
        if speech is None:
            speech = self._speeches[reply] = self._speech(reply)
        # A filler goes ahead of what has nothing to say yet, and gives way once that has.
        self._output.begin(reply, _FIRST if speech.filler else speech.priority, speech.interruptible)
        self._emit(events.ReplyStarted(reply, self._addressee(reply), at=self._now()))
        self._hook("on_reply_started", speech)
        if self._is_unheard:
            self.drop(reply)
        return not self._is_unheard

    @property
    def _is_unheard(self) -> bool:
        return self.is_muted or self.is_unattended

    def end_unfinished(self, of: Callable[[str], bool] = lambda reply: True) -> None:
        """End replies with what there is of them: the connection to their backend is lost."""
        for speech in tuple(self._speeches.values()):
            if not speech.recording and self._output.is_live(speech.id) and of(speech.id):
                self._generated(speech.id)

    def add_audio(self, reply: str, samples: Samples) -> None:
        """Take sound of a reply, which may be its beginning: int16 mono at the backend's output rate."""
        if self._closed:
            return
        kept = self._output.write(reply, samples)
        if not kept and not self._output.is_live(reply):
            if not self._begin(reply):
                return
            kept = self._output.write(reply, samples)
        if kept:
            if self._fillers and reply not in self._fillers:
                for filler in tuple(self._fillers):
                    self.drop(filler)
            return
        if reply not in self._full and reply not in self._dead:
            self._full.add(reply)
            message = f"the playout buffer is full, audio of {reply} is dropped: raise playout.max_buffer"
            self._emit(events.BackendWarning(message, at=self._now()))

    def _text(self, event: port.ReplyTextDelta) -> None:
        if event.broke_off:
            self._output.break_off(event.reply)
        elif self._begin(event.reply):
            self._output.add_text(event.reply, event.text, event.at)
            self._emit(events.ReplyText(self._now(), event.reply, event.text))

    def _generated(self, reply: str) -> None:
        seconds = None if self._output.is_generated(reply) else self._output.finish(reply)
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
        late = filler and any(self._output.seconds(reply) for reply in self._speeches.keys() - self._fillers)
        if late or self._is_unheard or self._closed:
            self.drop(name)
            return speech
        if filler:
            self._fillers.add(name)
        self._begin(name)
        if text:
            self._text(port.ReplyTextDelta(name, text))
        self.add_audio(name, samples)
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
        if self._is_unheard or self._closed:
            # The backend has not been asked: it has nothing to be told.
            self._over(Heard(speech.id, 0.0), 0.0, interrupted=True)
        return speech

    # --- playback control ---

    @property
    def is_active(self) -> bool:
        """True while a reply is under way."""
        return self._output.active

    @property
    def is_paused(self) -> bool:
        """True while replies are held."""
        return self._output.paused

    @property
    def current_reply(self) -> str | None:
        """Id of the reply that is playing or next to play."""
        return self._output.current

    def sounds(self, reply: str) -> bool:
        """Return whether a live reply has begun to sound."""
        return self._output.sounds(reply)

    def pause(self) -> None:
        """Hold the replies."""
        self._output.pause()

    def resume(self) -> None:
        """Let the replies go on."""
        self._output.resume()

    # --- handles ---

    @property
    def current(self) -> SpeechHandle | None:
        """The speech that is playing or next to play."""
        reply = self.current_reply
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
        return self._output.heard(reply) or Heard(reply, 0.0)

    def seconds(self, reply: str) -> float:
        """Audio given for a live reply so far, seconds."""
        return self._output.seconds(reply)

    def protect(self, reply: str, protected: bool) -> None:
        """Set whether a barge-in leaves a live reply alone."""
        self._by_policy.discard(reply)
        self._output.protect(reply, protected)

    def drop(self, reply: str) -> None:
        """End one reply, and leave the others as they are."""
        seconds = self._output.seconds(reply)
        heard = self._output.drop(reply)
        if heard is None:
            self._unbegun(reply)
            return
        self._emit(events.ReplyInterrupted(self._now(), reply, heard))
        if not self._speeches[reply].recording:
            self._tell_interrupt(heard)
        self._over(heard, seconds, interrupted=True, begun=True)
        self._output.go_on()

    # --- ends ---

    def played(self, heard: Heard) -> None:
        """Take notice that the last sample of a reply has been played."""
        self._emit(events.ReplyEnded(self._now(), heard.reply, heard))
        self._done += heard.reply not in self._fillers
        self._over(heard, heard.seconds, interrupted=False, begun=True)
        if self._policies:
            undecided = tuple(self._by_policy)
            for reply in undecided:
                self._speeches[reply].interruptible = self._may_interrupt()
            self._by_policy.update(undecided)

    def close(self) -> None:
        """End everything the bot says, and will be asked to say: the call is over."""
        self._closed = True
        self.interrupt(everything=True)

    def interrupt(
        self, *, everything: bool = False, of: Callable[[str], bool] = lambda reply: True
    ) -> Heard | None:
        """Cut replies short.

        Args:
            everything: Also those that are not interruptible.
            of: Chooses replies by their ids.

        Returns:
            The part that was heard of the one that was playing, None when none was cut.
        """
        current = self.current
        speeches = sorted(self._speeches.values(), key=lambda speech: speech is not current)
        doomed = [speech for speech in speeches if (everything or speech.interruptible) and of(speech.id)]
        if not doomed:
            return None
        lengths = {speech.id: speech.seconds for speech in doomed}
        if len(doomed) == len(speeches):
            cut = self._output.interrupt()
        else:
            cut = [heard for speech in doomed if (heard := self._output.drop(speech.id)) is not None]
        self._tell(cut, any(not speech.recording for speech in speeches if speech not in doomed))
        for heard in cut:
            self._emit(events.ReplyInterrupted(self._now(), heard.reply, heard))
            self._hook("on_interrupted", heard)
            self._over(heard, lengths.pop(heard.reply), interrupted=True, begun=True)
        for reply in lengths:
            self._unbegun(reply)
        return cut[0] if cut else None

    def _unbegun(self, reply: str) -> None:
        """End words to speak that had not begun."""
        heard = Heard(reply, 0.0)
        if not self._speeches[reply].recording:
            self._tell_interrupt(heard)
        self._over(heard, 0.0, interrupted=True)

    def _tell(self, cut: Sequence[Heard], backend_goes_on: bool) -> None:
        """Tell the backend what was heard of its replies, and to stop if it has begun none."""
        own = [heard for heard in cut if not self._speeches[heard.reply].recording]
        for heard in own:
            self._tell_interrupt(heard)
        if cut and not own and not backend_goes_on:
            self._tell_interrupt(None)

    def _tell_interrupt(self, heard: Heard | None) -> None:
        if self._tells_interrupts:
            self._backend.put(port.InterruptInput(heard))

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

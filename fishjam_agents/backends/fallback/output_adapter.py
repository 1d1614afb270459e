"""Outputs of a backend, in the form in which the call takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from fishjam_agents.audio.resampling import StreamResampler, playout_resampler
from fishjam_agents.backends.fallback.active_backend import ActiveBackend, Memory
from fishjam_agents.backends.port import (
    BackendEvent,
    BackendUsage,
    Interrupted,
    InterruptInput,
    OutOfBandResponse,
    ReplyAudio,
    ReplyAudioEnded,
    ReplyLatency,
    ReplyStarted,
    ReplyTextDelta,
    ToolCall,
    ToolCallCancelled,
    ToolResultInput,
    Unanswered,
    UserTranscript,
)

_MOMENT = 0.2
"""Seconds in which a backend that ended words without a sound may turn out to have failed."""


class OutputAdapter:
    """From events of the backend that is connected to events of the first one.

    Ids become unique over all backends, audio gets the first one's rate, and what was interrupted ends.

    Args:
        memory: Of the call.
        tenure: Whose events.
        emit: Takes ours.
        blocks: Whether the model waits for the result of a tool, by the tool's name.

    Attributes:
        open: Replies that have begun and not ended, as the call knows them.
        unanswered: Done with the reason when the backend leaves something unanswered that it should not.
    """

    def __init__(
        self,
        memory: Memory,
        tenure: ActiveBackend,
        emit: Callable[[BackendEvent], None],
        blocks: Callable[[str], bool],
    ) -> None:
        self.open: dict[str, StreamResampler] = {}
        self._memory = memory
        self._tenure = tenure
        self._emit = emit
        self._blocks = blocks
        self._rates = (tenure.inner.output_rate or 24000, tenure.outer.output_rate or 24000)
        self._cut: set[str] = set()
        self._silent: dict[str, list[BackendEvent]] = {}
        self._loop = asyncio.get_running_loop()
        self.unanswered: asyncio.Future[str] = self._loop.create_future()

    def take(self, event: BackendEvent) -> None:
        """Take an event of the backend. Synchronous."""
        match event:
            case ReplyStarted() | ReplyAudio() | ReplyTextDelta() | ReplyLatency() | ReplyAudioEnded():
                reply = self._known(event.reply)
                if reply not in self._cut:
                    self._reply(replace(event, reply=reply))
            case Interrupted(reply):
                self._emit(event if reply is None else Interrupted(self._known(reply)))
            case UserTranscript(text, final):
                if final:
                    self._memory.transcript.user(text)
                self._emit(event)
            case Unanswered(message):
                if not self.unanswered.done():
                    self.unanswered.set_result(message)
            case OutOfBandResponse(question):
                self._memory.pending_input.forget_out_of_band(question)
                self._emit(event)
            case ToolCall():
                self._tool(event)
            case ToolCallCancelled():
                call = self._tenure.known_as(event.call)
                self._tenure.pending.discard(call)
                self._emit(replace(event, call=call))
            case BackendUsage(total_cost=float(total)):
                self._tenure.total_cost = total
                self._emit(replace(event, total_cost=self._memory.spent + total))
            case _:
                self._emit(event)

    def _known(self, own: str) -> str:
        return own if own in self._memory.said else self._tenure.known_as(own)

    def _reply(
        self, event: ReplyStarted | ReplyAudio | ReplyTextDelta | ReplyLatency | ReplyAudioEnded
    ) -> None:
        reply = event.reply
        if isinstance(event, ReplyAudioEnded):
            resampler = self.open.pop(reply, None)
            if resampler is not None and reply not in self._silent and len(rest := resampler.flush()):
                self._emit(ReplyAudio(reply, rest))
        elif reply not in self.open and not isinstance(event, ReplyLatency):
            self.open[reply] = playout_resampler(*self._rates)
            self._memory.pending_input.begun(reply)
        if isinstance(event, ReplyAudio):
            self._memory.pending_input.spoken(reply)
            if self._memory.pending_input.answered:
                self._tenure.called.clear()
            if reply in self._silent:
                self._memory.transcript.reply(reply, self._memory.said[reply])
            now, seconds = self._loop.time(), len(event.samples) / self._rates[0]
            self._memory.sounds_until = max(self._memory.sounds_until, now) + seconds
            event = ReplyAudio(reply, self.open[reply].process(event.samples))
        elif isinstance(event, ReplyTextDelta) and reply not in self._memory.said:
            self._memory.transcript.reply(reply, event.text)
        self._give(event)

    def _give(
        self, event: ReplyStarted | ReplyAudio | ReplyTextDelta | ReplyLatency | ReplyAudioEnded
    ) -> None:
        """Emit an event; what the app wants said begins with its sound.

        What has begun ends with its connection, but words without any sound are still to be said by whoever
        stands in, under the same id.
        """
        reply = event.reply
        if reply in self._memory.said and isinstance(event, ReplyStarted):
            self._silent[reply] = [event]
        elif reply not in self._silent:
            self._emit(event)
        elif isinstance(event, ReplyAudio):
            self._break_silence(reply, event)
        elif isinstance(event, ReplyAudioEnded):
            # One that failed over these words ends them first, and says so in a moment.
            self._loop.call_later(_MOMENT, self._break_silence, reply, event)
        else:
            self._silent[reply].append(event)

    def _break_silence(self, reply: str, event: BackendEvent) -> None:
        held = self._silent.pop(reply, None)
        if held is None:
            return
        for earlier in held:
            self._emit(earlier)
        self._emit(event)
        self._memory.pending_input.spoken(reply)

    def _tool(self, event: ToolCall) -> None:
        # A service that runs its tools itself only tells of them: they are none of ours.
        if self._tenure.outer.tools and not self._tenure.inner.tools:
            return
        call = self._tenure.known_as(event.call)
        if self._blocks(event.name):
            self._memory.pending_input.tool_called()
        self._tenure.pending.add(call)
        self._tenure.called[call] = None
        self._emit(replace(event, call=call))

    def answered(self, entry: ToolResultInput) -> None:
        """A tool's result was sent."""
        if not entry.will_continue:
            self._tenure.pending.discard(entry.call)

    def interrupted(self, entry: InterruptInput) -> None:
        """Drop the rest of a reply that is no longer wanted, whether or not the backend can stop."""
        self._memory.sounds_until = 0.0
        if entry.heard is None:
            return
        self._memory.transcript.heard(entry.heard)
        if self.open.pop(entry.heard.reply, None) is not None:
            self._cut.add(entry.heard.reply)

    def lost(self) -> None:
        """The connection is lost, and what it was saying with it."""
        for reply in self.open:
            self._memory.transcript.broken(reply)
        self.open.clear()

    def close(self) -> None:
        """The session is left: nothing is emitted any more but what follows from that."""
        self._silent.clear()

    def forgotten(self) -> None:
        """Whoever is connected to next knows nothing of these calls, and is asked the same again."""
        for call in dict.fromkeys((*self._tenure.called, *self._tenure.pending)):
            self._emit(ToolCallCancelled(call, lost=True))
        self._tenure.pending.clear()
        self._tenure.called.clear()

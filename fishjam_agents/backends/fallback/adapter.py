"""Inputs and events of the backend that serves the call, as those of the first one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias, assert_never

import numpy as np

from fishjam_agents.audio.resampling import StreamResampler, live_resampler, playout_resampler, resample
from fishjam_agents.backends.fallback.state import ActiveBackend, FallbackState
from fishjam_agents.backends.port import (
    AudioEndedInput,
    AudioInput,
    BackendEvent,
    BackendFailure,
    BackendInput,
    BackendUsage,
    BackendWarning,
    ControlInput,
    ImageInput,
    Interrupted,
    InterruptInput,
    OutOfBandInput,
    OutOfBandResponse,
    PauseTranscript,
    PreemptiveReply,
    ReplyAudio,
    ReplyAudioEnded,
    ReplyLatency,
    ReplyStarted,
    ReplyTextDelta,
    Samples,
    SpeechSuspectedInput,
    TextInput,
    ToolCall,
    ToolCallCancelled,
    ToolResultInput,
    TurnCancelledInput,
    TurnEndedInput,
    TurnPausedInput,
    TurnResumedInput,
    TurnStartedInput,
    Unanswered,
    UpdateInput,
    UserSpeech,
    UserTranscript,
    VendorAvailable,
    VendorEvent,
    VendorUnavailable,
)

_OUTPUT_RATE = 24000
"""Hz that stand for the rate of a backend without audio of its own."""
_MOMENT = 0.2
"""Seconds in which a backend that ended words without a sound may turn out to have failed."""

_ReplyEvent: TypeAlias = ReplyStarted | ReplyAudio | ReplyTextDelta | ReplyLatency | ReplyAudioEnded


class BackendAdapter:
    """Adapts one backend to what the pipeline was told of.

    Rates differ: audio is resampled. One wants turns whole and the other does not: a turn's audio is
    collected, or sent at the turn's end. What the backend cannot take is left out. Ids become unique over all
    backends, and what was interrupted ends, whether or not the backend can stop.

    Args:
        active: The backend.
        state: Of the call.
        emit: Takes our events.
        control: Whether messages of the vendor's own are meant for this backend.

    Attributes:
        open: Replies that have begun and not ended, as the call knows them.
        unanswered: Done with the reason when the backend leaves something unanswered that it should not.
    """

    def __init__(
        self,
        active: ActiveBackend,
        state: FallbackState,
        emit: Callable[[BackendEvent], None],
        *,
        control: bool,
    ) -> None:
        self.open: dict[str, StreamResampler] = {}
        self._active = active
        self._state = state
        self._emit = emit
        self._control = control
        can, promised = active.capabilities, active.promised
        self._can = can
        self._input_rates = (promised.input_rate, can.input_rate)
        self._hears = all(self._input_rates)
        self._live = live_resampler(*self._input_rates).process if self._hears else None
        self._output_rates = (can.output_rate or _OUTPUT_RATE, promised.output_rate or _OUTPUT_RATE)
        self._cut: set[str] = set()
        self._silent: dict[str, list[BackendEvent]] = {}
        self._loop = asyncio.get_running_loop()
        self.unanswered: asyncio.Future[str] = self._loop.create_future()

    # --- inputs ---

    def inputs(self, item: BackendInput) -> Iterator[BackendInput]:
        """Yield the inputs that the backend is sent for one of the call's, which may be none."""
        can = self._can
        match item:
            case AudioInput():
                yield from self._audio(item)
            case AudioEndedInput():
                yield item
            case SpeechSuspectedInput():
                # A chain promises to take none.
                pass
            case TurnStartedInput() | TurnCancelledInput():
                self._active.frames.clear()
                yield item
            case TurnPausedInput():
                yield from self._pause(item)
            case TurnResumedInput():
                if can.wants_pauses:
                    yield item
            case TurnEndedInput():
                yield from self._turn(item)
            case TextInput():
                yield from self._text(item)
            case ImageInput():
                if self._takes(can.images, "images"):
                    yield item
            case InterruptInput(heard):
                if can.truncate or can.cancel:
                    own = None if heard is None else self._active.ids.own(heard.reply)
                    # Of another one's reply it only has to know that it is to stop.
                    yield InterruptInput(None if heard is None or own is None else replace(heard, reply=own))
            case ToolResultInput():
                yield from self._result(item)
            case UpdateInput(instructions, tools):
                if instructions is not None:
                    instructions = self._active.instructions(instructions)
                yield UpdateInput(instructions, tools if can.tools else None)
            case OutOfBandInput(question):
                if can.out_of_band:
                    yield item
                else:
                    error = f"{self._active.name} stands in and cannot be asked"
                    self._emit(OutOfBandResponse(question, error=error))
            case ControlInput():
                if self._takes(self._control, "messages of another vendor's own"):
                    yield item
            case _:
                assert_never(item)

    def _audio(self, item: AudioInput) -> Iterator[BackendInput]:
        if self._live is None:
            return
        if self._can.wants_turn_audio:
            self._active.frames.append(item.samples)
        else:
            yield replace(item, samples=self._live(item.samples))

    def _turn(self, item: TurnEndedInput) -> Iterator[BackendInput]:
        if self._hears and self._can.wants_turn_audio:
            yield replace(item, audio=self._whole(item.audio))
            return
        if self._hears and item.audio is not None:
            rate = self._can.input_rate
            audio = resample(item.audio, *self._input_rates)
            # Services bound the length of a message.
            for start in range(0, len(audio), rate):
                piece = audio[start : start + rate]
                yield AudioInput(item.turn.peer, piece, len(piece) / rate, speech=True)
        yield replace(item, audio=None)

    def _pause(self, item: TurnPausedInput) -> Iterator[BackendInput]:
        # One that gets a whole turn as frames has none of it yet at a pause.
        if not self._can.wants_pauses or not self._hears:
            return
        if self._can.wants_turn_audio:
            yield replace(item, audio=self._whole(item.audio))
        elif item.audio is None:
            yield item

    def _whole(self, audio: Samples | None) -> Samples:
        """Return a turn's audio at the backend's rate, from its frames if it came in frames."""
        if audio is None:
            audio = np.concatenate([np.empty(0, np.int16), *self._active.frames])
        return resample(audio, *self._input_rates)

    def _text(self, item: TextInput) -> Iterator[BackendInput]:
        if item.reply is None:
            does, what = self._can.text, "text"
        elif item.instructs:
            does, what = self._can.respond, "what it is to say (respond)"
        else:
            does, what = self._can.verbatim_say, "words to speak (say)"
        if self._takes(does, what):
            yield item
        elif item.reply is not None:
            # Whoever waits for the end of what is said is not to wait for ever.
            self._emit(ReplyStarted(item.reply))
            self._emit(ReplyAudioEnded(item.reply))

    def _result(self, item: ToolResultInput) -> Iterator[BackendInput]:
        own, background = self._active.ids.own(item.call), self._can.background_tools
        # Of a call that another backend made, nobody wants the result any more.
        if own is not None and (background or not item.will_continue):
            yield replace(item, call=own, scheduling=item.scheduling if background else None)

    def _takes(self, does: bool, what: str) -> bool:
        if not does:
            self._active.lacks(what, self._emit)
        return does

    def result_sent(self, item: ToolResultInput) -> None:
        """Take note that a tool's result was sent."""
        if not item.will_continue:
            self._active.pending.discard(item.call)

    def interrupt(self, item: InterruptInput) -> None:
        """Drop the rest of a reply that is no longer wanted, whether or not the backend can stop."""
        self._state.sounds_until = 0.0
        if item.heard is None:
            return
        self._state.transcript.heard(item.heard)
        if self.open.pop(item.heard.reply, None) is not None:
            self._cut.add(item.heard.reply)

    # --- events ---

    def take(self, event: BackendEvent) -> None:
        """Take an event of the backend. Synchronous."""
        active, state = self._active, self._state
        event = active.ids.renamed(event)
        match event:
            case ReplyStarted() | ReplyAudio() | ReplyTextDelta() | ReplyLatency() | ReplyAudioEnded():
                if event.reply not in self._cut:
                    self._reply(event)
                return
            case Unanswered(message):
                if not self.unanswered.done():
                    self.unanswered.set_result(message)
                return
            case ToolCall():
                # A service that runs its tools itself only tells of them: they are none of ours.
                if active.promised.tools and not active.capabilities.tools:
                    return
                if state.is_blocking(event.name):
                    state.pending_input.tool_called()
                active.pending.add(event.call)
                active.called[event.call] = None
            case ToolCallCancelled(call):
                active.pending.discard(call)
            case UserTranscript():
                if event.final:
                    state.transcript.user(event.text)
            case OutOfBandResponse(question):
                state.pending_input.forget_out_of_band(question)
            case BackendUsage():
                event = replace(event, backend=active.name)
                if event.total_cost is not None:
                    active.total_cost = event.total_cost
                    event = replace(event, total_cost=state.spent + event.total_cost)
            case Interrupted() | UserSpeech() | PauseTranscript() | PreemptiveReply() | VendorEvent():
                pass
            case BackendWarning() | BackendFailure() | VendorUnavailable() | VendorAvailable():
                pass
            case _:
                assert_never(event)
        self._emit(event)

    def _reply(self, event: _ReplyEvent) -> None:
        reply, state = event.reply, self._state
        if isinstance(event, ReplyAudioEnded):
            resampler = self.open.pop(reply, None)
            if resampler is not None and reply not in self._silent and len(rest := resampler.flush()):
                self._emit(ReplyAudio(reply, rest))
        elif reply not in self.open and not isinstance(event, ReplyLatency):
            self.open[reply] = playout_resampler(*self._output_rates)
            state.pending_input.begun(reply)
        if isinstance(event, ReplyAudio):
            state.pending_input.spoken(reply)
            if state.pending_input.answered:
                self._active.called.clear()
            if reply in self._silent and (words := state.said[reply]) is not None:
                state.transcript.reply(reply, words)
            seconds = len(event.samples) / self._output_rates[0]
            state.sounds_until = max(state.sounds_until, self._loop.time()) + seconds
            event = ReplyAudio(reply, self.open[reply].process(event.samples))
        elif isinstance(event, ReplyTextDelta) and state.said.get(reply) is None:
            state.transcript.reply(reply, event.text)
        self._give(event)

    def _give(self, event: _ReplyEvent) -> None:
        """Emit an event; what the app wants said begins with its sound.

        What has begun ends with its connection, but words without any sound are still to be said by whoever
        stands in, under the same id.
        """
        reply = event.reply
        if reply in self._state.said and isinstance(event, ReplyStarted):
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
        for earlier in (*held, event):
            self._emit(earlier)
        self._state.pending_input.spoken(reply)

    # --- the end of a connection ---

    def end_replies(self) -> None:
        """Take what was being said for broken off: the connection is lost."""
        for reply in self.open:
            self._state.transcript.broken(reply)
        self.open.clear()

    def close(self) -> None:
        """Emit nothing any more but what follows from the end of the session."""
        self._silent.clear()

    def lose_calls(self) -> None:
        """Tell of tool calls that whoever is connected to next knows nothing of, and is asked for again."""
        for call in dict.fromkeys((*self._active.called, *self._active.pending)):
            self._emit(ToolCallCancelled(call, lost=True))
        self._active.pending.clear()
        self._active.called.clear()

"""Inputs of a backend, in the form in which it takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from fishjam_agents.audio.resampling import live_resampler, resample
from fishjam_agents.backends.fallback.active_backend import ActiveBackend
from fishjam_agents.backends.port import (
    AudioInput,
    BackendEvent,
    BackendInput,
    ControlInput,
    ImageInput,
    InterruptInput,
    OutOfBandInput,
    OutOfBandResponse,
    ReplyAudioEnded,
    ReplyStarted,
    Samples,
    TextInput,
    ToolResultInput,
    TurnCancelledInput,
    TurnEndedInput,
    TurnPausedInput,
    TurnResumedInput,
    TurnStartedInput,
    UpdateInput,
)


class InputAdapter:
    """From entries for the first backend to entries for the one that is connected.

    Rates differ: audio is resampled. One wants turns whole and the other does not: a turn's audio is
    collected, or sent at the turn's end. What the backend cannot take is left out.

    Args:
        tenure: Whose.
        emit: Takes warnings, and the end of what cannot be said.
        control: Whether messages of the vendor's own are meant for this backend.
    """

    def __init__(self, tenure: ActiveBackend, emit: Callable[[BackendEvent], None], *, control: bool) -> None:
        self._tenure = tenure
        self._inner = tenure.inner
        self._rates = (tenure.outer.input_rate, self._inner.input_rate)
        self._hears = all(self._rates)
        self._live = live_resampler(*self._rates).process if self._hears else None
        self._emit = emit
        self._control = control

    def inputs(self, entry: BackendInput) -> Iterator[BackendInput]:
        """Yield the inputs that the backend is sent for an entry, which may be none."""
        match entry:
            case AudioInput():
                yield from self._audio(entry)
            case TurnStartedInput() | TurnCancelledInput():
                self._tenure.frames.clear()
                yield entry
            case TurnPausedInput():
                yield from self._pause(entry)
            case TurnResumedInput():
                if self._inner.wants_pauses:
                    yield entry
            case TurnEndedInput():
                yield from self._turn(entry)
            case TextInput():
                yield from self._text(entry)
            case ImageInput():
                if self._takes(self._inner.images, "images"):
                    yield entry
            case InterruptInput(heard):
                if self._inner.truncate or self._inner.cancel:
                    own = None if heard is None else self._tenure.own(heard.reply)
                    # Of another one's reply it only has to know that it is to stop.
                    yield InterruptInput(None if heard is None or own is None else replace(heard, reply=own))
            case ToolResultInput():
                yield from self._result(entry)
            case UpdateInput():
                instructions = entry.instructions
                if instructions is not None:
                    instructions = self._tenure.instructions(instructions)
                yield UpdateInput(instructions, entry.tools if self._inner.tools else None)
            case OutOfBandInput(question):
                if self._inner.out_of_band:
                    yield entry
                else:
                    self._emit(
                        OutOfBandResponse(
                            question, error=f"{self._tenure.name} stands in and cannot be asked"
                        )
                    )
            case ControlInput():
                if self._takes(self._control, "messages of another vendor's own"):
                    yield entry
            case _:
                yield entry

    def _audio(self, entry: AudioInput) -> Iterator[BackendInput]:
        if self._live is None:
            return
        if self._inner.wants_turn_audio:
            self._tenure.frames.append(entry.samples)
        else:
            yield replace(entry, samples=self._live(entry.samples))

    def _turn(self, entry: TurnEndedInput) -> Iterator[BackendInput]:
        if not self._hears:
            yield replace(entry, audio=None)
        elif self._inner.wants_turn_audio:
            audio = self._collected() if entry.audio is None else entry.audio
            yield replace(entry, audio=resample(audio, *self._rates))
        else:
            if entry.audio is not None:
                rate = self._inner.input_rate
                audio = resample(entry.audio, *self._rates)
                # Services bound the length of a message.
                for start in range(0, len(audio), rate):
                    piece = audio[start : start + rate]
                    yield AudioInput(entry.turn.peer, piece, len(piece) / rate, speech=True)
            yield replace(entry, audio=None)

    def _pause(self, entry: TurnPausedInput) -> Iterator[BackendInput]:
        # One that gets a whole turn as frames has none of it yet at a pause.
        if not self._inner.wants_pauses or not self._hears:
            return
        if self._inner.wants_turn_audio:
            audio = self._collected() if entry.audio is None else entry.audio
            yield replace(entry, audio=resample(audio, *self._rates))
        elif entry.audio is None:
            yield entry

    def _collected(self) -> Samples:
        frames = self._tenure.frames
        return np.concatenate(frames) if frames else np.empty(0, np.int16)

    def _text(self, entry: TextInput) -> Iterator[BackendInput]:
        if entry.verbatim and entry.reply is not None:
            if self._takes(self._inner.verbatim_say, "words to speak (say)"):
                yield entry
            else:
                # Whoever waits for the end of what is said is not to wait for ever.
                self._emit(ReplyStarted(entry.reply))
                self._emit(ReplyAudioEnded(entry.reply))
        elif self._takes(self._inner.text, "text"):
            yield entry

    def _result(self, entry: ToolResultInput) -> Iterator[BackendInput]:
        own = self._tenure.own(entry.call)
        # Of a call that another backend made, nobody wants the result any more.
        if own is None or (entry.will_continue and not self._inner.background_tools):
            return
        scheduling = entry.scheduling if self._inner.background_tools else None
        yield replace(entry, call=own, scheduling=scheduling)

    def _takes(self, does: bool, what: str) -> bool:
        if not does:
            self._tenure.lacks(what, self._emit)
        return does

"""Inputs of a backend, in the order in which they happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from fishjam_agents.audio.samples import Samples
from fishjam_agents.events import Heard, Turn

Scheduling: TypeAlias = Literal["interrupt", "when_idle", "silent"]
"""Use of the result of a tool that did not block the model: say it at once, say it when it has
finished what it says, or only know it."""


# Fifty of these are made per second and call; a frozen dataclass takes three times as long to make.
@dataclass(slots=True)
class AudioInput:
    """Sound of a peer.

    Attributes:
        peer: The peer that was last heard to speak; None in a mix in which nobody was clearly loudest.
        samples: int16 mono, shape (n,), at `Capabilities.input_rate`.
        seconds: Length of the samples.
        speech: Whether it belongs to a turn, or to a sound that may become one. Where the backend owns turns
            audio flows all the time, and this is what voice detection here takes it for.
    """

    peer: str | None
    samples: Samples
    seconds: float
    speech: bool = False


@dataclass(frozen=True, slots=True)
class AudioEndedInput:
    """No more sound comes of a peer whose audio was sent all the time: it left, or the bot's ears are closed.

    Sent where the backend owns turns (`BackendContext.turn_mode`); audio that follows begins anew.
    """

    peer: str | None


@dataclass(frozen=True, slots=True)
class SpeechSuspectedInput:
    """A sound over the bot's voice begins that may become a turn. For backends with `wants_suspected`.

    The audio that follows is that of the sound. What follows it is `TurnStartedInput` with the same `start`
    if it is one, and nothing of its audio is sent again, or `TurnCancelledInput`.

    Attributes:
        peer: Whose it is.
        start: Its onset, media time.
        audio_from: Media time at which its audio begins, some time before the onset.
    """

    peer: str | None
    start: float
    audio_from: float


@dataclass(frozen=True, slots=True)
class TurnStartedInput:
    """A turn begins; the audio that follows belongs to it.

    Attributes:
        peer: Who speaks.
        start: Its onset, media time.
        audio_from: Media time at which its audio begins, some time before the onset; None where that is not
            known, or no audio follows.
    """

    peer: str | None
    start: float
    audio_from: float | None = None


@dataclass(frozen=True, slots=True)
class TurnPausedInput:
    """The speaker is quiet: the turn may be over. For backends with `wants_pauses`.

    What follows is `TurnResumedInput`, when the speaker goes on, or the end of the turn. Only a turn's first
    pauses are told (`pipeline.turn_taking`), each 0.2 s after its beginning.

    Attributes:
        peer: Who speaks.
        at: Media time of the last sound, seconds. A turn that ends with this pause has it as its `end`.
        audio: The turn so far for backends with `wants_turn_audio`, else None: what `TurnEndedInput` will
            hold if the speaker says no more.
    """

    peer: str | None
    at: float
    audio: Samples | None = None


@dataclass(frozen=True, slots=True)
class TurnResumedInput:
    """The speaker of a turn that had paused goes on: `TurnPausedInput` is out of date."""

    peer: str | None


@dataclass(frozen=True, slots=True)
class TurnEndedInput:
    """A turn is complete. `audio` is all of it for backends with `wants_turn_audio`, else None."""

    turn: Turn
    audio: Samples | None = None


@dataclass(frozen=True, slots=True)
class TurnCancelledInput:
    """The turn is taken back, or was none after all: forget its audio, answer nothing.

    A backend that ignores it hears that audio as the beginning of the next turn.
    """

    peer: str | None


@dataclass(frozen=True, slots=True)
class TextInput:
    """Something in writing: what the user wrote and is to be answered, unless one of the three below.

    Attributes:
        text: The words.
        verbatim: They are to be spoken as they are. For backends with `verbatim_say`.
        reply: The id that the reply has to have to what is verbatim or instructs, so that the app can follow
            it. One of which nothing comes is begun and ended all the same.
        note: They are to be known and not answered: who speaks, what happened.
        instructs: They are the app's, and say what the model is to say once nobody speaks and all that was
            asked before is answered. For backends with `respond`.
    """

    text: str
    verbatim: bool = False
    reply: str | None = None
    note: bool = False
    instructs: bool = False


@dataclass(frozen=True, slots=True)
class ImageInput:
    """A still of a peer's video track."""

    data: bytes
    content_type: str
    peer: str | None = None
    track: str | None = None


@dataclass(frozen=True, slots=True)
class InterruptInput:
    """Stop replying. `heard` is what the room heard of the reply, None when none had begun.

    Replies of the app's (`TextInput.reply`) that are not named stay wanted: a barge-in leaves a legal notice
    alone. Those that had not begun are named by themselves, with nothing heard, and nothing else is to stop
    then.
    """

    heard: Heard | None


@dataclass(frozen=True, slots=True)
class ToolResultInput:
    """The answer to a `ToolCall`: one for each call that is not cancelled, after any number of reports.

    Attributes:
        call: Id of the call.
        result: The answer in words or as JSON text.
        name: The tool.
        error: Whether `result` says what went wrong.
        will_continue: It only reports progress, the answer is still to come. Only for tools that do not block
            and backends with `background_tools`; so is `scheduling`.
        scheduling: What the model does with it; None leaves that to the model.
    """

    call: str
    result: str
    name: str = ""
    error: bool = False
    will_continue: bool = False
    scheduling: Scheduling | None = None


@dataclass(frozen=True, slots=True)
class ToolDeclaration:
    """A tool as the model is told of it.

    Attributes:
        name: Up to 64 letters, digits, `_` and `-`; no two in a call are the same.
        description: What it does and when to call it.
        parameters: JSON schema of an object, its references resolved.
        blocking: Whether the model waits for the answer before it goes on.
        cancellable: Whether a call may be taken back when the user speaks over it (`ToolCallCancelled`); the
            answer to any other that was made is waited for.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    blocking: bool = True
    cancellable: bool = False


@dataclass(frozen=True, slots=True)
class UpdateInput:
    """New instructions or tools; None leaves them as they are."""

    instructions: str | None = None
    tools: Sequence[ToolDeclaration] | None = None


@dataclass(frozen=True, slots=True)
class ControlInput:
    """A message of the vendor's own, passed on as it is."""

    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutOfBandInput:
    """A question of the app beside the conversation; one `OutOfBandResponse` of that id follows.

    The model knows all that was said so far. Neither question nor answer become part of the conversation, and
    nothing is spoken. One without an answer is asked again after a lost connection.
    """

    question: str
    text: str


BackendInput = (
    AudioInput
    | AudioEndedInput
    | SpeechSuspectedInput
    | TurnStartedInput
    | TurnPausedInput
    | TurnResumedInput
    | TurnEndedInput
    | TurnCancelledInput
    | TextInput
    | ImageInput
    | InterruptInput
    | ToolResultInput
    | UpdateInput
    | ControlInput
    | OutOfBandInput
)

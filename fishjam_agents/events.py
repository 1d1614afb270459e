"""Everything that happens in a call, as typed events: one stream, read by observe, server and cli.

`at` is when the pipeline decided, in seconds of call time (zero when `AgentPipeline.run` began). Events
about speech carry `media_at` too: the backdated moment in the speaker's audio that they speak of. Their
`peer` is None in a mix (`hearing.mode: mix`) when nobody was clearly loudest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

from fishjam_agents.errors import FailureKind

EndReason: TypeAlias = Literal[
    "bot", "idle", "stopped", "max_call", "empty_room", "model", "backend_failure", "session_lost", "error"
]
"""Why a call ended: the bot ended it (`end_call`, as a tool or from code); nobody said anything for long
(`agent.idle`); `stop()` was called, as Ctrl-C does; `limits.max_call` or `limits.empty_room` was reached;
the model ended the conversation; the backend failed for good; the media server ended the session; or else."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Part of a reply that the listeners heard: one estimate, used by every consumer.

    Attributes:
        reply: Id of the reply.
        seconds: How much of it was played.
        text: The words of that part.
        text_exact: True where the backend gave the times of words, or what was heard ends where words that it
            gave a time begin; else the text is cut in proportion.
    """

    reply: str
    seconds: float
    text: str = ""
    text_exact: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """A finished turn of one speaker.

    Attributes:
        id: Unique in the call.
        peer: Who spoke; None in a mix in which nobody was clearly loudest.
        track: Id of the microphone's track.
        start: Onset of the speech, call time in seconds.
        end: End of the speech, call time in seconds.
        reason: `silence` (the normal end), `missing` (packets ceased), `left`, `outage`, `limit` (it
            reached the maximum turn), `released` (push to talk), `cancelled` (not to be answered: taken back
            with the button, one voice in two microphones, or talk through an answer to somebody else), `app`
            (the bot's ears were closed).
    """

    id: str
    peer: str | None
    track: str
    start: float
    end: float
    reason: str = "silence"


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events.

    Attributes:
        at: When it was decided, call time in seconds.
    """

    kind: ClassVar[str] = ""
    at: float

    def as_dict(self) -> dict[str, Any]:
        """The event as plain JSON data, `kind` included, fields that are None left out."""
        data: dict[str, Any] = {"at": self.at}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "at" and value is not None:
                data[item.name] = _plain(value)
        data["kind"] = self.kind
        return data


@dataclass(frozen=True, slots=True)
class BackendOriginated(Event):
    """Base of events that a backend makes, too: it gives no time, and the pipeline stamps what passes."""

    at: float = field(default=0.0, kw_only=True)

    def stamped(self, at: float) -> Self:
        """The event as decided at that moment."""
        return replace(self, at=at)


def _plain(value: Any) -> Any:
    if isinstance(value, Heard):
        return {
            "seconds": round(value.seconds, 3),
            "text": value.text,
            "text_exact": value.text_exact,
        }
    if isinstance(value, Mapping):
        return dict(value)
    return value


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    """The bot is in its room, and listens."""

    kind = "call_started"


@dataclass(frozen=True, slots=True)
class CallEnded(Event):
    """The bot leaves; its hook `on_stop` runs after this. `message` says more where something failed."""

    kind = "call_ended"
    reason: EndReason
    message: str | None = None


@dataclass(frozen=True, slots=True)
class PeerJoined(Event):
    """A peer is in the room."""

    kind = "peer_joined"
    peer: str


@dataclass(frozen=True, slots=True)
class PeerLeft(Event):
    """A peer is gone."""

    kind = "peer_left"
    peer: str


@dataclass(frozen=True, slots=True)
class UserStartedSpeaking(Event):
    """Speech begins on a microphone; `media_at` is its onset."""

    kind = "user_started_speaking"
    media_at: float
    peer: str | None
    track: str


@dataclass(frozen=True, slots=True)
class UserStoppedSpeaking(Event):
    """Speech pauses or ends; `media_at` is its last sound."""

    kind = "user_stopped_speaking"
    media_at: float
    peer: str | None
    track: str


@dataclass(frozen=True, slots=True)
class UserTurnEnded(Event):
    """A turn is complete; `start` and `media_at` are where its speech began and ended."""

    kind = "user_turn_ended"
    media_at: float
    peer: str | None
    track: str
    start: float
    turn: str
    reason: str = "silence"


@dataclass(frozen=True, slots=True)
class BargeInSuspected(Event):
    """Somebody may be speaking over the bot: it falls silent at once."""

    kind = "barge_in_suspected"
    media_at: float
    peer: str | None
    track: str
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class BargeInConfirmed(Event):
    """Somebody does speak over the bot: its reply is over."""

    kind = "barge_in_confirmed"
    media_at: float
    peer: str | None
    track: str
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class BargeInWithdrawn(Event):
    """It was a cough: the bot goes on."""

    kind = "barge_in_withdrawn"
    media_at: float
    peer: str | None
    track: str
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyStarted(BackendOriginated):
    """The backend begins a reply; `peer` is whom it answers where everybody has a session (`per_peer`).

    `reply` is unique in the call. A backend leaves `peer` out: the pipeline knows it.
    """

    kind = "reply_started"
    reply: str
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyFirstAudio(Event):
    """The first audio of a reply is on the wire."""

    kind = "reply_first_audio"
    reply: str


@dataclass(frozen=True, slots=True)
class ReplyInterrupted(Event):
    """A reply was cut short."""

    kind = "reply_interrupted"
    reply: str
    heard: Heard


@dataclass(frozen=True, slots=True)
class ReplyGenerated(Event):
    """The backend has given all audio of a reply: `seconds` of it."""

    kind = "reply_generated"
    reply: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ReplyEnded(Event):
    """The last sample of a reply has been played."""

    kind = "reply_ended"
    reply: str
    heard: Heard


@dataclass(frozen=True, slots=True)
class ReplyLatency(BackendOriginated):
    """Seconds each part of the backend took to the first sound of a reply.

    They are in the order of the parts, and their sum is how long it took from the end of the turn. `ahead`,
    which is below zero, is what of it was done before the turn had ended (`PreemptiveReply`).
    """

    kind = "reply_latency"
    reply: str
    parts: Mapping[str, float]


PreemptiveOutcome: TypeAlias = Literal[
    "adopted", "went_on", "words", "changed", "failed", "empty", "interrupted"
]
"""Outcome of an answer that was begun before its turn was over: it was used; the speaker went on; the
turn ended with other words; the conversation had changed; a part failed; the words meant nothing; the app, or
the end of the call, put an end to it."""


@dataclass(frozen=True, slots=True)
class PreemptiveReply(BackendOriginated):
    """The backend began an answer before the turn was over.

    Attributes:
        peer: Whose turn it was.
        outcome: `adopted`, or why it was not.
        seconds: How long before the end of the turn was known it was begun, or how long it was worked on for
            nothing.
    """

    kind = "preemptive_reply"
    peer: str | None
    outcome: PreemptiveOutcome
    seconds: float


@dataclass(frozen=True, slots=True)
class UserTranscript(BackendOriginated):
    """Words of a user, as the backend understood them."""

    kind = "user_transcript"
    text: str
    final: bool = False
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyText(Event):
    """Words of a reply."""

    kind = "reply_text"
    reply: str
    text: str


@dataclass(frozen=True, slots=True)
class MuteChanged(Event):
    """The app muted or unmuted what the bot says (`output`) or what it hears (`input`)."""

    kind = "mute_changed"
    direction: Literal["input", "output"]
    muted: bool


@dataclass(frozen=True, slots=True)
class UserIdle(Event):
    """Nobody, the bot included, said anything for `seconds`; `times` in a row without a word of a user."""

    kind = "user_idle"
    seconds: float
    times: int


@dataclass(frozen=True, slots=True)
class ToolCalled(Event):
    """A call of a tool is over; it began `duration` seconds before `at`.

    `outcome` is `ok`, `error`, `timeout`, `cancelled` (the call ended, or the model no longer wanted what may
    be cancelled), `abandoned` (a plain function that went on in its thread when the call had ended),
    `refused` (there is no such tool), `repeated` (it was not run, but given the answer of a run that the
    model knows nothing of any more), or `elsewhere` where it is run by the model's own service.
    """

    kind = "tool_called"
    tool: str
    call: str
    outcome: str = "ok"
    duration: float = 0.0


@dataclass(frozen=True, slots=True)
class Outage(Event):
    """A connection was lost for `seconds`; `what` names it (`backend`, `agent_socket`)."""

    kind = "outage"
    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BackendWarning(BackendOriginated):
    """Something was lost or bent on the way to or from the backend.

    `unanswered` is there where it left somebody without an answer: the kind of the failure.
    """

    kind = "backend_warning"
    message: str
    unanswered: FailureKind | None = None


@dataclass(frozen=True, slots=True)
class Unanswered(BackendWarning):
    """Input that has no answer and gets none: something on the way failed, and may work next time.

    A backend without fallbacks goes on with this as a warning; `fallback` counts it as a failure.
    """

    unanswered: FailureKind = "network"


@dataclass(frozen=True, slots=True)
class BackendEnded(Event):
    """The model ended the conversation; the call ends when what was said has been heard."""

    kind = "backend_ended"
    reason: str


@dataclass(frozen=True, slots=True)
class BackendUsage(BackendOriginated):
    """Cost of a turn: tokens or seconds by the vendor's names; its price where there are prices.

    Attributes:
        amounts: Tokens or seconds, by the vendor's own names.
        cost: Price of it in the currency of the prices that were configured; None without any.
        total_cost: Price of the call so far.
    """

    kind = "backend_usage"
    amounts: Mapping[str, float]
    cost: float | None = None
    total_cost: float | None = None


@dataclass(frozen=True, slots=True)
class BackendFailure(BackendOriginated):
    """The backend failed; with `retryable` the pipeline tries again by itself.

    `backend` is which of several, where there are several, and `fallback` which one follows it.
    """

    kind = "backend_failure"
    message: str
    failure: FailureKind
    retryable: bool
    backend: str | None = None
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorRaised(Event):
    """User code, a stage or a peer's input failed; the call goes on."""

    kind = "error"
    message: str
    where: str
    peer: str | None = None


EVENTS: Mapping[str, type[Event]] = {
    item.kind: item
    for item in tuple(globals().values())
    if isinstance(item, type) and issubclass(item, Event) and "kind" in vars(item) and item.kind
}
"""Every event of a call, by its `kind`."""
KINDS: frozenset[str] = frozenset(EVENTS)
"""Every `kind` a timeline may hold."""

"""Everything that happens in a call, as typed events: one stream, read by observe, server and cli.

`at` is when the pipeline decided, in seconds of call time (zero when `AgentPipeline.run` began). Events
about speech carry `media_at` too: the backdated moment in the speaker's audio that they speak of. Their
`peer` is None in a mix (`hearing.mode: mix`) when nobody was clearly loudest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self, TypeAlias

from fishjam_agents.errors import TRIED_AGAIN, BackendError, FailureKind
from fishjam_agents.event_base import INTERNAL, person
from fishjam_agents.event_base import BackendOriginated as BackendOriginated
from fishjam_agents.event_base import Event as Event
from fishjam_agents.event_base import Heard as Heard
from fishjam_agents.event_base import Turn as Turn

EndReason: TypeAlias = Literal[
    "bot", "idle", "stopped", "max_call", "empty_room", "model", "backend_failure", "session_lost", "error"
]
"""Reason for the end of a call: the bot ended it (`end_call`, as a tool or from code); nobody spoke for long
(`agent.idle`); `stop()` was called, as Ctrl-C does; `limits.max_call` or `limits.empty_room` was reached;
the model ended the conversation; the backend failed for good; the media server ended the session; or else."""
_ENDS: Mapping[EndReason, str] = {
    "bot": "the bot ended it",
    "idle": "nobody said anything any more",
    "stopped": "it was stopped",
    "max_call": "limits.max_call was reached",
    "empty_room": "nobody was left in the room",
    "model": "the model ended the conversation",
    "backend_failure": "the backend failed",
    "session_lost": "the media server ended the session",
    "error": "it failed",
}


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    """The bot is in its room, and listens."""

    kind = "call_started"
    level = logging.DEBUG

    def sentence(self, *, words: bool = False) -> str:
        return "the call began"


@dataclass(frozen=True, slots=True)
class CallEnded(Event):
    """The bot leaves; its hook `on_stop` runs after this.

    `reason` is `bot` (it ended the call: `end_call`), `idle` (nobody spoke), `stopped` (`stop()`, Ctrl-C),
    `max_call` or `empty_room` (limits), `model` (the model ended the conversation), `backend_failure`,
    `session_lost` or `error`. `message` says more where something failed.
    """

    kind = "call_ended"
    reason: EndReason
    message: str | None = None

    def sentence(self, *, words: bool = False) -> str:
        return f"the call ended: {_ENDS[self.reason]}"

    def log_level(self) -> int:
        # Who stopped it knows that, and what failed is told as an error.
        return logging.DEBUG if self.reason == "stopped" or self.message else self.level


@dataclass(frozen=True, slots=True)
class PeerJoined(Event):
    """A peer is in the room."""

    kind = "peer_joined"
    peer: str

    def sentence(self, *, words: bool = False) -> str:
        return f"{person(self.peer)} is in the room"


@dataclass(frozen=True, slots=True)
class PeerLeft(Event):
    """A peer is gone."""

    kind = "peer_left"
    peer: str

    def sentence(self, *, words: bool = False) -> str:
        return f"{person(self.peer)} left the room"


@dataclass(frozen=True, slots=True)
class UserStartedSpeaking(Event):
    """Speech begins on a microphone; `media_at` is its onset."""

    kind = "user_started_speaking"
    level = logging.DEBUG
    media_at: float
    peer: str | None
    track: str

    def sentence(self, *, words: bool = False) -> str:
        return f"{person(self.peer)} speaks"


@dataclass(frozen=True, slots=True)
class UserStoppedSpeaking(Event):
    """Speech pauses or ends; `media_at` is its last sound."""

    kind = "user_stopped_speaking"
    level = logging.DEBUG
    media_at: float
    peer: str | None
    track: str

    def sentence(self, *, words: bool = False) -> str:
        return f"{person(self.peer)} pauses"


@dataclass(frozen=True, slots=True)
class EndOfTurnPredicted(Event):
    """A model that hears turns was asked at a pause; `media_at` is the turn's last sound before it.

    Attributes:
        probability: That the turn is complete, 0 to 1, as the policy is told.
        took: Seconds from the question to the answer.
    """

    kind = "end_of_turn_predicted"
    level = logging.DEBUG
    media_at: float
    peer: str | None
    track: str
    probability: float
    took: float

    def sentence(self, *, words: bool = False) -> str:
        return f"{person(self.peer)}'s turn sounds complete with a probability of {self.probability:.2f}"


@dataclass(frozen=True, slots=True)
class UserTurnEnded(Event):
    """A turn is complete; `start` and `media_at` are where its speech began and ended.

    Attributes:
        rule: The rule of the end-of-turn policy that ended it, of one that has several.
        probability: What the policy was told by its model, of one that has a model.
    """

    kind = "user_turn_ended"
    media_at: float
    peer: str | None
    track: str
    start: float
    turn: str
    reason: str = "silence"
    rule: str | None = None
    probability: float | None = None

    def sentence(self, *, words: bool = False) -> str:
        why = "" if self.reason == "silence" else f" (ended by: {self.reason})"
        if self.reason == "silence" and self.rule is not None:
            told = "" if self.probability is None else f", probability {self.probability:.2f}"
            why = f" ({self.rule}{told})"
        return f"{person(self.peer)} finished a turn of {self.media_at - self.start:.1f} s{why}"


@dataclass(frozen=True, slots=True)
class BargeInSuspected(Event):
    """Somebody may be speaking over the bot: it falls silent at once."""

    kind = "barge_in_suspected"
    media_at: float
    peer: str | None
    track: str
    reply: str | None = None

    def sentence(self, *, words: bool = False) -> str:
        return f"{person(self.peer)} may be speaking over the bot: it pauses"


@dataclass(frozen=True, slots=True)
class BargeInConfirmed(Event):
    """Somebody does speak over the bot: its reply is over."""

    kind = "barge_in_confirmed"
    media_at: float
    peer: str | None
    track: str
    reply: str | None = None

    def sentence(self, *, words: bool = False) -> str:
        return f"{person(self.peer)} speaks over the bot: its reply is over"


@dataclass(frozen=True, slots=True)
class BargeInWithdrawn(Event):
    """It was a cough: the bot goes on."""

    kind = "barge_in_withdrawn"
    media_at: float
    peer: str | None
    track: str
    reply: str | None = None

    def sentence(self, *, words: bool = False) -> str:
        return f"{person(self.peer)} did not speak over the bot: it goes on"


@dataclass(frozen=True, slots=True)
class ReplyStarted(BackendOriginated):
    """The backend begins a reply; `peer` is whom it answers where everybody has a session (`per_peer`).

    `reply` is unique in the call.
    """

    kind = "reply_started"
    reply: str
    # For the pipeline to say, which knows it: a backend leaves it out.
    peer: str | None = None

    def sentence(self, *, words: bool = False) -> str:
        return f"the bot replies ({self.reply})"


@dataclass(frozen=True, slots=True)
class ReplyFirstAudio(Event):
    """The first audio of a reply is on the wire."""

    kind = "reply_first_audio"
    level = logging.DEBUG
    reply: str

    def sentence(self, *, words: bool = False) -> str:
        return f"first audio of {self.reply} is on the wire"


@dataclass(frozen=True, slots=True)
class ReplyInterrupted(Event):
    """A reply was cut short."""

    kind = "reply_interrupted"
    reply: str
    heard: Heard

    def sentence(self, *, words: bool = False) -> str:
        return f"{self.reply} was interrupted, {self.heard.sentence(words=words)}"


@dataclass(frozen=True, slots=True)
class ReplyGenerated(Event):
    """The backend has given all audio of a reply: `seconds` of it."""

    kind = "reply_generated"
    level = logging.DEBUG
    reply: str
    seconds: float

    def sentence(self, *, words: bool = False) -> str:
        return f"{self.reply} is complete: {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class ReplyEnded(Event):
    """The last sample of a reply has been played."""

    kind = "reply_ended"
    reply: str
    heard: Heard

    def sentence(self, *, words: bool = False) -> str:
        return f"{self.reply} was played, {self.heard.sentence(words=words)}"


@dataclass(frozen=True, slots=True)
class ReplyLatency(BackendOriginated):
    """Seconds each part of the backend took to the first sound of a reply.

    They are in the order of the parts, and their sum is how long it took from the end of the turn. `ahead`,
    which is below zero, is what of it was done before the turn had ended (`PreemptiveReply`).
    """

    kind = "reply_latency"
    level = logging.DEBUG
    reply: str
    parts: Mapping[str, float]

    def sentence(self, *, words: bool = False) -> str:
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.parts.items())
        return f"{self.reply} took {parts}"


PreemptiveOutcome: TypeAlias = Literal[
    "adopted", "went_on", "words", "changed", "failed", "empty", "interrupted"
]
"""Outcome of an answer that was begun before its turn was over: it was used; the speaker went on; the
turn ended with other words; the conversation had changed; a part failed; the words meant nothing; the app, or
the end of the call, put an end to it."""

_WASTED: Mapping[PreemptiveOutcome, str] = {
    "went_on": "the turn was not over",
    "words": "it ended with other words",
    "changed": "the conversation had changed",
    "failed": "a part failed",
    "empty": "nothing was said",
    "interrupted": "it was interrupted",
}


@dataclass(frozen=True, slots=True)
class PreemptiveReply(BackendOriginated):
    """The backend began an answer before the turn was over; `outcome` is `adopted`, or why it was not.

    Attributes:
        peer: Whose turn it was.
        outcome: `adopted`, or why it was not.
        seconds: How long before the end of the turn was known it was begun, or how long it was worked on for
            nothing.
    """

    kind = "preemptive_reply"
    level = logging.DEBUG
    peer: str | None
    outcome: PreemptiveOutcome
    seconds: float

    def sentence(self, *, words: bool = False) -> str:
        who = person(self.peer)
        if self.outcome == "adopted":
            return f"the answer to {who} was begun {self.seconds:.2f} s before the turn was over"
        return f"{self.seconds:.2f} s of an answer to {who} were for nothing: {_WASTED[self.outcome]}"


@dataclass(frozen=True, slots=True)
class UserTranscript(BackendOriginated):
    """Words of a user, as the backend understood them.

    Attributes:
        text: All words of a turn so far, where `start` is known; else that or what is new, by the backend.
        final: Whether they are settled.
        peer: Who said them, where that is known.
        start: Onset of the turn, or of the sound that may become one, media time; where it is known.
        media_at: Where the last of these words ended; where that is known.
    """

    kind = "user_transcript"
    level = logging.DEBUG
    text: str
    final: bool = False
    peer: str | None = None
    start: float | None = None
    media_at: float | None = None

    def sentence(self, *, words: bool = False) -> str:
        said = f": {self.text!r}" if words else ""
        return f"{person(self.peer)} {'said' if self.final else 'is saying'}{said}"


@dataclass(frozen=True, slots=True)
class UserText(Event):
    """A person wrote something to the bot (`submit_text`), in place of saying it."""

    kind = "user_text"
    level = logging.DEBUG
    text: str
    peer: str | None = None

    def sentence(self, *, words: bool = False) -> str:
        return f"{person(self.peer)} wrote{f': {self.text!r}' if words else ''}"


@dataclass(frozen=True, slots=True)
class ReplyText(Event):
    """Words of a reply."""

    kind = "reply_text"
    level = logging.DEBUG
    reply: str
    text: str

    def sentence(self, *, words: bool = False) -> str:
        return f"{self.reply} says{f' {self.text!r}' if words else ' words'}"


@dataclass(frozen=True, slots=True)
class MuteChanged(Event):
    """The app muted or unmuted what the bot says (`output`) or what it hears (`input`)."""

    kind = "mute_changed"
    direction: Literal["input", "output"]
    muted: bool

    def sentence(self, *, words: bool = False) -> str:
        return f"the app {'muted' if self.muted else 'unmuted'} the bot's {self.direction}"


@dataclass(frozen=True, slots=True)
class TurnEnriched(Event):
    """The hook `enrich` was asked about a turn, and gave `characters` of text, or was late or failed."""

    kind = "turn_enriched"
    turn: str
    outcome: Literal["ok", "late", "failed"]
    duration: float
    characters: int

    def sentence(self, *, words: bool = False) -> str:
        if self.outcome == "ok":
            return f"{self.characters} characters were added to {self.turn} in {self.duration:.2f} s"
        why = "came too late" if self.outcome == "late" else "failed"
        return f"what was to be added to {self.turn} {why} ({self.duration:.2f} s)"


@dataclass(frozen=True, slots=True)
class BotChanged(Event):
    """Another bot goes on with the call: `bot`, in the place of `before`."""

    kind = "bot_changed"
    bot: str
    before: str

    def sentence(self, *, words: bool = False) -> str:
        return f"{self.bot} goes on with the call, in the place of {self.before}"


@dataclass(frozen=True, slots=True)
class UserIdle(Event):
    """Nobody, the bot included, said anything for `seconds`; `times` in a row without a word of a user."""

    kind = "user_idle"
    seconds: float
    times: int

    def sentence(self, *, words: bool = False) -> str:
        return f"nobody has said anything for {self.seconds:.1f} s ({self.times} in a row)"


@dataclass(frozen=True, slots=True)
class ToolStarted(Event):
    """A call of a tool begins; the `tool_called` of the same `call` is its end.

    Calls that are not run here (`refused`, `repeated`, `elsewhere`) have only that. `arguments` is there with
    `observe.tool_payloads`: JSON, as `redact` left it, at most 2000 characters of it.
    """

    kind = "tool_started"
    level = logging.DEBUG
    tool: str
    call: str
    arguments: str | None = None

    def sentence(self, *, words: bool = False) -> str:
        shown = f" with {self.arguments}" if words and self.arguments is not None else ""
        return f"the model calls {self.tool} ({self.call}){shown}"


@dataclass(frozen=True, slots=True)
class ToolCalled(Event):
    """A call of a tool is over; it began `duration` seconds before `at`.

    `outcome` is `ok`, `error`, `timeout`, `cancelled` (the call ended, or the model no longer wanted what may
    be cancelled), `abandoned` (a plain function that went on in its thread when the call had ended),
    `refused` (there is no such tool), `repeated` (it was not run, but given the answer of a run that the
    model knows nothing of any more), or `elsewhere` where it is run by the model's own service. `result` is
    what the model was told, under the conditions of `arguments`.
    """

    kind = "tool_called"
    tool: str
    call: str
    outcome: str = "ok"
    duration: float = 0.0
    result: str | None = None

    def sentence(self, *, words: bool = False) -> str:
        shown = f": {self.result}" if words and self.result is not None else ""
        return (
            f"the model called {self.tool} ({self.call}): {self.outcome} after {self.duration:.1f} s{shown}"
        )


@dataclass(frozen=True, slots=True)
class ConnectionLost(Event):
    """A connection is lost, and is made again; `outage` follows when it is back."""

    kind = "connection_lost"
    # Whoever makes it again says why, in the log.
    level = logging.DEBUG
    what: str

    def sentence(self, *, words: bool = False) -> str:
        if self.what == "backend":
            return "the bot is without its backend"
        return f"the connection to {self.what} is lost"


@dataclass(frozen=True, slots=True)
class Outage(Event):
    """A connection was lost for `seconds`; `what` names it (`backend`, `agent_socket`)."""

    kind = "outage"
    level = logging.WARNING
    what: str
    seconds: float

    def sentence(self, *, words: bool = False) -> str:
        if self.what == "backend":
            return f"the bot was without its backend for {self.seconds:.1f} s"
        return f"the connection to {self.what} was lost for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class AudioUnderrun(Event):
    """The bot's voice ran out in mid-reply, `times` in the last second: its audio came too late."""

    kind = "audio_underrun"
    times: int

    def sentence(self, *, words: bool = False) -> str:
        return f"the bot's voice ran out{'' if self.times == 1 else f' {self.times} times'}: gaps were heard"


@dataclass(frozen=True, slots=True)
class AudioDropped(Event):
    """Audio was dropped in the last second, `seconds` of it.

    `direction` is `input` (what was said, which the backend did not take) or `output` (replies that did not
    fit into `playout.max_buffer`).
    """

    kind = "audio_dropped"
    # The loss itself is told as a warning, by whoever had to drop it.
    level = logging.DEBUG
    direction: Literal["input", "output"]
    seconds: float

    def sentence(self, *, words: bool = False) -> str:
        whose = "callers said" if self.direction == "input" else "the bot was to say"
        return f"{self.seconds:.1f} s of what {whose} were dropped"


@dataclass(frozen=True, slots=True)
class LoopLag(Event):
    """The event loop was late in the last second, by `seconds` at worst: nothing ran, and gaps may be heard.

    There is none below 0.1 s.
    """

    kind = "loop_lag"
    # Every call of the process tells of the same lag.
    level = logging.DEBUG
    seconds: float

    def sentence(self, *, words: bool = False) -> str:
        return f"the event loop was {1000 * self.seconds:.0f} ms late"


@dataclass(frozen=True, slots=True)
class Overload(Event):
    """The load of the process has changed: `thinned`, `overloaded` or `relieved`, with the averages of 5 s.

    `thinned`: it is near its capacity, and silent microphones are judged by a part of their frames.
    `overloaded`: it is over a limit of `workers`, takes no further calls, and gaps may be heard.
    """

    kind = "overload"
    # Every call of the process tells of the same load, which the process logs.
    level = logging.DEBUG
    state: Literal["thinned", "overloaded", "relieved"]
    lag: float
    cpu: float

    def sentence(self, *, words: bool = False) -> str:
        what = {
            "thinned": "near its capacity: silent microphones are judged by a part of their frames",
            "overloaded": "overloaded: gaps may be heard",
            "relieved": "relieved",
        }
        load = f"{self.cpu:.0%} of a core, its event loop {1000 * self.lag:.0f} ms late"
        return f"the process is {what[self.state]} ({load})"


@dataclass(frozen=True, slots=True)
class BackendWarning(BackendOriginated):
    """Something was lost or bent on the way to or from the backend.

    `unanswered` is there where it left somebody without an answer: the kind of the failure.
    """

    kind = "backend_warning"
    level = logging.WARNING
    message: str
    unanswered: FailureKind | None = None

    def sentence(self, *, words: bool = False) -> str:
        return self.message


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

    def sentence(self, *, words: bool = False) -> str:
        return f"the model ended the conversation: {self.reason}"


@dataclass(frozen=True, slots=True)
class BackendUsage(BackendOriginated):
    """Cost of a turn: tokens or seconds by the vendor's names; its price where there are prices.

    Attributes:
        amounts: Tokens or seconds, by the vendor's own names.
        cost: Price of it in the currency of the prices that were configured; None without any.
        total_cost: Price of the call so far.
        backend: Which of several it was, where there are several.
    """

    kind = "backend_usage"
    amounts: Mapping[str, float]
    cost: float | None = None
    total_cost: float | None = None
    backend: str | None = None

    def sentence(self, *, words: bool = False) -> str:
        amounts = ", ".join(f"{name} {amount:g}" for name, amount in self.amounts.items())
        price = "" if self.total_cost is None else f"; the call has cost {self.total_cost:.4f}"
        return f"the model used {amounts}{price}"


@dataclass(frozen=True, slots=True)
class BackendFailure(BackendOriginated):
    """The backend failed; with `retryable` the pipeline tries again by itself.

    `backend` is which of several, where there are several, and `fallback` which one follows it.

    Attributes:
        cause: The message without who failed and who stands in, where it is known.
        told: Whether the message says that it is tried again.
    """

    kind = "backend_failure"
    message: str
    failure: FailureKind
    retryable: bool
    backend: str | None = None
    fallback: str | None = None
    cause: str | None = field(default=None, kw_only=True, compare=False, metadata=INTERNAL)
    told: bool = field(default=False, kw_only=True, compare=False, metadata=INTERNAL)

    @classmethod
    def of(cls, error: BackendError, *, retryable: bool = False, at: float = 0.0) -> Self:
        """The event that tells of an error."""
        return cls(
            *(str(error), error.failure, retryable, error.backend, error.fallback),
            at=at,
            cause=error.cause,
            told=error.action == TRIED_AGAIN,
        )

    def sentence(self, *, words: bool = False) -> str:
        told = self.told or self.fallback is not None
        again = ", trying again" if self.retryable and not told else ""
        return f"the backend failed ({self.failure}): {self.message}{again}"

    def log_level(self) -> int:
        return logging.WARNING if self.retryable else logging.ERROR


@dataclass(frozen=True, slots=True)
class VendorUnavailable(BackendOriginated):
    """The call waits for a vendor, which fails for all calls of the process, or whose limit is reached.

    `vendor` names the service, `reason` says which of the two.
    """

    kind = "vendor_unavailable"
    level = logging.WARNING
    vendor: str
    reason: str

    def sentence(self, *, words: bool = False) -> str:
        return f"the call waits: {self.reason}"


@dataclass(frozen=True, slots=True)
class VendorAvailable(BackendOriginated):
    """The vendor that the call waited for has answered, after `seconds`."""

    kind = "vendor_available"
    vendor: str
    seconds: float

    def sentence(self, *, words: bool = False) -> str:
        return f"{self.vendor} answers again, after {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class ErrorRaised(Event):
    """User code, a stage or a peer's input failed; the call goes on."""

    kind = "error"
    message: str
    where: str
    peer: str | None = None

    def sentence(self, *, words: bool = False) -> str:
        return f"{self.where}: {self.message}"

    def log_level(self) -> int:
        # An exception has been logged where it was caught, with its traceback. These are none.
        levels = {"input": logging.ERROR, "mcp": logging.WARNING, "handoff": logging.WARNING}
        return levels.get(self.where, logging.DEBUG)


EVENTS: Mapping[str, type[Event]] = {
    item.kind: item
    for item in tuple(globals().values())
    if isinstance(item, type) and issubclass(item, Event) and "kind" in vars(item) and item.kind
}
"""Every event of a call, by its `kind`."""
KINDS: frozenset[str] = frozenset(EVENTS)
"""Every `kind` a timeline may hold."""

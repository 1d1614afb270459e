"""Course of a call, from its timeline: speech, turns, barge-ins and replies, each with its times.

The timeline does not say which turn a reply answers, and only sometimes whom (`hearing.mode: per_peer`). Here
a reply answers the turn that ended last before it began and has no answer yet, one that was known to be over
before one that was not; turns of the same peer before that one were answered along with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

_SLACK = 0.3
"""Seconds by which what was heard may exceed the time on air before we take it that the bot did not pause."""
TROUBLE = frozenset({"outage", "backend_warning", "backend_failure", "error"})
"""Kinds of notices that a call is better without."""
_NOTICES = TROUBLE | {
    "backend_ended",
    "call_ended",
    "mute_changed",
    "bot_changed",
    "user_text",
}
SOMEBODY = "somebody"
"""Name of a speaker where nobody in a mix was clearly loudest."""

Event = Mapping[str, Any]
Verdict = Literal["confirmed", "withdrawn", "open"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the call, seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class SpeechSpan:
    """Sound of one caller without a pause of 200 ms: `noticed` is when its onset was decided."""

    peer: str
    span: Span
    noticed: float


@dataclass(frozen=True, slots=True)
class UserTurn:
    """A turn of one caller.

    Attributes:
        id: As in the timeline.
        peer: Who spoke.
        span: From onset to the end of its last sound.
        decided: When it was held to be over.
        reason: Why it ended, as `events.Turn.reason` lists it.
        said: Its final transcript, empty without one.
        reply: Id of the reply that answers it, None without one.
        waited: Whether somebody else, caller or bot, was speaking between its end and its answer.
        rule: The rule of the end-of-turn policy that ended it, empty without one.
        probability: That it was complete, as the policy was told; None where it was not.
    """

    id: str
    peer: str
    span: Span
    decided: float
    reason: str
    said: str = ""
    reply: str | None = None
    waited: bool = False
    rule: str = ""
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class BargeIn:
    """Sound of a caller over the bot.

    Attributes:
        peer: Who.
        onset: Where the sound begins in the caller's audio.
        suspected: When the bot fell silent; None when another caller had silenced it already.
        verdict: `open` when none came: another caller's barge-in settled it, or the call ended.
        settled: When the verdict was given, None for `open`.
        reply: What it went over.
    """

    peer: str
    onset: float
    suspected: float | None
    verdict: Verdict = "open"
    settled: float | None = None
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of the bot.

    Attributes:
        id: As in the timeline.
        started: When the backend began it.
        first_audio: When its first audio was on the wire; None if it never sounded.
        ended: When its last sample was played or it was cut; None when the call ended first.
        seconds: Audio that was generated, None when it was cut before all was there.
        heard: Seconds that were played, None while it was not over.
        text: All its words.
        heard_text: The words that were heard.
        interrupted: Whether it was cut short.
        sounding: When it sounded. Without a pause while barge-ins were suspected if what was heard says so.
        peer: Whom it answers, None where the timeline does not say.
    """

    id: str
    started: float
    first_audio: float | None = None
    ended: float | None = None
    seconds: float | None = None
    heard: float | None = None
    text: str = ""
    heard_text: str = ""
    interrupted: bool = False
    sounding: tuple[Span, ...] = ()
    peer: str | None = None

    @property
    def unheard(self) -> float:
        """Seconds that were generated and are known not to have been heard."""
        if self.seconds is None or self.heard is None or not self.interrupted:
            return 0.0
        return max(self.seconds - self.heard, 0.0)

    @property
    def unheard_text(self) -> str:
        """The words that were not heard; empty while the reply is not over."""
        return self.text.removeprefix(self.heard_text) if self.heard is not None else ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know that is neither speech nor reply: an outage, a failure, a tool call, a switch."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A call of a tool, over or not.

    Attributes:
        tool: Its name.
        span: When it ran.
        outcome: As `events.ToolCalled` lists it; `running` where the call ended first.
        arguments: JSON, where the timeline has it (`observe.tool_payloads`).
        result: As the model was told, where the timeline has it.
    """

    tool: str
    span: Span
    outcome: str
    arguments: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call. Everything is in the order of its begin.

    Attributes:
        seconds: Its length.
        lag: How late the loop was at worst, seconds; None where nobody measured it.
        peers: Who was in the room, in the order in which they came.
        speech: What the callers' microphones heard.
        turns: The callers' turns.
        barge_ins: What sounded over the bot.
        replies: The bot's replies.
        tools: The calls of tools.
        notices: What else there is to know.
        events: The timeline itself.
    """

    seconds: float
    lag: float | None
    peers: tuple[str, ...]
    speech: tuple[SpeechSpan, ...]
    turns: tuple[UserTurn, ...]
    barge_ins: tuple[BargeIn, ...]
    replies: tuple[Reply, ...]
    tools: tuple[ToolRun, ...]
    notices: tuple[Notice, ...]
    events: tuple[Event, ...]

    def reply(self, name: str | None) -> Reply | None:
        """The reply of an id."""
        return next((reply for reply in self.replies if reply.id == name), None)


def read_call(timeline: Mapping[str, Any]) -> Call:
    """Read the timeline that `simulate` writes (`observe.timeline.Timeline.document`)."""
    events: Sequence[Event] = [event for event in map(_finite, timeline["events"]) if event is not None]
    seconds = float(timeline["duration"])
    if not math.isfinite(seconds):
        seconds = max((event["at"] for event in events), default=0.0)
    speech = _speech(events, seconds)
    barge_ins = _barge_ins(events)
    replies = tuple(_with_sounding(reply, barge_ins, seconds) for reply in _replies(events))
    return Call(
        seconds=seconds,
        lag=None if _is_no_number(timeline.get("lag")) else timeline.get("lag"),
        peers=tuple(dict.fromkeys(event["peer"] for event in events if event.get("peer") is not None)),
        speech=speech,
        turns=_answered(_turns(events), replies, speech),
        barge_ins=barge_ins,
        replies=replies,
        tools=_tools(events, seconds),
        notices=tuple(_notice(event) for event in events if event["kind"] in _NOTICES),
        events=tuple(events),
    )


def _finite(event: Event) -> Event | None:
    """An event without numbers that are none (NaN, or null in their place); None where its times are."""
    if any(_is_no_number(event.get(key)) for key in ("at", "media_at", "start")):
        return None
    return {key: _finite_value(key, value) for key, value in event.items()}


def _finite_value(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        known = {name: _finite_value(name, item) for name, item in value.items()}
        return {name: item for name, item in known.items() if not _is_no_number(item)}
    if key in ("seconds", "duration"):
        return 0.0 if value is None or _is_no_number(value) else value
    return None if _is_no_number(value) else value


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _speech(events: Sequence[Event], seconds: float) -> tuple[SpeechSpan, ...]:
    found: list[SpeechSpan] = []
    begun: dict[str, Event] = {}
    for event in events:
        kind = event["kind"]
        if kind == "user_started_speaking":
            begun.setdefault(event["track"], event)
        elif kind == "user_stopped_speaking":
            start = begun.pop(event["track"], None)
            if start is not None:
                found.append(_spoken(start, event["media_at"]))
    found.extend(_spoken(start, seconds) for start in begun.values())
    return tuple(sorted(found, key=lambda speech: speech.span.start))


def _spoken(start: Event, end: float) -> SpeechSpan:
    return SpeechSpan(_who(start), Span(start["media_at"], max(end, start["media_at"])), start["at"])


def _who(event: Event) -> str:
    return event.get("peer") or SOMEBODY


def _turns(events: Sequence[Event]) -> list[UserTurn]:
    turns = [
        UserTurn(
            event["turn"],
            _who(event),
            Span(event["start"], event["media_at"]),
            event["at"],
            event["reason"],
            rule=event.get("rule") or "",
            probability=event.get("probability"),
        )
        for event in events
        if event["kind"] == "user_turn_ended"
    ]
    turns.sort(key=lambda turn: turn.span.start)
    for event in events:
        if event["kind"] == "user_transcript" and event["final"]:
            peer, start = event.get("peer"), event.get("start")
            for index in range(len(turns) - 1, -1, -1):
                turn = turns[index]
                # Words may come when the next turn has begun; where it is known they name their own.
                own = turn.span.start <= event["at"] if start is None else turn.span.start == start
                if own and peer in (None, turn.peer):
                    turns[index] = replace(turn, said=f"{turn.said} {event['text']}".strip())
                    break
    return turns


def _barge_ins(events: Sequence[Event]) -> tuple[BargeIn, ...]:
    found: list[BargeIn] = []
    open_: list[int] = []
    tracks: dict[int, str] = {}
    for event in events:
        kind = event["kind"]
        if kind == "barge_in_suspected":
            open_.append(len(found))
            tracks[len(found)] = event["track"]
            found.append(BargeIn(_who(event), event["media_at"], event["at"], reply=event.get("reply")))
        elif kind in ("barge_in_confirmed", "barge_in_withdrawn"):
            own = [index for index in open_ if tracks[index] == event["track"]]
            if kind == "barge_in_withdrawn":
                # The one whose sound ended last gives the verdict for all who were suspected.
                own = own or open_[:1]
            if own:
                settled = found[own[0]]
                verdict: Verdict = "confirmed" if kind == "barge_in_confirmed" else "withdrawn"
                found[own[0]] = replace(settled, verdict=verdict, settled=event["at"])
            elif kind == "barge_in_confirmed":
                found.append(
                    BargeIn(
                        _who(event), event["media_at"], None, "confirmed", event["at"], event.get("reply")
                    )
                )
            open_.clear()
    return tuple(sorted(found, key=lambda barge_in: barge_in.onset))


def _replies(events: Sequence[Event]) -> list[Reply]:
    found: dict[str, Reply] = {}
    for event in events:
        kind, name = event["kind"], event.get("reply")
        if kind == "reply_started" and name is not None:
            found[name] = Reply(name, event["at"], peer=event.get("peer"))
        if name not in found:
            continue
        reply = found[name]
        if kind == "reply_first_audio":
            found[name] = replace(reply, first_audio=event["at"])
        elif kind == "reply_generated":
            found[name] = replace(reply, seconds=event["seconds"])
        elif kind == "reply_text":
            found[name] = replace(reply, text=reply.text + event["text"])
        elif kind in ("reply_interrupted", "reply_ended"):
            heard = event["heard"]
            found[name] = replace(
                reply,
                ended=event["at"],
                heard=heard["seconds"],
                heard_text=heard["text"],
                interrupted=kind == "reply_interrupted",
            )
    return list(found.values())


def _with_sounding(reply: Reply, barge_ins: Sequence[BargeIn], seconds: float) -> Reply:
    if reply.first_audio is None:
        return reply
    end = seconds if reply.ended is None else reply.ended
    whole = Span(reply.first_audio, max(end, reply.first_audio))
    pieces: list[Span] = []
    start = whole.start
    for barge_in in barge_ins:
        if barge_in.suspected is not None and start <= barge_in.suspected < whole.end:
            pieces.append(Span(start, barge_in.suspected))
            start = min(whole.end if barge_in.settled is None else barge_in.settled, whole.end)
    pieces.append(Span(start, whole.end))
    sounding = tuple(piece for piece in pieces if piece.seconds > 0)
    if reply.heard is not None and sum(piece.seconds for piece in sounding) + _SLACK < reply.heard:
        sounding = (whole,)
    return replace(reply, sounding=sounding)


def _answered(
    turns: list[UserTurn], replies: Sequence[Reply], speech: Sequence[SpeechSpan]
) -> tuple[UserTurn, ...]:
    waiting = set(range(len(turns)))
    for reply in replies:
        ready = [
            index
            for index in waiting
            if turns[index].span.end <= reply.started and reply.peer in (None, turns[index].peer)
        ]
        if not ready:
            continue
        # A turn that was not known to be over is answered only by a model that was sooner to see its end.
        ready = [index for index in ready if turns[index].decided <= reply.started] or ready
        latest = max(ready, key=lambda index: turns[index].span.end)
        turn = turns[latest]
        waiting -= {index for index in ready if turns[index].peer == turn.peer}
        pause = Span(turn.span.end, reply.started if reply.first_audio is None else reply.first_audio)
        others = [spoken.span for spoken in speech if spoken.peer != turn.peer]
        others += [piece for other in replies if other is not reply for piece in other.sounding]
        waited = any(other.start < pause.end and other.end > pause.start for other in others)
        turns[latest] = replace(turn, reply=reply.id, waited=waited)
    return tuple(turns)


def _tools(events: Sequence[Event], seconds: float) -> tuple[ToolRun, ...]:
    found: list[ToolRun] = []
    begun: dict[str, Event] = {}
    for event in events:
        if event["kind"] == "tool_started":
            begun[event["call"]] = event
        elif event["kind"] == "tool_called":
            start = begun.pop(event["call"], None)
            at = event["at"] - event.get("duration", 0.0) if start is None else start["at"]
            arguments = "" if start is None else start.get("arguments") or ""
            found.append(
                ToolRun(
                    event["tool"],
                    Span(min(max(at, 0.0), event["at"]), event["at"]),
                    event.get("outcome", "ok"),
                    arguments,
                    event.get("result") or "",
                )
            )
    found.extend(
        ToolRun(event["tool"], Span(event["at"], seconds), "running", event.get("arguments") or "")
        for event in begun.values()
    )
    return tuple(sorted(found, key=lambda run: run.span.start))


def _notice(event: Event) -> Notice:
    kind = event["kind"]
    if kind == "outage":
        return Notice(event["at"], kind, f"{event['what']} was lost for {event['seconds']:.2f} s")
    if kind == "mute_changed":
        return Notice(event["at"], kind, f"{event['direction']} {'muted' if event['muted'] else 'unmuted'}")
    if kind == "bot_changed":
        return Notice(event["at"], kind, f"{event['bot']} took over from {event['before']}")
    if kind == "user_text":
        return Notice(event["at"], kind, f"{_who(event)} wrote: {event['text']}")
    if kind == "call_ended":
        return Notice(event["at"], kind, f"the call ended: {event['reason']}")
    if kind == "backend_ended":
        return Notice(event["at"], kind, f"the model ended the conversation: {event['reason']}")
    return Notice(event["at"], kind, event["message"])

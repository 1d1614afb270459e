"""Reads the course of a call from its timeline.

The timeline does not say which turn a reply answers, and only sometimes whom (`hearing.mode: per_peer`). Here
a reply answers the turn that ended last before it began and has no answer yet, one that was known to be over
before one that was not; turns of the same peer before that one were answered along with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fishjam_agents.observe.report.call import (
    SOMEBODY,
    TROUBLE,
    BargeIn,
    Call,
    Event,
    Notice,
    Reply,
    Span,
    SpeechSpan,
    ToolRun,
    UserTurn,
    Verdict,
)

_SLACK = 0.3
"""Seconds by which what was heard may exceed the time on air before we take it that the bot did not pause."""
_NOTICES = TROUBLE | {
    "backend_ended",
    "call_ended",
    "mute_changed",
    "bot_changed",
    "user_text",
}


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

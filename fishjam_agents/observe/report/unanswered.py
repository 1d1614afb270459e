"""Reasons why a turn has no answer, as far as a timeline tells them."""

from __future__ import annotations

from fishjam_agents.observe.report.call import Call, Event, UserTurn

_SOON = 5.0
"""Seconds after a turn in which a call that ends leaves no time for an answer."""
_TROUBLES = {"backend_failure": "the backend failed", "error": "code of the bot raised"}


def why_unanswered(call: Call, turn: UserTurn) -> str | None:
    """Return why a turn has no answer, in words; None where it has one, or nothing is known."""
    if turn.reply is not None:
        return None
    if turn.reason == "cancelled":
        return "taken back: not to be answered"
    if turn.reason == "app":
        return "the bot's ears were closed"
    later = [other for other in call.turns if other.peer == turn.peer and other.span.start >= turn.span.end]
    until = later[0].decided if later else call.seconds
    since = [event for event in call.events if turn.span.end <= event["at"] <= until]
    for found in (_lost, _muted, _away):
        if (why := found(call, turn, since)) is not None:
            return why
    if later:
        follows = later[0]
        gap = follows.span.start - turn.span.end
        if follows.reply is not None:
            return f"answered together with {follows.id}, which began {gap:.1f} s later"
        return f"the speaker went on {gap:.1f} s later ({follows.id})"
    if call.seconds - turn.decided < _SOON:
        return f"the call was over {max(call.seconds - turn.decided, 0.0):.1f} s later"
    return f"the model said nothing in the {call.seconds - turn.decided:.1f} s that were left"


def _lost(call: Call, turn: UserTurn, since: list[Event]) -> str | None:
    for event in since:
        if event["kind"] == "backend_warning" and event.get("unanswered"):
            return str(event["message"])
    for event in since:
        if (trouble := _TROUBLES.get(event["kind"])) is not None:
            return f"{trouble}: {event['message']}"
    return None


def _muted(call: Call, turn: UserTurn, since: list[Event]) -> str | None:
    muted = False
    for event in call.events:
        if event["kind"] == "mute_changed" and event["direction"] == "output" and event["at"] <= turn.decided:
            muted = event["muted"]
    return "the bot was muted" if muted else None


def _away(call: Call, turn: UserTurn, since: list[Event]) -> str | None:
    for event in call.events:
        if event["kind"] == "outage" and event["at"] - event["seconds"] <= turn.decided <= event["at"]:
            return f"the bot was without its {event['what']} for {event['seconds']:.1f} s"
    for event in since:
        if event["kind"] == "vendor_unavailable":
            return str(event["reason"])
    return None

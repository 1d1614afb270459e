"""An event in plain words, for the log and the timeline's table."""

from __future__ import annotations

from fishjam_agents import events
from fishjam_agents.events import Event, Heard

_READABLE = 12
"""Characters up to which an id is shown whole in a sentence."""

_WASTED = {
    "went_on": "the turn was not over",
    "words": "it ended with other words",
    "changed": "the conversation had changed",
    "failed": "a part failed",
    "empty": "nothing was said",
    "interrupted": "it was interrupted",
}

_ENDS = {
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


def sentence(event: Event, *, words: bool) -> str:
    """Describe an event.

    Args:
        event: The event.
        words: Whether to quote what people and bots say.
    """
    match event:
        case events.CallStarted():
            return "the call began"
        case events.CallEnded():
            return f"the call ended: {_ENDS[event.reason]}"
        case events.PeerJoined():
            return f"{_who(event.peer)} is in the room"
        case events.PeerLeft():
            return f"{_who(event.peer)} left the room"
        case events.UserStartedSpeaking():
            return f"{_who(event.peer)} speaks"
        case events.UserStoppedSpeaking():
            return f"{_who(event.peer)} pauses"
        case events.UserTurnEnded():
            why = "" if event.reason == "silence" else f" (ended by: {event.reason})"
            return f"{_who(event.peer)} finished a turn of {event.media_at - event.start:.1f} s{why}"
        case events.BargeInSuspected():
            return f"{_who(event.peer)} may be speaking over the bot: it pauses"
        case events.BargeInConfirmed():
            return f"{_who(event.peer)} speaks over the bot: its reply is over"
        case events.BargeInWithdrawn():
            return f"{_who(event.peer)} did not speak over the bot: it goes on"
        case events.ReplyStarted():
            return f"the bot replies ({event.reply})"
        case events.ReplyFirstAudio():
            return f"first audio of {event.reply} is on the wire"
        case events.ReplyGenerated():
            return f"{event.reply} is complete: {event.seconds:.1f} s"
        case events.ReplyInterrupted():
            return f"{event.reply} was interrupted, {_heard(event.heard, words)}"
        case events.ReplyEnded():
            return f"{event.reply} was played, {_heard(event.heard, words)}"
        case events.ReplyLatency():
            parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in event.parts.items())
            return f"{event.reply} took {parts}"
        case events.PreemptiveReply():
            who = _who(event.peer)
            if event.outcome == "adopted":
                return f"the answer to {who} was begun {event.seconds:.2f} s before the turn was over"
            return f"{event.seconds:.2f} s of an answer to {who} were for nothing: {_WASTED[event.outcome]}"
        case events.UserTranscript():
            said = f": {event.text!r}" if words else ""
            return f"{_who(event.peer)} {'said' if event.final else 'is saying'}{said}"
        case events.ReplyText():
            return f"{event.reply} says{f' {event.text!r}' if words else ' words'}"
        case events.ToolCalled():
            return (
                f"the model called {event.tool} ({event.call}): {event.outcome} after {event.duration:.1f} s"
            )
        case events.UserIdle():
            return f"nobody has said anything for {event.seconds:.1f} s ({event.times} in a row)"
        case events.MuteChanged():
            return f"the app {'muted' if event.muted else 'unmuted'} the bot's {event.direction}"
        case events.Outage():
            if event.what == "backend":
                return f"the bot was without its backend for {event.seconds:.1f} s"
            return f"the connection to {event.what} was lost for {event.seconds:.1f} s"
        case events.BackendWarning():
            return event.message
        case events.BackendEnded():
            return f"the model ended the conversation: {event.reason}"
        case events.BackendUsage():
            amounts = ", ".join(f"{name} {amount:g}" for name, amount in event.amounts.items())
            price = "" if event.total_cost is None else f"; the call has cost {event.total_cost:.4f}"
            return f"the model used {amounts}{price}"
        case events.BackendFailure():
            return f"the backend failed ({event.failure}): {event.message}{_again(event)}"
        case events.ErrorRaised():
            return f"{event.where}: {event.message}"
        case _:
            return event.kind


def _again(failure: events.BackendFailure) -> str:
    told = failure.fallback is not None or "tried again" in failure.message
    return ", trying again" if failure.retryable and not told else ""


def _who(peer: str | None) -> str:
    if peer is None:
        return "somebody"
    # Fishjam's ids are UUIDs; the log has the whole of it at the end of the line.
    return peer if len(peer) <= _READABLE else peer[:8]


def _heard(heard: Heard, words: bool) -> str:
    text = f": {heard.text!r}" if words and heard.text else ""
    return f"{heard.seconds:.1f} s of it heard{text}"

"""Messages about a backend that failed in a simulated call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fishjam_agents.simulation import SimulationResult


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures of the backend in a call.

    Attributes:
        lines: What to say of it; empty if it did not.
        unanswered: Whether it left somebody without an answer.
    """

    lines: Sequence[str] = ()
    unanswered: bool = False


def failures(result: SimulationResult) -> Failures:
    """Describe how the backend failed, a line for each way of each backend, and the effect on callers.

    What ended the call is left out: it is said by itself. A turn counts as unanswered where a failure cost
    its answer, or where no reply was heard after it and the backend was failing then.
    """
    events = result.timeline["events"]
    ended = None if result.failure is None else str(result.failure)
    failed = [event for event in events if event["kind"] == "backend_failure" and event["message"] != ended]
    lost = [event for event in events if event["kind"] == "backend_warning" and event.get("unanswered")]
    turns = [
        event["at"]
        for event in events
        if event["kind"] == "user_turn_ended" and event["reason"] != "cancelled"
    ]
    replied = max((event["at"] for event in events if event["kind"] == "reply_first_audio"), default=-1.0)
    waiting = sum(at > replied for at in turns)
    trouble = _trouble(events, next((at for at in turns if at > replied), None))
    if not failed and not lost and trouble is None:
        return Failures()
    back = [event["at"] for event in events if event["kind"] == "outage" and event["what"] == "backend"]
    away = ended is not None or bool(failed and not (back and back[-1] >= failed[-1]["at"]))
    earlier = sum(event["at"] <= replied for event in lost)
    pending = trouble is not None and not failed and len(lost) == earlier
    unanswered = min(earlier + waiting * (away or pending or len(lost) > earlier), len(turns))
    lines = _ways(failed, result.causes)
    lines += [
        f"A reply was lost {_times(count)} ({kind}): {_line(message)}"
        for (kind, message), count in Counter(
            (event["unanswered"], event["message"]) for event in lost
        ).items()
    ]
    if failed and away and ended is None:
        silent = "from then on nobody was answered" if waiting else "nobody was waiting for an answer"
        lines.append(f"It did not come back before the call ended: {silent}.")
    if pending:
        lines.append(f"When the call ended, an answer was still waited for: {_line(str(trouble))}.")
    if unanswered:
        lines.append(
            f"{unanswered} of {_turns(len(turns))} {'was' if unanswered == 1 else 'were'} not answered."
        )
    elif turns and not waiting:
        lines.append(f"All the same, {_turns(len(turns))} of {len(turns)} got an answer.")
    return Failures(lines, bool(lost or unanswered))


def _trouble(events: Sequence[Mapping[str, Any]], since: float | None) -> str | None:
    """Last that the backend told of trouble since an unanswered turn ended; None without one."""
    told = {"backend_warning": "message", "vendor_unavailable": "reason"}
    if since is None:
        return None
    troubles = [
        str(event[told[event["kind"]]]) for event in events if event["kind"] in told and event["at"] >= since
    ]
    return troubles[-1] if troubles else None


def _ways(failed: Sequence[Mapping[str, Any]], causes: Mapping[str, str]) -> list[str]:
    ways: dict[tuple[str, str, str], set[str]] = {}
    counts: Counter[tuple[str, str, str]] = Counter()
    for event in failed:
        name, fallback = event.get("backend", "The backend"), event.get("fallback")
        reason = causes.get(event["message"], event["message"])
        way = (name, event["failure"], reason)
        counts[way] += 1
        ways.setdefault(way, set()).update([fallback] if fallback else [])
    return [
        f"{name} failed {_times(counts[name, kind, reason])} ({kind}): {_line(reason)}"
        + "".join(f"; {fallback} stood in" for fallback in sorted(fallbacks))
        for (name, kind, reason), fallbacks in ways.items()
    ]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _turns(count: int) -> str:
    return "1 turn" if count == 1 else f"{count} turns"


def _line(message: str) -> str:
    # What a service says must not move the cursor.
    return message if message.isprintable() else repr(message)

"""Whether a call went as expected: a timeline against what a scenario expects of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fishjam_agents.testing.moments import Reference
from fishjam_agents.testing.scenario import Expectations, Expected

TOLERANCE = 0.0005
"""Timelines are rounded to milliseconds."""

Events = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One expectation and what came.

    Attributes:
        expected: What was expected, in words.
        came: What came instead, or how it was met.
        met: Whether it was.
    """

    expected: str
    came: str
    met: bool

    def __str__(self) -> str:
        return f"{'ok  ' if self.met else 'FAIL'}  expected {self.expected}; came {self.came}"


def judge(expect: Expectations, events: Events) -> list[Verdict]:
    """Compare a call with what is expected of it.

    Args:
        expect: What is expected.
        events: The events of a timeline, in order.

    Returns:
        One verdict for each expectation.
    """
    verdicts = [_order(expect.order, events)] if expect.order else []
    if expect.absent:
        verdicts.append(_absent(expect.absent, events))
    return verdicts + [_event(expected, events) for expected in expect.events]


def _order(order: Sequence[str], events: Events) -> Verdict:
    rest = iter([event["kind"] for event in events])
    missing = next((kind for kind in order if kind not in rest), None)
    kinds = ", ".join(event["kind"] for event in events if event["kind"] in order)
    came = "that" if missing is None else f"{kinds or 'none of them'}: {missing} is missing in its place"
    return Verdict(f"in this order {', '.join(order)}", came, missing is None)


def _absent(absent: Iterable[str], events: Events) -> Verdict:
    found = [f"{event['kind']} at {event['at']:.2f} s" for event in events if event["kind"] in absent]
    return Verdict(f"no {' and no '.join(absent)}", ", ".join(found) or "none", not found)


def find(reference: Reference, events: Events) -> Mapping[str, Any] | None:
    """The event a reference means; None when it did not come."""
    fitting = [event for event in events if reference.fits(event)]
    return fitting[reference.number - 1] if len(fitting) >= reference.number else None


def _event(expected: Expected, events: Events) -> Verdict:
    reference = Reference.parse(expected.event)
    found = find(reference, events)
    came: list[str] = []
    met = True

    def check(holds: bool, what: str) -> None:
        nonlocal met
        met = met and holds
        came.append(what if holds else f"{what} (!)")

    count = sum(reference.fits(event) for event in events)
    if expected.count is not None:
        check(count == expected.count, f"{count} of them")
    elif found is None:
        check(False, f"{count or 'none'} of them")
    if found is not None:
        if expected.within is not None or expected.not_before is not None:
            _time(expected, reference, found, events, check)
        for path, text in expected.where.items():
            value = _field(found, path)
            check(str(value) == text, f"{path} {value}")
        for limits, sign in ((expected.least, 1), (expected.most, -1)):
            for path, limit in limits.items():
                value = _field(found, path)
                holds = isinstance(value, (int, float)) and sign * (value - limit) >= -TOLERANCE
                check(holds, f"{path} {value}")
        if not came:
            came.append(f"at {found['at']:.2f} s")
    elif expected.count is None or expected.count > 0:
        met = False
    return Verdict(_words(expected), ", ".join(came), met)


def _time(
    expected: Expected, reference: Reference, found: Mapping[str, Any], events: Events, check: Any
) -> None:
    at = found.get(reference.time)
    origin: Any = 0.0
    if expected.after is not None:
        base = Reference.parse(expected.after)
        event = find(base, events)
        origin = None if event is None else event.get(base.time)
    if at is None or origin is None:
        check(False, f"no {expected.after if origin is None else reference}")
        return
    passed = at - origin
    early = expected.not_before is not None and passed < expected.not_before - TOLERANCE
    late = expected.within is not None and passed > expected.within + TOLERANCE
    check(not (early or late), f"after {passed:.3f} s")


def _field(event: Mapping[str, Any], path: str) -> Any:
    value: Any = event
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _words(expected: Expected) -> str:
    words = [expected.event if expected.count is None else f"{expected.count} x {expected.event}"]
    if expected.within is not None:
        words.append(f"within {expected.within:g} s")
    if expected.not_before is not None:
        words.append(f"not before {expected.not_before:g} s")
    if expected.after is not None:
        words.append(f"after {expected.after}")
    conditions = [f"{path} {text}" for path, text in expected.where.items()]
    conditions += [f"{path} at least {limit:g}" for path, limit in expected.least.items()]
    conditions += [f"{path} at most {limit:g}" for path, limit in expected.most.items()]
    return " ".join(words) + (f" with {' and '.join(conditions)}" if conditions else "")

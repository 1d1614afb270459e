"""Comparison of a call with its expectations: a timeline against those of a scenario. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fishjam_agents.testing.scenario import Expectations, Expected
from fishjam_agents.testing.time_spec import Reference

TOLERANCE = 0.0005
"""Timelines are rounded to milliseconds."""

Events = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One expectation and what came.

    Attributes:
        key: Where the scenario has it: `expect.order`, `expect.events[2]`.
        expected: What was expected, in words.
        came: What came, in words.
        met: Whether it was met.
        at: When what it speaks of came, seconds since the call's zero; None when that did not come.
    """

    key: str
    expected: str
    came: str
    met: bool
    at: float | None = None

    def __str__(self) -> str:
        return f"{'ok  ' if self.met else 'FAIL'}  {self.expected}: {self.came}"


def judge(expect: Expectations, events: Events) -> list[Verdict]:
    """Compare a call with what is expected of it.

    Args:
        expect: What is expected.
        events: The events of a timeline, in order.

    Returns:
        One verdict for each expectation.
    """
    verdicts = [_order(expect.order, events)] if expect.order else []
    if expect.all_absent:
        verdicts.append(_absent(expect.all_absent, events))
    named = enumerate(expect.events)
    return verdicts + [_event(f"expect.events[{index}]", expected, events) for index, expected in named]


def find(reference: Reference, events: Events) -> Mapping[str, Any] | None:
    """The event a reference means; None when it did not come."""
    fitting = [event for event in events if reference.fits(event)]
    return fitting[reference.number - 1] if len(fitting) >= reference.number else None


def _order(order: Sequence[str], events: Events) -> Verdict:
    expected = f"in this order {', '.join(order)}"
    rest = iter(events)
    found: list[Mapping[str, Any]] = []
    for text in order:
        reference = Reference.parse(text)
        event = next((event for event in rest if reference.fits(event)), None)
        if event is None:
            place = f" after {found[-1]['kind']} at {found[-1]['at']:.2f} s" if found else ""
            return Verdict("expect.order", expected, f"no {text}{place}", met=False)
        found.append(event)
    times = ", ".join(f"{event['at']:.2f}" for event in found)
    return Verdict("expect.order", expected, f"at {times} s", met=True, at=found[-1]["at"])


def _absent(absent: Sequence[str], events: Events) -> Verdict:
    references = [Reference.parse(text) for text in absent]
    found = [event for event in events if any(reference.fits(event) for reference in references)]
    came = ", ".join(_came(event) for event in found)
    at = found[0]["at"] if found else None
    return Verdict("expect.absent", f"no {', no '.join(absent)}", came or "none came", not found, at)


def _came(event: Mapping[str, Any]) -> str:
    message = f" ({event['message']})" if "message" in event else ""
    return f"{event['kind']} at {event['at']:.2f} s{message}"


def _event(key: str, expected: Expected, events: Events) -> Verdict:
    reference = Reference.parse(expected.event)
    fitting = [event for event in events if reference.fits(event)]
    found = find(reference, events)
    checks: list[tuple[bool, str]] = []
    if expected.count is not None:
        times = ", ".join(f"{event['at']:.2f}" for event in fitting)
        checks.append(
            (len(fitting) == expected.count, f"{len(fitting)}" + (f", at {times} s" if times else ""))
        )
    if found is None:
        if expected.count is None or expected.count >= reference.number:
            checks = [(False, "it never came" if not fitting else f"only {len(fitting)} came")]
    else:
        checks += _time(expected, reference, found, events)
        checks += _fields(expected, found)
        if not checks:
            checks.append((True, f"at {found['at']:.2f} s"))
    # What is right hides what is wrong.
    wrong = [what for holds, what in checks if not holds]
    came = ", ".join(wrong or [what for _, what in checks])
    return Verdict(key, _words(expected), came, not wrong, None if found is None else found["at"])


def _time(
    expected: Expected, reference: Reference, found: Mapping[str, Any], events: Events
) -> list[tuple[bool, str]]:
    if expected.within is None and expected.not_before is None:
        return []
    at = found[reference.time]
    origin = 0.0
    since = ""
    if expected.after is not None:
        base = Reference.parse(expected.after)
        event = find(base, events)
        if event is None:
            return [(False, f"at {at:.2f} s, but {base} never came")]
        origin = event[base.time]
        since = f" {at - origin:.3f} s after it,"
    passed = at - origin
    holds = True
    verdict = ""
    if expected.not_before is not None and passed < expected.not_before - TOLERANCE:
        holds, verdict = False, f", {expected.not_before - passed:.3f} s too early"
    elif expected.within is not None and passed > expected.within + TOLERANCE:
        holds, verdict = False, f", {passed - expected.within:.3f} s too late"
    return [(holds, f"{since} at {at:.2f} s{verdict}".lstrip())]


def _fields(expected: Expected, found: Mapping[str, Any]) -> list[tuple[bool, str]]:
    checks: list[tuple[bool, str]] = []
    for path, text in expected.where.items():
        value = _field(found, path)
        checks.append((_as_text(value) == text, f"{path} was {_as_text(value)}"))
    limits: list[tuple[Mapping[str, float], Callable[[float, float], bool]]] = [
        (expected.least, lambda value, limit: value >= limit - TOLERANCE),
        (expected.most, lambda value, limit: value <= limit + TOLERANCE),
    ]
    for bounds, keeps in limits:
        for path, limit in bounds.items():
            value = _field(found, path)
            number = isinstance(value, (int, float))
            checks.append((number and keeps(value, limit), f"{path} was {_as_text(value)}"))
    return checks


def _field(event: Mapping[str, Any], path: str) -> Any:
    value: Any = event
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _as_text(value: Any) -> str:
    """A value as a scenario writes it: `true`, `1.5`, `left`."""
    if value is None:
        return "not given"
    return value if isinstance(value, str) else json.dumps(value)


def _words(expected: Expected) -> str:
    words = [expected.event if expected.count is None else f"{expected.count} x {expected.event}"]
    if expected.within is not None:
        words.append(f"within {expected.within:g} s")
    if expected.not_before is not None:
        words.append(f"{'and ' if expected.within is not None else ''}not before {expected.not_before:g} s")
    if expected.after is not None:
        words.append(f"after {expected.after}")
    conditions = [f"{path} {text}" for path, text in expected.where.items()]
    conditions += [f"{path} at least {limit:g}" for path, limit in expected.least.items()]
    conditions += [f"{path} at most {limit:g}" for path, limit in expected.most.items()]
    return " ".join(words) + (f" with {' and '.join(conditions)}" if conditions else "")

"""Counters of a program that serves rooms, in the text form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fishjam_agents.pipeline.process_load import LoadState


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        kind: What its values are.
        help: What it tells.
        labels: Names of the labels of its series, beside `process`.
    """

    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()


VENDOR = ("vendor",)
"""Label of what is counted by vendor: the name of the service, of which there are few; no address, no key."""

OVERLOAD: Mapping[LoadState, float] = {"relieved": 0.0, "thinned": 1.0, "overloaded": 2.0}
"""Values of `fishjam_agents_overload`."""

METRICS: Mapping[str, Metric] = {
    "fishjam_agents_calls": Metric("gauge", "Calls whose bot is in its room or on its way."),
    "fishjam_agents_calls_started_total": Metric("counter", "Calls begun, restarts included."),
    "fishjam_agents_calls_ended_total": Metric("counter", "Calls that ended as they should."),
    "fishjam_agents_calls_crashed_total": Metric("counter", "Calls that failed, each time."),
    "fishjam_agents_calls_parked_total": Metric("counter", "Calls that failed too often."),
    "fishjam_agents_calls_held_elsewhere_total": Metric("counter", "Rooms that another process had already."),
    "fishjam_agents_rooms": Metric("gauge", "Rooms of the Fishjam at the last look."),
    "fishjam_agents_looks_total": Metric("counter", "Looks at the rooms."),
    "fishjam_agents_ready": Metric("gauge", "1 while new rooms are taken."),
    "fishjam_agents_loop_lag_seconds": Metric("gauge", "Lateness of the event loop, average of 5 s."),
    "fishjam_agents_cpu_cores": Metric("gauge", "Cores in use, average of 5 s."),
    "fishjam_agents_overload": Metric(
        "gauge", "2 while over a limit of load, 1 while near it: detection is thinned."
    ),
    "fishjam_agents_overloads_total": Metric("counter", "Times that the process went over a limit of load."),
    "fishjam_agents_vendor_breakers_open": Metric(
        "gauge", "Accounts at vendors that are not asked now.", VENDOR
    ),
    "fishjam_agents_vendor_breakers_opened_total": Metric(
        "counter", "Times that an account was given a rest.", VENDOR
    ),
    "fishjam_agents_vendor_requests_waiting": Metric("gauge", "Requests to vendors that wait.", VENDOR),
    "fishjam_agents_vendor_limit_reached_total": Metric(
        "counter", "Requests and calls that a limit of an account kept away.", VENDOR
    ),
}
"""Metrics by name. The format: Prometheus docs, Exposition formats, version 0.0.4."""


def series_of(name: str, label: str, value: str) -> str:
    """Name one series of a metric that has several: `name{label="value"}`."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name}{{{label}="{escaped}"}}'


def exposition(values: Mapping[str, Mapping[str, float]]) -> str:
    """Metrics as text.

    Args:
        values: Values by the series (the name of the metric, or `series_of` it), and by the process, "" where
            there is one.
    """
    series: dict[str, dict[str, Mapping[str, float]]] = {}
    for key, by_process in values.items():
        name, _, own = key.partition("{")
        series.setdefault(name, {})[own.removesuffix("}")] = by_process
    lines = []
    for name, metric in METRICS.items():
        lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
        for own, by_process in series.get(name, {}).items():
            for process, value in by_process.items():
                labels = ",".join(label for label in (f'process="{process}"' * bool(process), own) if label)
                shown = f"{{{labels}}}" if labels else ""
                # Whole: a counter that is rounded seems to stand still.
                lines.append(f"{name}{shown} {int(value) if value == int(value) else value}")
    return "\n".join(lines) + "\n"

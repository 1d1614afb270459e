"""Distribution of latencies, as SVG."""

from __future__ import annotations

import math

from fishjam_agents.observe.report.latency import Summary
from fishjam_agents.observe.report.markup import Markup, joined, tag

_WIDTH, _HEIGHT = 340, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 16, 322, 34, 122
_WIDTHS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_MOST_BINS = 24
_TALL_ENOUGH, _WIDE_ENOUGH = 18, 12


def bins(values: tuple[float, ...], least: float) -> tuple[float, float, list[int]]:
    """Count values in bins of a round width.

    Args:
        values: Seconds, sorted, not empty.
        least: The axis is at least this long, so that reports can be compared at a glance.

    Returns:
        Where the axis begins (zero, or below it for negative values), the width of a bin, and the counts.
    """
    span = max(values[-1], least) - min(values[0], 0.0)
    width = next((width for width in _WIDTHS if span / width <= _MOST_BINS), span / _MOST_BINS)
    start = math.floor(min(values[0], 0.0) / width) * width
    counts = [0] * (int((max(values[-1], least) - start) / width + 1e-9) + 1)
    for value in values:
        counts[int((value - start) / width + 1e-9)] += 1
    return start, width, counts


def histogram(found: Summary, *, title: str, name: str, least: float) -> Markup:
    """A histogram with its median and its high mark.

    Args:
        found: The values.
        title: What they are.
        name: Unique in the page.
        least: Least length of the axis, seconds.
    """
    start, width, counts = bins(found.values, least)
    each = (_RIGHT - _LEFT) / len(counts)
    tall = (_BOTTOM - _TOP) / max(counts)

    def x(value: float) -> float:
        return _LEFT + (value - start) / width * each

    bars = [
        tag(
            "rect",
            tag(
                "title", f"{(start + i * width) * 1000:.0f} to {(start + (i + 1) * width) * 1000:.0f} ms: {n}"
            ),
            x=f"{_LEFT + i * each + 1:.1f}",
            y=f"{_BOTTOM - n * tall:.1f}",
            width=f"{max(each - 2, 1):.1f}",
            height=f"{n * tall:.1f}",
            rx=2,
        )
        for i, n in enumerate(counts)
        if n
    ]
    numbers = [
        tag("text", str(n), x=f"{_LEFT + (i + 0.5) * each:.1f}", y=f"{_BOTTOM - 6}", class_="count")
        for i, n in enumerate(counts)
        if n * tall >= _TALL_ENOUGH and each >= _WIDE_ENOUGH
    ]
    every = max(1, round(len(counts) / 5))
    ticks = [
        tag("text", _label(start + i * width), x=f"{_LEFT + i * each:.1f}", y=_BOTTOM + 16, class_="tick")
        for i in range(0, len(counts), every)
    ]
    middle = 0.5 if len(found.values) == 1 else 0.2
    marks = [_mark(x(found.median), f"median {found.median * 1000:.0f} ms", "median", 10, middle)]
    if len(found.values) > 1:
        marks.append(_mark(x(found.high), f"{found.high_name} {found.high * 1000:.0f} ms", "high", 24, 0.7))
    description = (
        f"{len(found.values)} values, median {found.median * 1000:.0f} ms, "
        f"{found.high_name} {found.high * 1000:.0f} ms"
    )
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        tag("line", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM, class_="axis"),
        joined(bars),
        joined(ticks),
        joined(marks),
        joined(numbers),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_="histogram",
    )


def _label(seconds: float) -> str:
    return f"{seconds * 1000:.0f}" + (" ms" if abs(seconds) < 1e-9 else "")


def _mark(at: float, label: str, name: str, y: int, turning: float) -> Markup:
    """A line with its label, to the left of it beyond the share `turning` of the width."""
    right = at > _LEFT + (_RIGHT - _LEFT) * turning
    text = tag("text", label, x=f"{at + (-5 if right else 5):.1f}", y=y, text_anchor="end" if right else None)
    return tag("g", tag("line", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=y - 8, y2=_BOTTOM), text, class_=name)

"""Rows of the budget table, and how they are printed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured.
        budget: What it may be, empty when the row only informs.
        measured: What it was, with its spread.
        reference: What it is compared with, measured in the same run; empty when there is none.
        within: Whether the budget is kept; None when the row has none or was not measured.
        failed: Whether measuring went wrong.
    """

    what: str
    budget: str
    measured: str
    reference: str = ""
    within: bool | None = None
    failed: bool = False


_VERDICTS = {True: "yes", False: "NO", None: ""}
_TITLES = ("what", "budget", "measured", "reference in the same run", "kept")


def skipped(what: str, budget: str, reason: str) -> Row:
    """A row that could not be measured here, and why."""
    return Row(what, budget, f"skipped: {reason}")


def failed(what: str, error: Exception) -> Row:
    """A row of which measuring went wrong."""
    return Row(what, "", f"failed: {error}", failed=True)


def spread(values: Sequence[float], digits: int = 0, unit: str = "") -> str:
    """Median and range of repetitions: `94 (91-103) us`."""
    tail = f" {unit}" if unit else ""
    median = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return median + tail
    return f"{median} ({min(values):.{digits}f}-{max(values):.{digits}f}){tail}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all values do not exceed; values need not be sorted."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def markdown(rows: Sequence[Row]) -> str:
    """The table, readable as it is and as Markdown."""
    lines = [_TITLES]
    lines += [(row.what, row.budget, row.measured, row.reference, _VERDICTS[row.within]) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_TITLES))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)

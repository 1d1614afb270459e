"""Figures with their targets, and the tables they are told in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.table import percentile


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured that has a target.

    Attributes:
        what: What was measured.
        target: What it should be, as the issue says it; empty when it only informs.
        measured: What it was, with the number of trials.
        kept: Whether the target is met; None when there is none, or nothing could be measured.
    """

    what: str
    target: str
    measured: str
    kept: bool | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of details.

    Attributes:
        title: What it shows.
        columns: Their names.
        rows: Cells as text, as many in each row as there are columns.
        note: What a reader must know, below it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Results of one category."""

    figures: Sequence[Figure]
    tables: Sequence[Table] = ()


VERDICTS = {True: "yes", False: "NO", None: ""}


def share(part: int, whole: int) -> float:
    """Per cent; 0 of nothing."""
    return 100 * part / whole if whole else 0.0


def per_cent(part: int, whole: int) -> str:
    """`99.1 % of 212`."""
    return f"{share(part, whole):.1f} % of {whole}" if whole else "none tried"


def median_p95(seconds: Sequence[float]) -> str:
    """Milliseconds: `66/181`."""
    if not seconds:
        return "-"
    return f"{1000 * percentile(seconds, 50):.0f}/{1000 * percentile(seconds, 95):.0f}"


def within(seconds: Sequence[float], median: float, p95: float) -> bool:
    """Return whether both bounds, in seconds, are kept; never by nothing."""
    return bool(seconds) and percentile(seconds, 50) <= median and percentile(seconds, 95) <= p95


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, readable as it is and as Markdown."""
    lines = [tuple(columns), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)

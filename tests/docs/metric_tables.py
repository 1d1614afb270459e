"""Tables of metrics of docs/operations.md, made from their definitions: `make events` writes them."""

from __future__ import annotations

import re
from pathlib import Path

from fishjam_agents.observe.metrics.definitions import METRICS
from fishjam_agents.worker.metrics import METRICS as PROGRAM

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
CALLS_HEAD = "| name | kind | labels | what it tells | buckets, seconds |\n|---|---|---|---|---|\n"
PROGRAM_HEAD = "| name | kind | labels | what it tells |\n|---|---|---|---|\n"


def calls_table() -> str:
    """The rows of the metrics of calls."""
    return "".join(
        f"| `{metric.full_name}` | {metric.kind} | {_code(metric.labels)} "
        f"| {metric.help.removesuffix('.')} | {', '.join(f'{bound:g}' for bound in metric.buckets)} |\n"
        for metric in METRICS
    )


def program_table() -> str:
    """The rows of the program's own metrics."""
    return "".join(
        f"| `{name}` | {metric.kind} | {_code(metric.labels)} | {metric.help.removesuffix('.')} |\n"
        for name, metric in PROGRAM.items()
    )


def written(page: str, head: str) -> str:
    """The rows that a page has below a head."""
    found = re.search(rf"{re.escape(head)}((?:\|.*\n)*)", page)
    assert found, f"docs/operations.md has no table {head}"
    return found[1]


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    for head, table in ((CALLS_HEAD, calls_table()), (PROGRAM_HEAD, program_table())):
        page = page.replace(head + written(page, head), head + table)
    PAGE.write_text(page, encoding="utf-8")

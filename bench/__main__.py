"""`python -m bench [--quick] [--row NAME]...`: measure the budgets and print the table."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from importlib import import_module

from bench.machine import describe
from bench.table import Row, failed, markdown
from fishjam_agents.errors import FishjamAgentsError

ROWS = (
    "micro",
    "frames",
    "detection",
    "inline",
    "rooms",
    "cpu",
    "capacity",
    "curve",
    "stall",
    "onset",
    "end_of_turn",
    "second_opinion",
    "conversation",
    "first_audio",
    "gemini",
    "cascade",
    "transcripts",
    "local",
    "voices",
    "local_answer",
    "memory",
    "startup",
    "installed",
    "browser_join",
    "browser_echo",
    "browser_barge_in",
    "browser_cpu",
    "browser_cycles",
    "webrtc_peers",
)
"""Modules of `bench.rows`, in the order of the design's table; then what browsers need."""


async def measure(names: list[str], *, quick: bool) -> list[Row]:
    """The rows of these modules, one after the other; a quick run, whose figures mean nothing, at once."""
    if quick:
        groups = await asyncio.gather(*(_measure(name, quick=True) for name in names))
    else:
        groups = [await _measure(name, quick=False) for name in names]
    return [row for group in groups for row in group]


async def _measure(name: str, *, quick: bool) -> list[Row]:
    begun = time.perf_counter()
    try:
        rows: list[Row] = await import_module(f"bench.rows.{name}").measure(quick)
    except (RuntimeError, OSError, FishjamAgentsError, ExceptionGroup) as error:
        rows = [failed(name, error)]
    print(f"{name}: {time.perf_counter() - begun:.1f} s", file=sys.stderr, flush=True)
    return rows


def main() -> int:
    """Print the table; 1 when something failed, whatever the budgets say."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the budgets of the design.")
    parser.add_argument(
        "--quick", action="store_true", help="a few seconds: shows that it works, not how fast"
    )
    parser.add_argument("--row", action="append", choices=ROWS, metavar="NAME", help=", ".join(ROWS))
    arguments = parser.parse_args()
    rows = asyncio.run(measure(arguments.row or list(ROWS), quick=arguments.quick))
    print(describe())
    if arguments.quick:
        print("--quick: all at once and too short: shows that it works, not how fast")
    print("\nMedian and range of repetitions. The machine may be shared: only ratios within a run count.\n")
    print(markdown(rows))
    return 1 if any(row.failed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m quality [--seed N]... [--quick] [--category NAME]... [--vad NAME] [--out FILE]`."""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path

from fishjam_agents.errors import FishjamAgentsError
from quality.bench import Bench
from quality.categories import NAMES
from quality.figures import Part
from quality.microphone import VADS
from quality.report import document, figures, tables

PAGE = Path(__file__).resolve().parent.parent / "docs" / "quality.md"
_SEEDS = (1, 2)


def measure(bench: Bench, names: list[str]) -> dict[str, Part]:
    """Measure some categories, one after the other; says on stderr how long each took."""
    parts = {}
    for name in names:
        begun = time.perf_counter()
        parts[name] = import_module(f"quality.categories.{name}").measure(bench)
        sys.stderr.write(f"seed {bench.seed}, {name}: {time.perf_counter() - begun:.1f} s\n")
        sys.stderr.flush()
    return parts


def main(words: list[str] | None = None) -> int:
    """Print the figures and the tables, and write the page after a whole run; 1 when it cannot be run."""
    arguments = _parser().parse_args(words)
    seeds = arguments.seed or list(_SEEDS[: 1 if arguments.quick else None])
    names = arguments.category or list(NAMES)
    vad = VADS[arguments.vad]
    try:
        results = {seed: measure(Bench(vad, seed, arguments.quick), names) for seed in seeds}
    except FishjamAgentsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    whole = set(names) == set(NAMES) and not arguments.quick
    page = arguments.out or (PAGE if whole and arguments.vad == "default" else None)
    if page is not None:
        some = [f"--category {name}" for name in names if set(names) != set(NAMES)]
        options = [*(f"--seed {seed}" for seed in seeds), f"--vad {vad.name}", *some]
        command = " ".join(["python -m quality", *options])
        page.write_text(document(results, vad.name, command))
    sys.stdout.write(f"{figures(results)}\n\n{tables(results)}\n")
    if arguments.quick:
        sys.stdout.write("--quick: too little of everything: shows that it works, not how well\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m quality", description="Measure turn-taking.")
    parser.add_argument("--seed", type=int, action="append", metavar="N", help="may be repeated; 1 and 2")
    parser.add_argument("--quick", action="store_true", help="a fraction of it: shows that it works")
    parser.add_argument("--category", action="append", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument(
        "--vad", choices=list(VADS), default="default", help="the detector: " + ", ".join(VADS)
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"where to write; {PAGE.name} of a whole run"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`python -m quality.recorded [--seed N]... [--vad NAME]... [--quick] [--out FILE]`: people in real places.

Writes `docs/quality-places.md`: one table for each detector and seed. The sounds come from Debian packages
(`audio_fixtures.recordings`), so that this is no part of `python -m quality`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from audio_fixtures.recordings import missing
from fishjam_agents.errors import FishjamAgentsError
from quality.bench import Bench
from quality.categories import places, speakers
from quality.figures import Part
from quality.microphone import VADS
from quality.report import figures, tables, versions

PAGE = Path(__file__).resolve().parent.parent / "docs" / "quality-places.md"
_SEEDS = (1, 2)
_VADS = ("default", "default+silero", "default+silero+near")

_HEAD = """\
# Conversation quality in real places

Generated: change `quality/`, not this page.

    apt-get install -y asterisk-core-sounds-it-wav asterisk-core-sounds-fr-wav asterisk-moh-opsound-wav \\
        bucklespring-data teeworlds-data pocketsphinx-testdata espeak-ng
    {command}

Recorded people speak in front of recorded music, people and typing, which come from Debian packages and are
committed nowhere. [quality.md](quality.md) measures the same with computed voices and noises, and says how;
[turn-taking.md](turn-taking.md) says which setting is for which place.

Two people speak, prompts of telephone systems at -32 to -20 dBFS, 45 utterances each a row: cleanly
recorded and near the microphone. All three pieces of music are by one band. The beds begin with
the call. {versions}.
"""


def main(words: list[str] | None = None) -> int:
    """Measure, print the tables, and write the page unless quick; 1 when it cannot be run."""
    arguments = _parser().parse_args(words)
    seeds = arguments.seed or list(_SEEDS)
    names = arguments.vad or list(_VADS)
    absent = missing()
    if absent:
        sys.stderr.write(f"recordings not found: apt-get install -y {' '.join(absent)}\n")
        return 1
    results: dict[str, dict[int, dict[str, Part]]] = {name: {} for name in names}
    for seed in seeds:
        for name in names:
            begun = time.perf_counter()
            try:
                bench = Bench(VADS[name], seed, arguments.quick)
                results[name][seed] = {
                    "places": places.measure(bench),
                    "speakers": speakers.measure(bench),
                }
            except FishjamAgentsError as error:
                sys.stderr.write(f"{error}\n")
                return 1
            sys.stderr.write(f"seed {seed}, {name}: {time.perf_counter() - begun:.1f} s\n")
            sys.stderr.flush()
    sections = []
    for name, of_seeds in results.items():
        sections += [f"# Detector `{name}`\n", figures(of_seeds), "", tables(of_seeds)]
    command = " ".join(["python -m quality.recorded", *(f"--seed {seed}" for seed in seeds)])
    command += "".join(f" --vad {name}" for name in names)
    page = arguments.out or (None if arguments.quick else PAGE)
    body = "\n".join(sections).rstrip()
    if page is not None:
        page.write_text(_HEAD.format(command=command, versions=versions()) + "\n" + body + "\n")
    sys.stdout.write(body + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m quality.recorded", description="Measure people in real places."
    )
    parser.add_argument("--seed", type=int, action="append", metavar="N", help="may be repeated; 1 and 2")
    parser.add_argument(
        "--vad", choices=list(VADS), action="append", help="may be repeated; " + ", ".join(VADS)
    )
    parser.add_argument("--quick", action="store_true", help="a fraction of it: shows that it works")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"where to write; {PAGE.name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`python -m quality.end_of_turn [--seed N]... [--place NAME]... [--others PYTHON] [--quick] [--no-live]`.

Measures when turns are ended.

Writes `docs/quality-end-of-turn.md`. The sounds come from Debian packages (`audio_fixtures.recordings`), the
model from the wheel of `pipecat-ai`: this is no part of `python -m quality`; `make quality` runs both.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audio_fixtures.corpus import RATE
from audio_fixtures.recordings import WIDE, missing
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.smart_turn import find_model
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.turns.smart_turn import SmartTurn
from quality.bench import Bench
from quality.categories import end_of_turn
from quality.figures import Figure, Part, median_p95
from quality.microphone import VADS
from quality.other_frameworks import OthersError
from quality.report import figures, tables, versions
from quality.turn_ends_live import live_ends
from quality.turn_trials import whole_sentences

PAGE = Path(__file__).resolve().parent.parent / "docs" / "quality-end-of-turn.md"
_SEEDS = (1, 2)
_CALLS = 3
"""Calls of each of two people, at once, in real time."""
_SENTENCES = 12

_OTHERS = """
Other frameworks hear the same in an environment of their own, with their voice detection and defaults, and do
not wait for words (`quality/other_frameworks.py` says which). Sentences that a row has fewer of were not
answered within the 2.4 s that follow each: Pipecat waits 3 s for what sounds unfinished.

    python -m venv /tmp/others && /tmp/others/bin/pip install pipecat-ai livekit-plugins-silero
"""
_HEAD = """\
# When turns are ended

Generated: change `quality/`, not this page.

    apt-get install -y asterisk-core-sounds-it-g722 asterisk-core-sounds-fr-g722 \\
        asterisk-core-sounds-it-wav asterisk-core-sounds-fr-wav \\
        pocketsphinx-testdata bucklespring-data espeak-ng
    {command}
{others}
How soon a whole sentence is answered, and whether somebody who stops to think is cut off, under policies of
`turns.end_of_turn` ([turn-taking.md](turn-taking.md#when-a-turn-is-over-turnsend_of_turn)). Two people read
prompts of telephone systems, in Italian and French, and one a book in English, at -32 to -20 dBFS, through
voice detection, and turn machines that are fed what it heard; predictions come 40 ms after their question.
The texts of the prompts say which of them are sentences; some are only parts of one. Read speech, of three
people: real callers are harder, and hesitate otherwise. The rows in real time tell the load of the machine
and the priority of the process: where its cores are full, answers come too late, and turns end as without
them. {versions}; {model}.
"""


def main(words: list[str] | None = None) -> int:
    """Measure, print the tables, and write the page unless quick; 1 when it cannot be run."""
    arguments = _parser().parse_args(words)
    seeds = arguments.seed or list(_SEEDS)
    absent = missing(end_of_turn.PACKAGES)
    if absent:
        sys.stderr.write(f"recordings not found: apt-get install -y {' '.join(absent)}\n")
        return 1
    try:
        model = str(find_model())
        results = {seed: {"end_of_turn": _measure(seed, arguments)} for seed in seeds}
    except (FishjamAgentsError, OthersError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    options = [*(f"--seed {seed}" for seed in seeds), *(f"--place {name}" for name in arguments.place or ())]
    if arguments.others is not None:
        options.append("--others /tmp/others/bin/python")
    command = " ".join(["python -m quality.end_of_turn", *options])
    others = "" if arguments.others is None else _OTHERS
    page = arguments.out or (None if arguments.quick else PAGE)
    body = f"{figures(results)}\n\n{tables(results)}".rstrip()
    if page is not None:
        page.write_text(
            _HEAD.format(command=command, others=others, versions=versions(), model=model) + f"\n{body}\n"
        )
    sys.stdout.write(body + "\n")
    return 0


def _measure(seed: int, arguments: argparse.Namespace) -> Part:
    begun = time.perf_counter()
    bench = Bench(VADS["default"], seed, arguments.quick)
    part = end_of_turn.measure(bench, arguments.place or end_of_turn.PLACES, arguments.others)
    if arguments.live:
        sys.stderr.write(f"seed {seed}, now in real time\n")
        part = Part([*part.figures, *_live(bench)], part.tables)
    sys.stderr.write(f"seed {seed}: {time.perf_counter() - begun:.1f} s\n")
    return part


def _live(bench: Bench) -> list[Figure]:
    """Hear some of the sentences in real time."""
    heard = live_ends(SmartTurn(), _streams(bench))
    count = len(heard.waits)
    load = f"load {os.getloadavg()[0]:.1f}, {_priority()}"
    mean = float(np.mean(heard.waits)) if count else 0.0
    told = f"{1000 * mean:.0f} ms, median and p95 {median_p95(heard.waits)}"
    return [
        Figure(
            "in real time, from the last sound that was heard to the end, smart_turn",
            "mean at most 490 ms",
            f"{told} (n {count}, {load})",
            bool(count) and mean <= 0.49,
        ),
        Figure(
            "in real time, predictions in time and what they took",
            "",
            f"{heard.predicted} of {count}; median and p95 {median_p95(heard.answers)} ms",
        ),
    ]


def _priority() -> str:
    """The priority of this process; on Linux that of its session counts, too (sched(7), autogroup)."""
    group = Path("/proc/self/autogroup")
    shown = group.read_text().rpartition(" ")[2].strip() if group.exists() else ""
    return f"nice {os.nice(0)}" + (f", its session {shown}" if shown else "")


def _streams(bench: Bench) -> Sequence[Samples]:
    streams = []
    for stream in whole_sentences(bench, WIDE).streams[:2]:
        for call in range(_CALLS):
            labels = stream.labels[call * _SENTENCES : (call + 1) * _SENTENCES]
            if labels:
                begin = round(max(labels[0].start - 1.2, 0.0) * RATE)
                streams.append(stream.samples[begin : round((labels[-1].end + 2.0) * RATE)])
    return streams


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m quality.end_of_turn", description="Measure ends of turns."
    )
    parser.add_argument("--seed", type=int, action="append", metavar="N", help="may be repeated; 1 and 2")
    parser.add_argument(
        "--place", action="append", choices=end_of_turn.PLACES, help="quiet is always one; all of them"
    )
    parser.add_argument(
        "--others", type=Path, metavar="PYTHON", help="of an environment with Pipecat and LiveKit Agents"
    )
    parser.add_argument("--quick", action="store_true", help="a fraction of it: shows that it works")
    parser.add_argument("--no-live", dest="live", action="store_false", help="nothing in real time")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"where to write; {PAGE.name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())

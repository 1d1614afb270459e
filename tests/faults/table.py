"""Write docs/faults.md's table from what a run of the matrix has found.

rm -f out/faults.jsonl
FISHJAM_FAULTS=all FISHJAM_FAULTS_RESULTS=out/faults.jsonl uv run pytest -q tests/faults/test_matrix.py
uv run python -m tests.faults.table out/faults.jsonl
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .cells import PHASES, SOCKETS, TROUBLES

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- faults: begin -->\n", "<!-- faults: end -->\n"
NAMES = {
    "agent": "agent socket",
    "notifier": "notifications",
    "rest": "REST",
    "gemini": "Gemini",
    "realtime": "OpenAI Realtime",
    "vapi": "Vapi",
    "stt": "speech to text",
    "llm": "language model",
    "tts": "text to speech",
}


def table(results: Iterable[Mapping[str, Any]]) -> str:
    """The table: for each fault and socket how many calls went on, of how many, and how many ended."""
    cells: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    phases: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    latest = {(found["fault"], found["socket"], found["phase"]): found for found in results}
    for found in latest.values():
        cells[found["fault"], found["socket"]].append(found)
        phases[found["phase"]].append(found)
    head = ["fault", *(NAMES[socket] for socket in SOCKETS)]
    rows = [
        [trouble.name, *(_count(cells[trouble.name, socket]) for socket in SOCKETS)] for trouble in TROUBLES
    ]
    lines = [head, ["---"] * len(head), *rows]
    text = "".join(f"| {' | '.join(row)} |\n" for row in lines)
    text += "\n| phase | calls |\n| --- | --- |\n"
    return text + "".join(f"| {phase} | {_count(phases[phase])} |\n" for phase in PHASES)


def _count(found: list[Mapping[str, Any]]) -> str:
    if not found:
        return ""
    wrong = sum(bool(one["problems"]) for one in found)
    ended = sum(one["error"] is not None and not one["problems"] for one in found)
    on = len(found) - wrong - ended
    if len(found) == 1:
        verdict = "**wrong**" if wrong else "ended" if ended else "goes on"
        return f"{verdict} ({found[0]['phase']})"
    parts = [f"{on} of {len(found)} go on"]
    parts += [f"{ended} ended"] if ended else []
    parts += [f"**{wrong} wrong**"] if wrong else []
    return ", ".join(parts)


def main(path: str) -> None:
    results = [json.loads(line) for line in Path(path).read_text().splitlines()]
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + table(results) + END + after)


if __name__ == "__main__":
    main(sys.argv[1])

"""Notes of the processes of a soak: JSON lines with the time of the machine's monotonic clock."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.soak.marks import Mark

LATE = 0.1
"""Seconds that a loop may be late. What is later shreds speech, and no worker takes calls then."""


class Notes:
    """A file of notes; each is written at once, so that a process that is killed loses none."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def put(self, kind: str, **content: Any) -> None:
        """Write a note; `t` in its content is another time than now."""
        note = {"t": time.monotonic(), "kind": kind, **content}
        self._file.write(json.dumps(note) + "\n")

    def put_marks(self, kind: str, found: Iterable[Mark], **content: Any) -> None:
        """Write a note for each utterance of which there are marks."""
        by_utterance: dict[tuple[int, int], list[int]] = defaultdict(list)
        for mark in found:
            by_utterance[mark.call, mark.utterance].append(mark.frame)
        for (call, utterance), frames in by_utterance.items():
            self.put(kind, call=call, utterance=utterance, frames=frames, **content)


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """All notes of a folder."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            # The last one of a process that was killed may be cut off.
            if line.endswith("}"):
                yield json.loads(line)

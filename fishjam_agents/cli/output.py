"""Output of the commands."""

from __future__ import annotations

import os
import sys

from fishjam_agents.printable import printable


def say(text: str) -> None:
    """Print lines at once, because whoever reads a pipe waits for exactly these.

    Where nobody reads any more - a closed terminal, `run ... | head -1` - the rest goes nowhere, and the
    program goes on: it still has an agent to take out of a room.
    """
    try:
        # What models and peers say must not move the cursor.
        print(printable(text, lines=True), flush=True)
    except OSError:
        # The interpreter flushes again at its end; there it must not fail either (Python docs, SIGPIPE).
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

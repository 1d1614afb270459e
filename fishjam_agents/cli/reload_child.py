"""The bot's process of `run --reload`: `python -m fishjam_agents.cli.reload_child DESCRIPTOR run CONFIG ...`.

Whoever started it holds the other end of the pipe. When that is gone, the bot leaves.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from fishjam_agents.cli import main
from fishjam_agents.cli.interrupts import PATIENCE, end_after


def _leave_at_end_of(descriptor: int) -> None:
    """Wait for the other end to be closed, then end the process as Ctrl-C does."""
    os.read(descriptor, 1)
    end_after(PATIENCE + 1)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    pipe = int(sys.argv[1])
    # What a bot starts need not have it.
    os.set_inheritable(pipe, False)
    threading.Thread(target=_leave_at_end_of, args=[pipe], name="end of run --reload", daemon=True).start()
    main(sys.argv[2:])

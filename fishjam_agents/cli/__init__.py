"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.printable import printable

INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended: 128 + SIGINT, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 when all went well, 1 for a failure, 2 for a mistake in what the user wrote.

    Args:
        arguments: The words after the program's name; None takes them from `sys.argv`.
    """
    try:
        # Loading the parser takes long enough for a Ctrl-C to come in the middle of it.
        from fishjam_agents.cli.app import app

        app(args=None if arguments is None else list(arguments), prog_name="fishjam-agents")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except FishjamAgentsError as error:
        for line in str(error).split("\n"):
            print(f"error: {printable(line)}", file=sys.stderr)
        sys.exit(error.exit_code)

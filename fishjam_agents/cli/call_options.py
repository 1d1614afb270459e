"""The options of commands that make calls."""

from __future__ import annotations

from typing import Annotated

import typer

Seconds = Annotated[
    float | None,
    typer.Option(
        "--seconds",
        metavar="N",
        help="Length of the call in seconds, at most 600; without it, until all is said.",
        min=0.1,
        max=600,
        show_default=False,
    ),
]

"""The options of commands that log: `--log-level`, `--log-words`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from fishjam_agents.observe.settings import LogSettings


class Level(StrEnum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


LogLevel = Annotated[
    Level | None,
    typer.Option("--log-level", help="The least that is logged, whatever the file says.", show_default=False),
]
LogWords = Annotated[
    bool,
    typer.Option("--log-words", help="Log what people and bots say, too, a line for each utterance."),
]


def chosen(log: LogSettings, level: Level | None, words: bool) -> LogSettings:
    """Settings of a file as the options of a command change them."""
    if level is not None:
        log = replace(log, level=level.value)
    return replace(log, words=True) if words else log

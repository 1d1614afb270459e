"""What a user can say about the log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log.

    Attributes:
        level: The least that is logged. What people say is logged at `debug` only.
        file: Where to; None is standard error.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    file: Path | None = None

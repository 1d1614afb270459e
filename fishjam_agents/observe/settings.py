"""What a user can say about the log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log.

    Attributes:
        level: The least that is logged. What people say is logged at `debug` only.
        file: Where to; None is standard error.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    level: Literal["debug", "info", "warning", "error"] = "info"
    file: Path | None = None

"""Settings of what is written down: the log and the records of calls."""

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


@dataclass(frozen=True, slots=True)
class ObserveSettings:
    """Settings of what is kept of calls.

    Attributes:
        record: Folder for a `call.jsonl` of every call, which `replay` reads; None keeps none. It holds no
            sound, and words only where a policy of turn-taking judges them.
        tool_payloads: Whether events of tools hold arguments and results, as the bot's `redact` leaves them:
            in the log at `debug`, timelines, reports and on the playground.
    """

    record: Path | None = None
    tool_payloads: bool = False

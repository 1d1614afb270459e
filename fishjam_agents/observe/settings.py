"""Settings of what is written down: the log and the records of calls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fishjam_agents.errors import SettingError


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log.

    Attributes:
        level: The least that is logged. What people say is logged at `debug` only.
        file: Where to; None is standard error.
        format: `text` for people, or `json`: every line an object.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    file: Path | None = None
    format: Literal["text", "json"] = "text"


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where Prometheus finds the metrics of `run`. A file about many rooms has them at `api`.

    Attributes:
        port: Port that `/metrics` is served on; 0 takes any.
        host: Address it listens on.
    """

    port: int = 9464
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingError(
                "port", f"must be between 0 and 65535, not {self.port}", section="observe.metrics"
            )


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """Recordings of what callers and bot say. Calls that are recorded have to be announced (`on_recording`).

    Attributes:
        folder: Folder for the sound, the transcript and the captions of every call.
        format: Of the sound: WAV, or Opus in Ogg, which is about a sixteenth as long.
    """

    folder: Path
    format: Literal["wav", "opus"] = "wav"


@dataclass(frozen=True, slots=True)
class ObserveSettings:
    """Settings of what is kept of calls.

    Attributes:
        record: Folder for a `call.jsonl` of every call, which `replay` reads; None keeps none. It holds no
            sound, and words only where a policy of turn-taking judges them.
        tool_payloads: Whether events of tools hold arguments and results, as the bot's `redact` leaves them:
            in the log at `debug`, timelines, reports and on the playground.
        recording: What is recorded of calls, and where to; None records nothing.
        metrics: Where Prometheus finds the metrics; None serves none.
    """

    record: Path | None = None
    tool_payloads: bool = False
    recording: RecordingSettings | None = None
    metrics: MetricsSettings | None = None

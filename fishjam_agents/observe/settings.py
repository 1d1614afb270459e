"""Settings of what is written down: the log and the records of calls."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fishjam_agents.errors import SettingError
from fishjam_agents.events import KINDS
from fishjam_agents.urls import is_http_url


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log.

    Attributes:
        level: The least that is logged. What people say is logged at `debug` only, unless `words` says so.
        file: Where to; None is standard error.
        format: `text` for people, or `json`: every line an object.
        words: Whether what people and bots say is logged at `info`, too: a line for each utterance.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    file: Path | None = None
    format: Literal["text", "json"] = "text"
    words: bool = False


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Address of the metrics of `run`. A file about many rooms has them at `api`.

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
class RecordSettings:
    """Records of calls for `replay`.

    Attributes:
        folder: Folder for a `call.jsonl` of every call. It holds no sound, and words only where a policy of
            turn-taking judges them.
        redact: Whether these words are as the bot's `redact` leaves them. A policy that judges other words
            than in the call may decide otherwise in a replay.
    """

    folder: Path
    redact: bool = True


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
class WebhookSettings:
    """A receiver of events of calls.

    Attributes:
        url: Where they are posted, each as it happens.
        secret: Key of their signature; None leaves it out.
        events: Kinds of the events that it gets.
    """

    url: str
    secret: str | None = field(default=None, repr=False)
    events: tuple[str, ...] = ("call_started", "call_ended", "backend_failure")

    def __post_init__(self) -> None:
        if not is_http_url(self.url):
            raise SettingError("url", "must be an http or https URL", section="observe.webhooks")
        for kind in self.events:
            if kind not in KINDS:
                near = difflib.get_close_matches(kind, KINDS, n=1)
                hint = f": did you mean {near[0]}?" if near else ""
                raise SettingError(
                    "events", f"has {kind!r}, which no event is{hint}", section="observe.webhooks"
                )


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Traces for OpenTelemetry.

    Attributes:
        endpoint: Where they go, by OTLP over HTTP: `http://127.0.0.1:4318/v1/traces`; None takes it from the
            environment (`OTEL_EXPORTER_OTLP_ENDPOINT`), else that one.
        service: The name of the service in them.
    """

    endpoint: str | None = None
    service: str = "fishjam_agents"

    def __post_init__(self) -> None:
        if self.endpoint is not None and not is_http_url(self.endpoint):
            raise SettingError("endpoint", "must be an http or https URL", section="observe.tracing")


@dataclass(frozen=True, slots=True)
class ObserveSettings:
    """Settings of what is kept of calls.

    Attributes:
        record: Where a `call.jsonl` of every call goes, which `replay` reads; None keeps none.
        tool_payloads: Whether events of tools hold arguments and results, as the bot's `redact` leaves them:
            in the log at `debug`, timelines, reports and on the playground.
        recording: What is recorded of calls, and where to; None records nothing.
        webhooks: Receivers of events of calls.
        tracing: Where traces go; None makes none.
        metrics: Where Prometheus finds the metrics; None serves none.
    """

    record: RecordSettings | None = None
    tool_payloads: bool = False
    recording: RecordingSettings | None = None
    webhooks: tuple[WebhookSettings, ...] = ()
    tracing: TracingSettings | None = None
    metrics: MetricsSettings | None = None

"""Traces of the calls of this process, on their way to a collector (`observe.tracing`)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from fishjam_agents._version import __version__
from fishjam_agents.errors import MissingExtraError
from fishjam_agents.observe.settings import TracingSettings

if TYPE_CHECKING:
    from fishjam_agents.observe.tracing import CallTracing

FLUSH_DEADLINE = 5.0
"""Seconds that the last spans have to reach the collector."""


def require_opentelemetry() -> None:
    """See that traces can be made and sent.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """
    try:
        for module in ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter"):
            import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "opentelemetry":
            raise MissingExtraError("observe.tracing", "otel") from error
        raise


@asynccontextmanager
async def call_tracing(settings: TracingSettings | None) -> AsyncIterator[CallTracing | None]:
    """Send traces by OTLP over HTTP, from a thread; yields what makes them, None without settings.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """
    if settings is None:
        yield None
        return
    require_opentelemetry()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from fishjam_agents.observe.tracing import CallTracing

    resource = Resource.create({"service.name": settings.service, "service.version": __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.endpoint)))
    try:
        yield CallTracing(provider)
    finally:
        # A thread that nobody waits for: a collector that hangs holds the end of the program up no longer.
        done = threading.Event()

        def flush() -> None:
            provider.shutdown()
            done.set()

        threading.Thread(target=flush, name="last spans", daemon=True).start()
        await asyncio.to_thread(done.wait, FLUSH_DEADLINE)

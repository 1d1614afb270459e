"""Metrics of calls, where `prometheus-client` is installed, and the listener of `observe.metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fishjam_agents.errors import FishjamAgentsError, MissingExtraError
from fishjam_agents.observe.settings import MetricsSettings
from fishjam_agents.worker.load import LoadMonitor
from fishjam_agents.worker.metrics import METRICS, OVERLOAD
from fishjam_agents.worker.settings import WorkersSettings

if TYPE_CHECKING:
    from fishjam_agents.observe.metrics import CallMetrics

_LAG, _CPU = "fishjam_agents_loop_lag_seconds", "fishjam_agents_cpu_cores"
_OVERLOAD = "fishjam_agents_overload"


def call_metrics() -> CallMetrics | None:
    """Return what measures the calls of this process; None without `prometheus-client`."""
    try:
        from fishjam_agents.observe.metrics import CallMetrics
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "prometheus_client":
            return None
        raise
    return CallMetrics()


def required_call_metrics() -> CallMetrics:
    """Return what measures the calls of this process.

    Raises:
        MissingExtraError: `prometheus-client` is not installed.
    """
    metrics = call_metrics()
    if metrics is None:
        raise MissingExtraError("observe.metrics", "metrics")
    return metrics


@asynccontextmanager
async def metrics_server(settings: MetricsSettings, metrics: CallMetrics) -> AsyncIterator[str]:
    """Serve `/metrics` from a thread, with the load of the process; yields its URL.

    Raises:
        FishjamAgentsError: The port is in use, or the address is not one of this machine.
    """
    from prometheus_client import Gauge, start_http_server

    from fishjam_agents.server.address import authority

    monitor = LoadMonitor(WorkersSettings())
    for name, value in (
        (_LAG, lambda: monitor.load.lag),
        (_CPU, lambda: monitor.load.cpu),
        (_OVERLOAD, lambda: OVERLOAD[monitor.state]),
    ):
        Gauge(name, METRICS[name].help, registry=metrics.registry).set_function(value)
    try:
        server, thread = start_http_server(settings.port, settings.host, metrics.registry)
    except OSError as error:
        raise FishjamAgentsError(
            f"observe.metrics cannot listen on {authority(settings.host, settings.port)} "
            f"({error.strerror}): name another port"
        ) from error
    measuring = asyncio.create_task(monitor.run(), name="load of the process")
    try:
        yield f"http://{authority(settings.host, server.server_port)}/metrics"
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)

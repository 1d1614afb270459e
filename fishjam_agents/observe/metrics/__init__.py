"""Metrics of calls for Prometheus; needs the extra `metrics`."""

from __future__ import annotations

from fishjam_agents.observe.metrics.call_metrics import CallMetrics, parts_of
from fishjam_agents.observe.metrics.exposition import merged, text_of

__all__ = ["CallMetrics", "merged", "parts_of", "text_of"]

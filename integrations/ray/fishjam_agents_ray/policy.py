"""The autoscaling policy: as many replicas as the calls need."""

from __future__ import annotations

import math
from typing import Any


def replicas_for_calls(context: Any) -> tuple[int, dict[str, Any]]:
    """Return the number of replicas for the calls that all replicas have.

    Args:
        context: Serve's `AutoscalingContext`; `target_ongoing_requests` of the deployment is the number of
            calls that each is to have.
    """
    counted = context.aggregated_metrics.get("calls") or {}
    wanted = math.ceil(sum(counted.values()) / context.config.target_ongoing_requests)
    least, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
    return max(least, min(most, wanted)), {}

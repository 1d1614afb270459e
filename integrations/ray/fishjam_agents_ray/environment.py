"""Environment of Ray's processes, set before Ray is imported."""

from __future__ import annotations

import os

VARIABLES = {
    # Nothing is told to anybody (Ray docs, Usage stats collection).
    "RAY_USAGE_STATS_ENABLED": "0",
    # A call of Serve after a failure starts no cluster of its own.
    "RAY_ENABLE_AUTO_CONNECT": "0",
    # Whoever reaches a port of the cluster has to show its token (Ray docs, Token authentication).
    "RAY_AUTH_MODE": "token",
}
"""By `fishjam-agents ray up` where the environment does not say otherwise; a cluster's own are its own."""

MACHINE_LOSS = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
"""For the head: a machine that is silent is given up after about 8 s, not after a minute."""


ONE_MACHINE = {
    # Ray keeps to loopback, as it does on macOS and Windows (`ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR`).
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
"""For a Ray of this machine alone."""


def prepare(*, one_machine: bool) -> None:
    """Set what the environment does not say.

    Args:
        one_machine: Whether no other machine is to join.
    """
    for name, value in (VARIABLES | MACHINE_LOSS | (ONE_MACHINE if one_machine else {})).items():
        os.environ.setdefault(name, value)

"""Options of the deployments, as plain data: for Serve's Python interface and its configuration file."""

from __future__ import annotations

from typing import Any

from fishjam_agents.worker.ray_settings import RaySettings
from fishjam_agents_ray.names import HEAD

FAREWELL = 60.0
"""Seconds after `ray.drain` in which bots finish what they say, leave, and hooks end; then Serve kills."""
POLICY = "fishjam_agents_ray.policy:replicas_for_calls"


def calls_options(settings: RaySettings) -> dict[str, Any]:
    """Options of the deployment that has the calls (Ray Serve docs, Configure Ray Serve deployments)."""
    return {
        "ray_actor_options": {"num_cpus": settings.cpus},
        # Requests are short; this many at once are more than a watcher sends to one.
        "max_ongoing_requests": 100,
        # The check runs on the loop of the calls: three that fail in a row replace the replica.
        "health_check_period_s": 1.0,
        "health_check_timeout_s": 10.0,
        "graceful_shutdown_timeout_s": settings.drain + FAREWELL,
        "graceful_shutdown_wait_loop_s": 1.0,
        "autoscaling_config": {
            "min_replicas": settings.min_replicas,
            "max_replicas": settings.max_replicas,
            "target_ongoing_requests": settings.target,
            "upscale_delay_s": settings.upscale_delay,
            "downscale_delay_s": settings.downscale_delay,
            "metrics_interval_s": 1.0,
            "look_back_period_s": 2.0,
            "policy": {"policy_function": POLICY},
        },
    }


def watcher_options() -> dict[str, Any]:
    """Options of the deployment that decides which calls begin."""
    return {
        # One rules, the other one is there when it does not any more.
        "num_replicas": 2,
        "ray_actor_options": {"num_cpus": 0, "resources": dict(HEAD)},
        "health_check_period_s": 1.0,
        "health_check_timeout_s": 3.0,
        "graceful_shutdown_timeout_s": 0.0,
    }

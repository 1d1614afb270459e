"""The RayService of KubeRay: a cluster whose machines come and go with the calls."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import ray
import yaml

from fishjam_agents.worker.ray_settings import RaySettings
from fishjam_agents_ray.deployments import FAREWELL
from fishjam_agents_ray.environment import MACHINE_LOSS, VARIABLES
from fishjam_agents_ray.serve_config import read_settings, serve_config_text

NAME = "fishjam-agents"
"""Name of the service, its Secret and its ConfigMap."""
FOLDER = "/etc/fishjam-agents"
"""Where the ConfigMap with config.yaml is in the pods."""
REPLICAS_PER_POD = 2
"""Replicas of a pod of calls; one more core share is for Ray itself."""
AGENT_PORT = 52365
"""Port of the health checks of Ray's agent (KubeRay, `DefaultDashboardAgentListenPort`)."""


class _Block(str):
    """Text that YAML writes as a block."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """Write everything out, also what stands in two places."""
        return True


_Dumper.add_representer(
    _Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
)


def ray_service(settings: RaySettings, image: str, serve_config: str) -> dict[str, Any]:
    """Return the RayService, as data.

    Args:
        settings: The replicas.
        image: The image with Ray, this package and the bots.
        serve_config: The configuration of Serve, as YAML.
    """
    drain = math.ceil(settings.drain + FAREWELL)
    # `authOptions` sets the mode.
    variables = {name: value for name, value in VARIABLES.items() if name != "RAY_AUTH_MODE"} | MACHINE_LOSS
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    container = {
        "image": image,
        "env": environment,
        # FISHJAM_ID, FISHJAM_MANAGEMENT_TOKEN and the keys of vendors.
        "envFrom": [{"secretRef": {"name": NAME}}],
        "volumeMounts": [{"name": "config", "mountPath": FOLDER, "readOnly": True}],
    }
    volumes = [{"name": "config", "configMap": {"name": NAME}}]
    cores = math.ceil(settings.cpus * REPLICAS_PER_POD)
    # Without Serve's HTTP proxies, which KubeRay's own readiness check of these pods asks for.
    ready = {"httpGet": {"path": "/api/local_raylet_healthz", "port": AGENT_PORT}, "periodSeconds": 5}
    workers = {
        "groupName": "calls",
        "minReplicas": math.ceil(settings.min_replicas / REPLICAS_PER_POD),
        "maxReplicas": math.ceil(settings.max_replicas / REPLICAS_PER_POD) + 1,
        "replicas": math.ceil(settings.min_replicas / REPLICAS_PER_POD),
        "rayStartParams": {"num-cpus": str(cores)},
        "template": {
            "spec": {
                # A pod that is to go waits for its calls, as far as `ray start` lets it.
                "terminationGracePeriodSeconds": drain,
                "containers": [
                    {
                        "name": "calls",
                        **container,
                        "resources": {
                            "requests": {"cpu": str(cores), "memory": "2Gi"},
                            "limits": {"memory": "4Gi"},
                        },
                        "readinessProbe": ready,
                    }
                ],
                "volumes": volumes,
            }
        },
    }
    head = {
        # No replica on the head: it has the watcher, the ledger and Ray's own processes.
        "rayStartParams": {"num-cpus": "0"},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "head",
                        **container,
                        "resources": {
                            "requests": {"cpu": "1", "memory": "3Gi"},
                            "limits": {"memory": "4Gi"},
                        },
                    }
                ],
                "volumes": volumes,
            }
        },
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": NAME},
        "spec": {
            # A new image makes a new cluster; the old one goes so long after it, calls or not.
            "rayClusterDeletionDelaySeconds": drain,
            "excludeHeadPodFromServeSvc": True,
            "serveConfigV2": _Block(serve_config),
            "rayClusterConfig": {
                "rayVersion": ray.__version__,
                "enableInTreeAutoscaling": True,
                "authOptions": {"mode": "token"},
                # Without it all calls end a minute after the head is lost.
                "gcsFaultToleranceOptions": {"redisAddress": "redis:6379"},
                "headGroupSpec": head,
                "workerGroupSpecs": [workers],
            },
        },
    }


def manifest_text(config: Path, image: str, path: str) -> str:
    """Return the RayService as YAML.

    Args:
        config: The config.yaml here.
        image: The image.
        path: Where the config.yaml is in the pods.

    Raises:
        ConfigError: The file cannot be used by several machines.
    """
    data = ray_service(read_settings(config), image, serve_config_text(config, path))
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False)

"""The manifest is what Kubernetes takes, and speaks of the program as it is."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from fishjam_agents.worker.call_service import CallService
from fishjam_agents.worker.settings import ApiSettings

from .files import DEPLOY, SECRETS, config, image_environ, instructions, manifests

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="uv sync --group deploy brings it")

OBJECTS = manifests()
SET = OBJECTS["StatefulSet"]["spec"]
POD = SET["template"]["spec"]
CONTAINER = POD["containers"][0]
VERSIONS = sorted(
    {*kubernetes_validate.utils.all_versions()},
    key=lambda version: [int(part) for part in version.split(".")],
)[-6:]
"""Versions of Kubernetes, the last six."""


def environ(pod: int) -> dict[str, str]:
    """The variables of a pod's container, beside the secret ones."""
    given = {}
    for one in CONTAINER["env"]:
        value = one.get("value")
        if value is None:
            assert one["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
            value = f"{OBJECTS['StatefulSet']['metadata']['name']}-{pod}"
        given[one["name"]] = value
    return given | image_environ()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", OBJECTS)
def test_every_object_fits_its_schema(kind: str, version: str) -> None:
    kubernetes_validate.validate(OBJECTS[kind], version, strict=True)


@pytest.mark.parametrize("path", [("replicas",), ("template", "spec", "terminationGracePeriodSeconds")])
def test_the_schema_refuses_a_misspelt_key_and_a_wrong_type(path: tuple[str, ...]) -> None:
    for wrong in ("misspelt", "type"):
        broken: dict[str, Any] = copy.deepcopy(OBJECTS["StatefulSet"])
        place = broken["spec"]
        for key in path[:-1]:
            place = place[key]
        value = place.pop(path[-1])
        place[path[-1] + ("x" if wrong == "misspelt" else "")] = value if wrong == "misspelt" else "three"
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_each_pod_serves_its_shard() -> None:
    count = SET["replicas"]
    shards = [config(environ(pod)).workers.shard for pod in range(count)]
    assert [shard and (shard.number, shard.count) for shard in shards] == [
        (pod, count) for pod in range(count)
    ]


def test_everything_that_the_configuration_asks_for_is_given() -> None:
    text = (DEPLOY / "config.yaml").read_text()
    needed = {name for name, default in re.findall(r"\$\{(\w+)(:-)?", text) if not default}
    assert needed | {"FISHJAM_ID", "FISHJAM_MANAGEMENT_TOKEN"} == SECRETS.keys()
    head = (DEPLOY / "statefulset.yaml").read_text().partition("apiVersion")[0]
    assert {*re.findall(r"--from-literal=(\w+)=", head)} == SECRETS.keys()
    assert f"--from-file=config.yaml=deploy/{(DEPLOY / 'config.yaml').name}" in head
    # What it sets is asked for: a name that was changed in one place is found.
    assert {one["name"] for one in CONTAINER["env"]} <= set(re.findall(r"\$\{(\w+)", text))


def test_ports_and_paths_are_those_of_the_api() -> None:
    from fishjam_agents.worker.calls_api import CallsApi

    api = config(environ(0)).api
    assert api is not None
    assert api.host == "0.0.0.0"
    port = {one["name"]: one["containerPort"] for one in CONTAINER["ports"]}
    assert port == {"api": api.port}
    assert api.port == ApiSettings().port
    service: Mapping[str, Any] = OBJECTS["Service"]["spec"]
    assert service["ports"] == [{"name": "api", "port": api.port, "targetPort": "api"}]
    annotations = SET["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(api.port)
    nobody: CallService = None  # type: ignore[assignment]
    served = {route.path for route in CallsApi(nobody, "token").app().routes}  # type: ignore[attr-defined]
    probes = {name: CONTAINER[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in probes.values()} == {"api"}
    assert {probe["path"] for probe in probes.values()} | {annotations["prometheus.io/path"]} <= served
    assert probes["liveness"]["path"] == "/healthz"
    assert probes["readiness"]["path"] == "/readyz"


def test_calls_have_the_time_to_end() -> None:
    assert POD["terminationGracePeriodSeconds"] >= config(environ(0)).workers.drain + 30


def test_the_pod_and_the_image_agree() -> None:
    final = dict(instructions(-1))
    user, group = final["USER"].split(":")
    security = POD["securityContext"]
    assert (str(security["runAsUser"]), str(security["runAsGroup"])) == (user, group)
    assert security["runAsNonRoot"]
    assert str(security["fsGroup"]) == group
    mounts = {one["mountPath"]: one["name"] for one in CONTAINER["volumeMounts"]}
    assert yaml.safe_load(final["CMD"])[-1] == "/etc/fishjam-agents/config.yaml"
    assert mounts["/etc/fishjam-agents"] == "config"
    assert mounts[final["VOLUME"]] == "state" == SET["volumeClaimTemplates"][0]["metadata"]["name"]
    journal = config(environ(0)).journal
    assert journal is not None
    assert journal.path is not None
    assert str(journal.path.parent) == final["VOLUME"]


def test_selectors_find_the_pods() -> None:
    labels = SET["template"]["metadata"]["labels"]
    assert SET["selector"]["matchLabels"] == labels
    assert OBJECTS["Service"]["spec"]["selector"] == labels
    assert OBJECTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert SET["serviceName"] == OBJECTS["Service"]["metadata"]["name"]

"""Files that are made for a cluster: Serve's configuration file and KubeRay's manifest."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fishjam_agents.errors import ConfigError
from fishjam_agents.worker.ray_settings import RaySettings

pytest.importorskip("ray", reason="Ray is not installed: uv sync --all-packages")

from fishjam_agents_ray.manifest import manifest_text
from fishjam_agents_ray.serve_config import (
    check_serve_config,
    check_serve_file,
    serve_config,
    serve_config_text,
)

# Importing Serve tells of what pydantic is to drop.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SETTINGS = RaySettings(min_replicas=2, max_replicas=9, target=30, cpus=0.5, drain=600)
CONFIG = """
fishjam: {id: "https://fishjam.example.com", management_token: t}
agent: {backend: {type: parrot}}
rooms: every
ray: {min_replicas: 2, max_replicas: 9, target: 30, cpus: 0.5, drain: 600}
"""
DEPLOYED = Path(__file__).parents[1] / "deploy"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def test_the_file_for_serve_says_what_the_settings_say(config: Path) -> None:
    data = yaml.safe_load(serve_config_text(config, "/app/config.yaml"))
    assert data == serve_config(SETTINGS, "/app/config.yaml")
    (app,) = data["applications"]
    assert app["args"] == {"config": "/app/config.yaml", "application": app["name"]}
    calls = next(item for item in app["deployments"] if item["name"] == "Calls")
    assert calls["ray_actor_options"] == {"num_cpus": 0.5}
    assert calls["graceful_shutdown_timeout_s"] > 600
    scaling = calls["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"]) == (2, 9)
    assert scaling["target_ongoing_requests"] == 30
    assert data["proxy_location"] == "Disabled"


def test_serve_builds_the_application_of_the_file(config: Path) -> None:
    from ray._common.utils import import_attr
    from ray.serve._private.api import call_user_app_builder_with_args_if_necessary as call

    (app,) = yaml.safe_load(serve_config_text(config, str(config)))["applications"]
    built = call(import_attr(app["import_path"]), app["args"])
    names = {built._bound_deployment.name}
    names |= {argument._bound_deployment.name for argument in built._bound_deployment.init_args[1:]}
    assert names == {item["name"] for item in app["deployments"]}


Change = Callable[[dict[str, Any]], Any]
MISTAKES: dict[str, Change] = {
    "proxy_locaton is not a setting of Serve": lambda d: d.update(proxy_locaton="Disabled"),
    "applications[0].import_pth is not a setting": lambda d: d["applications"][0].update(import_pth="x"),
    "applications[0].deployments[1].num_cpus is not a setting": lambda d: d["applications"][0]["deployments"][
        1
    ].update(num_cpus=1),
    "applications[0].deployments[1].autoscaling_config.max_replica is not": lambda d: d["applications"][0][
        "deployments"
    ][1]["autoscaling_config"].update(max_replica=1),
    "there is no deployment 'Call': use Calls or Watcher": lambda d: d["applications"][0]["deployments"][
        1
    ].update(name="Call"),
    "applications.0.deployments.0.health_check_period_s": lambda d: d["applications"][0]["deployments"][
        0
    ].update(health_check_period_s=-1),
    "args.application must be the same name": lambda d: d["applications"][0].update(name="other"),
    "no application has import_path: fishjam_agents_ray.app:app": lambda d: d["applications"][0].update(
        import_path="a:b"
    ),
}


@pytest.mark.parametrize("sentence", MISTAKES)
def test_a_mistake_in_a_changed_file_is_found_before_a_cluster_sees_it(sentence: str, tmp_path: Path) -> None:
    data = copy.deepcopy(serve_config(SETTINGS, "/app/config.yaml"))
    MISTAKES[sentence](data)
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError) as caught:
        check_serve_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)


REFUSED = {
    "room: {create: true}\n": "is about one room",
    "rooms: every\nfishjam: {id: local}\n": "fishjam.id is local, which other machines do not reach",
    "rooms: [{create: 1}]\nfishjam: {id: 'http://f', management_token: t}\n": "rooms[0].create needs",
    "rooms: every\nfishjam: {id: 'http://f', management_token: t}\nworkers: {shard: 1/2}\n": "workers.shard",
    # No `ray`: its target is the default.
    "rooms: every\nworkers: {max_calls: 20}\n": ":3: workers.max_calls is 20, with which no replica gets",
    "rooms: every\nobserve: {metrics: {port: 9100}}\n": ":3: observe.metrics is for a file about one room",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_only_one_machine_can_do_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("agent: {backend: {type: parrot}}\n" + text)
    with pytest.raises(ConfigError) as caught:
        serve_config_text(path, "/app/config.yaml")
    assert REFUSED[text] in str(caught.value)


def test_the_manifest_holds_the_file_for_serve_and_waits_for_calls(config: Path) -> None:
    data = yaml.safe_load(manifest_text(config, "bots:1", "/etc/fishjam-agents/config.yaml"))
    spec = data["spec"]
    check_serve_config(yaml.safe_load(spec["serveConfigV2"]), "manifest")
    assert spec["rayClusterDeletionDelaySeconds"] >= 600
    (workers,) = spec["rayClusterConfig"]["workerGroupSpecs"]
    pod = workers["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= 600
    # KubeRay's own check of these pods asks Serve's HTTP proxy, which there is none of.
    assert "readinessProbe" in pod["containers"][0]
    replicas_at_most = workers["maxReplicas"] * int(workers["rayStartParams"]["num-cpus"]) / SETTINGS.cpus
    assert replicas_at_most >= SETTINGS.max_replicas
    head = spec["rayClusterConfig"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"


def test_the_manifest_of_the_folder_is_what_the_command_prints(config: Path) -> None:
    text = manifest_text(
        DEPLOYED / "config.yaml", "registry.example.com/bots:1", "/etc/fishjam-agents/config.yaml"
    )
    assert (DEPLOYED / "rayservice.yaml").read_text() == text


def test_the_manifest_fits_kuberays_schema() -> None:
    """`KUBERAY_CRD` names `ray.io_rayservices.yaml` of KubeRay's repository, which is not ours to copy."""
    crd = os.environ.get("KUBERAY_CRD")
    if crd is None:
        pytest.skip("KUBERAY_CRD is not set")
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    versions = yaml.safe_load(Path(crd).read_text())["spec"]["versions"]
    schema = next(version for version in versions if version["name"] == "v1")["schema"]["openAPIV3Schema"]
    manifest = yaml.safe_load((DEPLOYED / "rayservice.yaml").read_text())
    # The API server's own.
    del schema["properties"]["metadata"], manifest["metadata"]
    _close(schema)
    validator(schema).validate(manifest)


def _close(schema: Any) -> None:
    """Let no object of a schema have keys that it does not name, as the API server prunes them."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            _close(value)
    elif isinstance(schema, list):
        for value in schema:
            _close(value)

"""The configuration file of Ray Serve: made from a config.yaml, and checked before a cluster sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from fishjam_agents.config import load_config
from fishjam_agents.errors import ConfigError
from fishjam_agents.worker.ray_settings import RaySettings
from fishjam_agents_ray.deployments import calls_options, watcher_options
from fishjam_agents_ray.names import APPLICATION, CALLS, IMPORT_PATH, WATCHER
from fishjam_agents_ray.service import check_for_machines


def serve_config(settings: RaySettings, path: str) -> dict[str, Any]:
    """Return the configuration of the service, as data.

    Args:
        settings: Its replicas.
        path: The config.yaml on every machine.
    """
    return {
        # Nobody talks HTTP to the replicas.
        "proxy_location": "Disabled",
        "applications": [
            {
                "name": APPLICATION,
                "route_prefix": None,
                "import_path": IMPORT_PATH,
                "args": {"config": path, "application": APPLICATION},
                "deployments": [
                    {"name": WATCHER, **watcher_options()},
                    {"name": CALLS, **calls_options(settings)},
                ],
            }
        ],
    }


def check_serve_config(data: Any, source: str) -> None:
    """Check a configuration of this service that somebody has written or changed.

    Serve itself takes keys that it does not know, and finds a deployment's name wrong only on the cluster.

    Args:
        data: The configuration.
        source: Where it comes from, for the message.

    Raises:
        ConfigError: Serve would not take it, or take it for something else; one line for each mistake.
    """
    from ray.serve.schema import ServeDeploySchema

    try:
        ServeDeploySchema.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{source}: {line}" for line in _mistakes(error))) from error
    problems = [*_unknown(data, ServeDeploySchema, ""), *_wrong_names(data)]
    if problems:
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems))


def _mistakes(error: ValidationError) -> Iterator[str]:
    for mistake in error.errors(include_url=False, include_input=False):
        yield f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}"


def _unknown(data: Any, schema: type[BaseModel], path: str) -> Iterator[str]:
    """Keys that a schema of Serve does not have."""
    if not isinstance(data, Mapping):
        return
    known = {field.alias or name: field for name, field in schema.model_fields.items()}
    for key, value in data.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in known:
            yield f"{where} is not a setting of Serve: use {', '.join(sorted(known))}"
            continue
        inner = _model_in(known[key].annotation)
        if inner is None:
            continue
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, item in items:
            yield from _unknown(item, inner, where if index is None else f"{where}[{index}]")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, itself, in a list or as one of several."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in found if model is not None), None)


def _wrong_names(data: Mapping[str, Any]) -> Iterator[str]:
    ours = [app for app in data["applications"] if app.get("import_path") == IMPORT_PATH]
    if not ours:
        yield f"no application has import_path: {IMPORT_PATH}"
    for app in ours:
        if app.get("args", {}).get("application", APPLICATION) != app.get("name", "default"):
            yield f"application {app.get('name')!r}: args.application must be the same name"
        for deployment in app.get("deployments", ()):
            if deployment["name"] not in (CALLS, WATCHER):
                yield f"there is no deployment {deployment['name']!r}: use {CALLS} or {WATCHER}"
            elif deployment["name"] == WATCHER and "autoscaling_config" in deployment:
                yield f"{WATCHER} has no autoscaling_config: one rules, and one more waits"


def read_settings(config: Path) -> RaySettings:
    """Return the settings of the replicas of a file that several machines can serve.

    Raises:
        ConfigError: They cannot, or it cannot be used as written.
    """
    settings = load_config(config)
    check_for_machines(settings)
    return settings.ray or RaySettings()


def serve_config_text(config: Path, path: str) -> str:
    """Return the configuration as YAML, checked.

    Args:
        config: The config.yaml here.
        path: Where it is on every machine.

    Raises:
        ConfigError: It cannot be used.
    """
    data = serve_config(read_settings(config), path)
    check_serve_config(data, str(config))
    return yaml.safe_dump(data, sort_keys=False)


def check_serve_file(file: Path) -> None:
    """Check a configuration file of Serve.

    Raises:
        ConfigError: It cannot be read, or Serve would not take it; one line for each mistake.
    """
    try:
        data = yaml.safe_load(file.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    check_serve_config(data, str(file))

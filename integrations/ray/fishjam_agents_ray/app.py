"""The Serve application.

Annotations are no text here: Serve reads that of `app` to know what to make of its arguments.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from ray import serve

from fishjam_agents_ray.deployments import calls_options, watcher_options
from fishjam_agents_ray.names import APPLICATION, CALLS, WATCHER
from fishjam_agents_ray.replica import CallsReplica
from fishjam_agents_ray.service import Service
from fishjam_agents_ray.watcher import WatcherReplica


class Arguments(BaseModel):
    """Arguments of the application in a Serve configuration file.

    Attributes:
        config: The config.yaml, at the same path on every machine.
        application: Name of the application, as the file has it.
    """

    config: str
    application: str = APPLICATION


def build(service: Service) -> Any:
    """Return the application, for `serve.run`."""
    settings = service.load()
    calls = serve.deployment(name=CALLS, **calls_options(service.ray(settings)))(CallsReplica)
    watcher = serve.deployment(name=WATCHER, **watcher_options())(WatcherReplica)
    return watcher.bind(service, calls.bind(service))


def app(args: Arguments) -> Any:
    """Build the application that a Serve configuration file names: `fishjam_agents_ray.app:app`."""
    service = Service.of_file(args.application, Path(args.config))
    return build(service)

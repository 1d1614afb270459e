"""The table of REST resources: complete, and behind the token unless a route is public."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, cast

from fishjam_agents.server import rest
from fishjam_agents.server.rest.resource import Resource
from fishjam_agents.server.rest.resources import RESOURCES, make_resources

from .conftest import Client, Serve

PUBLIC = {
    "/api/v1/live/api/whip": {401},
    "/api/v1/live/api/whep": {401},
    "/room-manager": {400},
    "/room-manager/livestream": {400},
    "/room-manager/moq/{name}/{kind}": {404},
}
"""What a public route answers to a stranger without any parameter; 404 where it is not named."""


def test_every_resource_of_the_package_is_in_the_table() -> None:
    found = []
    for module in iter_modules(rest.__path__):
        members = vars(import_module(f"{rest.__name__}.{module.name}")).values()
        classes = [item for item in members if inspect.isclass(item) and issubclass(item, Resource)]
        found += [
            f"{module.name}:{item.__name__}"
            for item in classes
            if item.__module__.endswith(f".{module.name}")
        ]
    assert sorted(found) == sorted([*RESOURCES, "resource:Resource"])


def test_every_route_but_the_public_ones_asks_for_the_token(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        for resource in make_resources(cast(Any, None)):
            for path, methods in resource.routes().items():
                for method in methods:
                    url = re.sub(r"\{.*?\}", "nothing", path)
                    answer = await client.http.request(method, url, headers={"authorization": "Bearer wrong"})
                    assert (answer.status_code, answer.json()) == (401, {"errors": "Invalid token"}), url
            for path, methods in resource.public_routes().items():
                for method in methods:
                    url = re.sub(r"\{.*?\}", "nothing", path)
                    answer = await client.http.request(method, url, headers={"authorization": "Bearer wrong"})
                    # They ask for a token of their own, or for what nobody can guess.
                    assert answer.status_code in PUBLIC.get(path, {404}), (method, url)

    serve(scenario)

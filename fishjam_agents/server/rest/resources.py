"""Table of the REST API: a new resource is a module beside this one and a line here."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from .resource import Resource, RestContext

RESOURCES = (
    "rooms:RoomsApi",
    "peers:PeersApi",
    "livestreams:LivestreamsApi",
    "live:LiveApi",
    "moq:MoqApi",
    "recordings:RecordingsApi",
    "sandbox:SandboxApi",
)
"""`module:Class` of every resource, the module in this package."""


def make_resources(context: RestContext) -> Iterator[Resource]:
    """Make each resource of the table."""
    for home in RESOURCES:
        module, _, name = home.partition(":")
        resource: Resource = getattr(import_module(f"{__package__}.{module}"), name)(context)
        yield resource

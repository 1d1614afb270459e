"""Names of the parts in a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping

APPLICATION = "fishjam_agents"
"""Name of the Serve application where nothing else is said."""
IMPORT_PATH = "fishjam_agents_ray.app:app"
"""What builds the application, as a configuration file of Serve names it."""
CALLS = "Calls"
"""Name of the deployment whose replicas have the calls."""
WATCHER = "Watcher"
"""Name of the deployment that decides which calls begin."""
NAMESPACE = "fishjam_agents"
"""Ray's namespace of the ledgers."""
HEAD: Mapping[str, float] = {"node:__internal_head__": 0.001}
"""Resource that only the head's machine has (Ray docs, Resources): a machine of replicas can be lost then
without the watcher and the ledger, and without the head nothing could be started anyway."""


def application_prefix(application: str) -> str:
    """Return what the names of the actors of an application's replicas begin with, of both deployments.

    Serve's own, and no part of its interface: Ray is pinned, and a test holds it.
    """
    return f"SERVE_REPLICA::{application}#"


def has_calls(replica: str) -> bool:
    """Return whether a replica is one of calls, by its name."""
    return replica.split("#")[1:2] == [CALLS]


def short_name(replica: str) -> str:
    """Return the part of a replica's name that is its own."""
    return replica.rpartition("#")[2]

"""The ledger and the replicas, as the parts in a Ray cluster reach them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError
from ray.util import list_named_actors

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents_ray.ledger import Ledger
from fishjam_agents_ray.names import HEAD, NAMESPACE, application_prefix

LEDGER_DEADLINE = 2.0
"""Seconds that the ledger has to answer."""

T = TypeVar("T")


class LedgerLostError(FishjamAgentsError):
    """The ledger does not answer."""


class RayLostError(FishjamAgentsError):
    """Ray's control store does not answer."""


class LedgerHandle:
    """The ledger of an application, made by whoever needs it first.

    Args:
        application: Name of the application.
    """

    def __init__(self, application: str) -> None:
        self._name = f"{application} ledger"
        self._actor: Any = None
        self._process: tuple[str, int] | None = None

    def _ledger(self) -> Any:
        if self._actor is None:
            kind = ray.remote(num_cpus=0, resources=dict(HEAD), max_restarts=-1, max_task_retries=-1)(Ledger)
            self._actor = kind.options(
                name=self._name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True
            ).remote()
        return self._actor

    async def ask(self, method: str, *arguments: Any, deadline: float = LEDGER_DEADLINE) -> Any:
        """Call a method of the `Ledger`.

        Raises:
            LedgerLostError: It does not answer in time, or Ray cannot reach it.
        """
        return await answer_of(getattr(self._ledger(), method).remote(*arguments), deadline)

    async def find(self) -> None:
        """Remember the ledger's process, for `restart`.

        Raises:
            LedgerLostError: It does not answer.
        """
        self._process = await answer_of(self._ledger().__ray_call__.remote(_own_process), LEDGER_DEADLINE)

    def restart(self) -> None:
        """Kill the ledger's process, which does not answer; Ray starts another one.

        Ray asks it to end first, which takes 5 s where it hangs: on the same machine it is spared that.
        """
        if self._process is not None and self._process[0] == ray.get_runtime_context().get_node_id():
            with suppress(OSError):
                if Path(f"/proc/{self._process[1]}/cmdline").read_bytes().startswith(b"ray::Ledger"):
                    os.kill(self._process[1], signal.SIGKILL)
                    return
        ray.kill(self._ledger(), no_restart=False)


def _own_process(ledger: Ledger) -> tuple[str, int]:
    """Run in the ledger's process."""
    return ray.get_runtime_context().get_node_id(), os.getpid()


async def answer_of(reference: Awaitable[T], deadline: float) -> T:
    """Await what Ray was asked for.

    Raises:
        LedgerLostError: It does not come in time, or Ray cannot get it.
    """
    try:
        async with asyncio.timeout(deadline):
            return await reference
    except TimeoutError as error:
        raise LedgerLostError(f"the ledger has not answered within {deadline:g} s") from error
    except RayError as error:
        raise LedgerLostError(f"the ledger cannot be reached: {error}") from error


def living_actors(application: str) -> frozenset[str]:
    """Return the replicas of both deployments that Ray has not declared dead, those that drain included.

    Serve's own list leaves those out that drain. Blocks for a round trip to Ray's control store.

    Raises:
        RayLostError: It does not answer.
    """
    prefix = application_prefix(application)
    try:
        actors: list[Any] = list_named_actors(all_namespaces=True)
    except (RayError, OSError, RuntimeError) as error:
        raise RayLostError(f"Ray does not tell which replicas live: {error}") from error
    return frozenset(
        actor["name"]
        for actor in actors
        if actor["namespace"] == "serve" and actor["name"].startswith(prefix)
    )

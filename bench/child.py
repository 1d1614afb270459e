"""Processes of the bench: one line of JSON in, one line of JSON out, and none of them outlives it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import IO, Any

from bench.machine import ROOT, keep_niceness


class Child:
    """A module of the bench running in a process of its own."""

    def __init__(self, process: Process, name: str) -> None:
        self._process = process
        self._name = name

    def keep_to(self, cores: set[int]) -> None:
        """Run on these cores only, where the system can arrange that."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, cores)

    def precede(self) -> None:
        """Run before this process's other children: those of one real-time priority wait for each other."""
        if not hasattr(os, "sched_getscheduler"):
            return
        policy = os.sched_getscheduler(0)
        if policy in (os.SCHED_FIFO, os.SCHED_RR):
            priority = os.sched_getparam(0).sched_priority
            higher = min(priority + 1, os.sched_get_priority_max(policy))
            os.sched_setscheduler(self._process.pid, policy, os.sched_param(higher))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        await self._process.wait()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def hear(self, timeout: float) -> dict[str, Any]:
        """The next line it says.

        Raises:
            RuntimeError: It ended, or said nothing in time.
        """
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), timeout)
        except TimeoutError as error:
            raise RuntimeError(f"{self._name} said nothing for {timeout:g} s") from error
        if not line:
            raise RuntimeError(f"{self._name} ended early: see its error above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def ask(self, timeout: float, **request: Any) -> dict[str, Any]:
        """Say something and hear the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.hear(timeout)


@contextlib.asynccontextmanager
async def child(module: str, **arguments: Any) -> AsyncIterator[Child]:
    """Run `python -m bench.<module>` with its arguments as JSON; it is gone when the context is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"bench.{module}", json.dumps(arguments)),
        stdin=PIPE,
        stdout=PIPE,
        cwd=ROOT,
        limit=1 << 24,
        start_new_session=True,
    )
    keep_niceness(process.pid)
    try:
        yield Child(process, module)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def program(
    config: Path,
    url: str,
    token: str,
    *,
    stderr: int | IO[str] = DEVNULL,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Process]:
    """Run `python -m fishjam_agents run CONFIG`; it is killed when the context is left.

    Args:
        config: The file; what the program keeps goes into its folder.
        url: Address of the Fishjam.
        token: Its management token.
        stderr: Destination of its log.
        environment: Variables in addition.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fishjam_agents", "run", str(config)),
        cwd=ROOT,
        stdout=DEVNULL,
        stderr=stderr,
        env={
            **os.environ,
            **(environment or {}),
            "FISHJAM_ID": url,
            "FISHJAM_MANAGEMENT_TOKEN": token,
            "XDG_STATE_HOME": str(config.parent),
        },
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def requests() -> AsyncIterator[dict[str, Any]]:
    """In a child: what its parent asks, until the parent hangs up."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            yield json.loads(line)
    finally:
        transport.close()


def say(**answer: Any) -> None:
    """In a child: answer the parent."""
    print(json.dumps(answer), flush=True)

"""Worker processes of one program: started, told who shares the rooms, started again when one dies."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fishjam_agents.backoff import Backoff
from fishjam_agents.cli.control_channel import ControlChannel
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.settings import LogSettings
from fishjam_agents.worker.claims import ProcessClaims
from fishjam_agents.worker.created_rooms import CreatedRooms, RoomMaker

logger = logging.getLogger(__name__)

QUIET = 5.0
"""Seconds without a report after which a process is given no more rooms, and others take over those whose
claims end."""
SILENCE = 30.0
"""Seconds without a report after which a process hangs, and is killed: a machine that stands still for ten
seconds costs none."""
STEADY = 60.0
"""Seconds after which the death of a process is the first one again."""

_RESTARTS = Backoff(first=1.0, longest=30.0)


@dataclasses.dataclass
class WorkerProcess:
    """A process that serves rooms.

    Attributes:
        member: Its name among them, which the next one at its place has, too.
        owner: Its name in the claims.
        process: The process.
        channel: Where it is told what to do.
        not_ready: Why it takes no new room; None while it does.
        takes_lost_calls: Whether it takes calls of a process that is gone: also while it is over a limit of
            load.
        metrics: Its last metrics.
        call_metrics: Its last metrics of calls, as text.
        heard: Loop time of its last report.
        has_started: Whether it was ready once.
    """

    member: str
    owner: str
    process: asyncio.subprocess.Process
    channel: ControlChannel
    not_ready: str | None = "it starts"
    takes_lost_calls: bool = False
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    call_metrics: str = ""
    heard: float = 0.0
    has_started: bool = False

    def is_quiet(self, now: float) -> bool:
        """Return True if it has not reported for a while, at a loop time."""
        return now - self.heard > QUIET


class Supervisor:
    """Keeps worker processes running.

    Args:
        config: The file that they read.
        log: What they log.
        processes: How many there are.
        claims: The claims that they share, opened by this process.
        address: Where they are: a file, or the URL of a Redis.
        fishjam: Base URL of the Fishjam.
        token: Its management token.
        rooms: Makes the rooms that the file's rules ask for.

    Attributes:
        workers: Those that run, by their names.
        heard: Called with each message of a process that is not about its own state.
        died: Called with each process that ended without being told to.
    """

    def __init__(
        self,
        config: Path,
        log: LogSettings,
        processes: int,
        claims: ProcessClaims,
        address: str,
        fishjam: str,
        token: str,
        rooms: RoomMaker,
    ) -> None:
        self.workers: dict[str, WorkerProcess] = {}
        self.heard: list[Callable[[WorkerProcess, Mapping[str, Any]], None]] = []
        self.died: list[Callable[[WorkerProcess], None]] = []
        self._config = config
        self._log = log
        self._claims = claims
        self._address = address
        self._fishjam = fishjam
        self._token = token
        self._rooms = rooms
        self._members = [f"w{index}" for index in range(processes)]
        self._sharing = set(self._members)
        self._ending = asyncio.Event()
        self._generation = 0

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the processes that share the rooms now."""
        return tuple(member for member in self._members if member in self._sharing)

    async def run(self) -> None:
        """Keep the processes running until `drain` or `stop` and their end."""
        keepers = [
            asyncio.create_task(self._keep(member), name=f"process {member}") for member in self._members
        ]
        try:
            await asyncio.gather(*keepers)
        finally:
            # Those that do not see the end of their channel are killed.
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    def drain(self) -> None:
        """Let processes end when their calls have."""
        self._ending.set()
        self._tell("drain")

    def stop(self) -> None:
        """Let processes end now."""
        self._ending.set()
        self._tell("stop")

    def reload(self) -> None:
        """Let processes read their configuration again."""
        self._tell("reload")

    def set_created(self, created: Sequence[CreatedRooms]) -> None:
        """Tell processes which rooms there are now for rules that ask for some."""
        self._tell("created_rooms", created=[dataclasses.asdict(made) for made in created])

    def _tell(self, kind: str, **content: Any) -> None:
        for worker in self.workers.values():
            worker.channel.send(kind, **content)

    async def _keep(self, member: str) -> None:
        """Keep one process running."""
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._ending.is_set():
            begun = loop.time()
            try:
                code = await self._one(member)
                end = f"exit code {code}" if code >= 0 else f"signal {-code}"
            except OSError as error:
                # No memory or no descriptor for it, for now.
                end = str(error)
            if self._ending.is_set():
                return
            failures = 1 if loop.time() - begun >= STEADY else failures + 1
            pause = _RESTARTS.delay(failures)
            logger.error(
                "the process %s ended (%s)%s; its rooms go to the others, and it starts again in %.1f s",
                member,
                end,
                "" if failures == 1 else f", {failures} times in a row",
                pause,
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._ending.wait()

    async def _one(self, member: str) -> int:
        """One process from start to end; returns its exit code."""
        worker = await self._start(member)
        watching = asyncio.create_task(self._watch(worker), name=f"watch {member}")
        listening = asyncio.create_task(self._listen(worker), name=f"listen {member}")
        try:
            code = await worker.process.wait()
            # What it said last.
            await asyncio.wait({listening}, timeout=1.0)
        finally:
            if worker.process.returncode is None:
                worker.process.kill()
                await worker.process.wait()
            watching.cancel()
            listening.cancel()
            for end in await asyncio.gather(watching, listening, return_exceptions=True):
                if isinstance(end, Exception):
                    logger.error("the process %s was not followed any more", member, exc_info=end)
            worker.channel.close()
            self.workers.pop(member, None)
        self._sharing.discard(member)
        try:
            await self._claims.expire(worker.owner)
        except FishjamAgentsError as error:
            logger.warning("its rooms are free only in some seconds: %s", error)
        if not self._ending.is_set():
            # Calls that the API asked for come before those of rules.
            for died in self.died:
                died(worker)
            self._share(hurry=True)
        return code

    async def _start(self, member: str) -> WorkerProcess:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "fishjam_agents.cli.rooms_child"),
                    *(str(self._config), str(theirs.fileno()), self._log.level, str(self._log.words)),
                    pass_fds=[theirs.fileno()],
                    # Ctrl-C is for the program, which tells its processes.
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        self._generation += 1
        owner = f"{self._claims.owner}.{member}.{self._generation}"
        channel = await ControlChannel.open(ours)
        worker = WorkerProcess(member, owner, process, channel, heard=asyncio.get_running_loop().time())
        self.workers[member] = worker
        logger.info("the process %s has the id %d", member, process.pid)
        channel.send(
            "hello",
            member=member,
            owner=owner,
            members=self.members,
            claims=self._address,
            fishjam=self._fishjam,
            token=self._token,
            created=[dataclasses.asdict(made) for made in self._rooms.created],
        )
        return worker

    async def _listen(self, worker: WorkerProcess) -> None:
        loop = asyncio.get_running_loop()
        while (message := await worker.channel.receive()) is not None:
            worker.heard = loop.time()
            if message["kind"] == "call_metrics":
                worker.call_metrics = message["text"]
                continue
            if message["kind"] == "rooms_missing":
                self._rooms.renew()
                continue
            if message["kind"] != "status":
                for heard in self.heard:
                    heard(worker, message)
                continue
            worker.not_ready, worker.metrics = message["not_ready"], message["metrics"]
            worker.takes_lost_calls = message["takes_lost_calls"]
            is_ready = worker.not_ready is None
            worker.has_started |= is_ready
            # One that is over a limit leaves rooms to those that are not.
            if worker.has_started and is_ready != (worker.member in self._sharing):
                self._sharing ^= {worker.member}
                self._share()

    async def _watch(self, worker: WorkerProcess) -> None:
        """Leave a process out that is quiet, and kill one that hangs."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1.0)
            if worker.is_quiet(loop.time()) and worker.has_started and worker.member in self._sharing:
                logger.warning("the process %s is quiet: it gets no more rooms", worker.member)
                worker.not_ready = "it is quiet"
                self._sharing.discard(worker.member)
                self._share()
            if loop.time() - worker.heard > SILENCE:
                logger.error("the process %s is silent for %g s and is killed", worker.member, SILENCE)
                worker.process.kill()
                return

    def _share(self, hurry: bool = False) -> None:
        self._tell("members", members=self.members, hurry=hurry)

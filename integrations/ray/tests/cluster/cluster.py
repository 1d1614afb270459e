"""A Ray cluster of two nodes with the service on it, in a network of its own: what the scenarios kill.

Each scenario is a program of its own, started by `run_in_namespace`: no interface but loopback, and nothing
outlives its first process.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fishjam_agents_ray import environment
from fishjam_agents_ray.names import APPLICATION, CALLS, NAMESPACE, WATCHER, has_calls
from fishjam_agents_ray.reports import LedgerView
from room_watch import RoomWatch

from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.server import Caller, EmbeddedServer

CONFIG = """
fishjam: {{id: "{url}", management_token: "{token}"}}
agent: {{pipeline: "bot:Bot"}}
rooms: every
limits: {{empty_room: 2}}
workers: {{max_loop_lag: null, max_cpu: null}}
journal: {{path: "{folder}/journal.db"}}
ray: {ray}
"""


def loopback_up() -> None:
    """Switch the loopback interface of this network on (`netdevice(7)`, SIOCSIFFLAGS)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
    names = [name for _, name in socket.if_nameindex()]
    assert names == ["lo"], f"Ray would be reachable by {names}"


def scenario_folder() -> Path:
    """The folder of this run, which whoever started it deletes; by hand, a new one."""
    return Path(os.environ.get("SCENARIO_FOLDER") or tempfile.mkdtemp(prefix="rayt"))


class Cluster:
    """The service, and its callers."""

    def __init__(self, server: EmbeddedServer, watch: RoomWatch, folder: Path) -> None:
        self.server = server
        self.watch = watch
        self.folder = folder
        self.callers: dict[str, Caller] = {}
        self.nodes: list[Any] = []
        self._cluster: Any = None
        self._pids: dict[str, int] = {}

    async def start(self, ray_settings: dict[str, Any], cpus: list[int]) -> None:
        config = self.folder / "config.yaml"
        config.write_text(
            CONFIG.format(
                url=self.server.url,
                token=self.server.token,
                folder=self.folder,
                ray=json.dumps(ray_settings),
            )
        )
        shutil.copy(Path(__file__).parent / "bot.py", self.folder)
        await asyncio.to_thread(self._deploy, config, cpus)

    def _deploy(self, config: Path, cpus: list[int]) -> None:
        import ray
        from fishjam_agents_ray.app import build
        from fishjam_agents_ray.service import Service
        from ray import serve
        from ray.cluster_utils import Cluster as RayCluster

        self._cluster = RayCluster(
            initialize_head=True,
            head_node_args={"num_cpus": cpus[0], "include_dashboard": False},
            # Hooks are for the main thread; the end of the namespace ends everything.
            shutdown_at_exit=False,
        )
        for number in cpus[1:]:
            self.add_node(number)
        ray.init(address=self._cluster.address, log_to_driver=bool(os.environ.get("SHOW_LOGS")))
        serve.start(proxy_location="Disabled")
        service = Service(APPLICATION, config, self.server.url, self.server.token)
        serve.run(build(service), name=APPLICATION, route_prefix=None)

    def add_node(self, cpus: int) -> None:
        self.nodes.append(self._cluster.add_node(num_cpus=cpus))

    def kill_node(self) -> None:
        """Kill the raylet of the last node, and reap it: a zombie would count as alive."""
        process = self.nodes.pop().all_processes["raylet"][0].process
        process.kill()
        process.wait()

    def node_processes(self) -> list[int]:
        """The raylet of the last node, and the processes it has started."""
        raylet: int = self.nodes[-1].all_processes["raylet"][0].process.pid
        return [raylet, *(pid for pid in pids("ray::") if parent(pid) == raylet)]

    async def call(self) -> str:
        """A caller joins a room of its own; returns the room."""
        room = self.server.rooms.create()
        self.callers[room.id] = await self.server.add_caller(room.id)
        self.watch.rooms.add(room.id)
        return room.id

    def hang_up(self, room: str) -> None:
        self.watch.leave(room)
        self.callers.pop(room).leave()

    def busiest(self, pids: list[int]) -> int:
        """The one of these replicas that has the most calls."""
        at = {note["room"]: note["pid"] for note in self.connections() if note["room"] in self.callers}
        counted = Counter(at.values())
        return max(pids, key=lambda pid: counted[pid])

    def ruling(self) -> int:
        """The watcher that rules now."""
        import ray

        leader = self.view().leader
        assert leader is not None
        if leader not in self._pids:
            actor = ray.get_actor(leader, namespace="serve")
            self._pids[leader] = ray.get(actor.__ray_call__.remote(own_pid), timeout=10)
        return self._pids[leader]

    def is_whole(self, number: int) -> bool:
        """True if so many replicas take calls, and both watchers are there and run."""
        if len(replicas()) != number or len(watchers()) != 2:
            return False
        from ray import serve

        deployments = serve.status().applications[APPLICATION].deployments
        running = {name: dict(item.replica_states) for name, item in deployments.items()}
        ready = sum(report.not_ready is None for report in self.view().reports.values())
        return ready == number and running == {CALLS: {"RUNNING": number}, WATCHER: {"RUNNING": 2}}

    def names(self) -> dict[str, int]:
        """Replicas by the names that Serve gives them."""
        from fishjam_agents_ray.handles import living_actors

        living = living_actors(APPLICATION)
        return {"living": len(living), "of calls": sum(map(has_calls, living))}

    def view(self) -> LedgerView:
        """The ledger's knowledge."""
        import ray

        ledger = ray.get_actor(f"{APPLICATION} ledger", namespace=NAMESPACE)
        return ray.get(ledger.read.remote(), timeout=10)

    def connections(self) -> list[dict[str, Any]]:
        """Connections of bots to their backend so far."""
        path = self.folder / "connections.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def own_pid(actor: object) -> int:
    """Run in an actor's process."""
    return os.getpid()


def pids(title: str) -> list[int]:
    """Processes of Ray by their title."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
            except OSError:
                continue
            if words.startswith(title):
                found.append(int(entry.name))
    return sorted(found)


def parent(pid: int) -> int:
    """The parent of a process (`proc(5)`, stat)."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def replicas() -> list[int]:
    return pids(f"ray::ServeReplica:{APPLICATION}:{CALLS}")


def watchers() -> list[int]:
    return pids(f"ray::ServeReplica:{APPLICATION}:{WATCHER}")


def ledgers() -> list[int]:
    return pids("ray::Ledger")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


async def until(condition: Callable[[], object], deadline: float) -> None:
    """Wait for something that no event tells.

    Raises:
        TimeoutError: It has not come in time.
    """
    async with asyncio.timeout(deadline):
        while not condition():  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.05)


@asynccontextmanager
async def cluster(ray_settings: dict[str, Any], cpus: list[int]) -> AsyncIterator[Cluster]:
    """Run the service; everything is gone afterwards, at the latest with the first process."""
    loopback_up()
    folder = scenario_folder()
    environment.prepare(one_machine=False)
    os.environ |= {
        "RAY_TMPDIR": str(folder),
        "RAY_AUTH_TOKEN": "0" * 64,
        "CONNECTIONS": str(folder / "connections.jsonl"),
        "PYTHONWARNINGS": "ignore",
    }
    try:
        async with EmbeddedServer() as server, AsyncFishjamClient(server.url, server.token) as client:
            watch = RoomWatch(client)
            made = Cluster(server, watch, folder)
            await made.start(ray_settings, cpus)
            watching = asyncio.create_task(watch.run())
            try:
                yield made
            finally:
                watching.cancel()
                if os.environ.get("KEEP_LOGS"):
                    ignored = shutil.ignore_patterns("sockets")
                    shutil.copytree(folder, os.environ["KEEP_LOGS"], dirs_exist_ok=True, ignore=ignored)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(scenario: Callable[[], Awaitable[dict[str, Any]]]) -> None:
    """Run a scenario, print its figures as JSON, and leave: what is left ends with this process."""
    began = time.monotonic()
    figures = asyncio.run(scenario())
    print(json.dumps(figures | {"seconds": round(time.monotonic() - began, 1)}), flush=True)
    os._exit(0)

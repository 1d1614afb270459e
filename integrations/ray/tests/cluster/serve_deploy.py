"""`ray start --head`, `serve deploy` and two rolling redeploys under calls, by the commands of the README.

Prints what was seen as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cluster import CONFIG, Cluster, loopback_up, replicas, run, scenario_folder, until, watchers
from fishjam_agents_ray import environment
from room_watch import RoomWatch

from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.server import EmbeddedServer

CALLS = int(os.environ.get("CALLS", "6"))
DEADLINE = 120.0
PATIENT = {"min_replicas": 2, "max_replicas": 2, "cpus": 0.4, "drain": 600}
HURRIED = PATIENT | {"drain": 3}
BIN = Path(sys.executable).parent


async def command(*words: str) -> str:
    """Run a command of the environment; returns what it prints."""
    process = await asyncio.create_subprocess_exec(
        BIN / words[0], *words[1:], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, f"{' '.join(words)}: {out.decode()[-3000:]}"
    return out.decode()


class Deployed(Cluster):
    """The service as `serve deploy` makes it, on a head that `ray start` has started."""

    async def deploy(self, version: int, ray_settings: dict[str, Any]) -> None:
        """Deploy a version: another config.yaml at a path of its own."""
        folder = self.folder / f"v{version}"
        folder.mkdir()
        shutil.copy(Path(__file__).parent / "bot.py", folder)
        config = folder / "config.yaml"
        config.write_text(
            CONFIG.format(
                url=self.server.url,
                token=self.server.token,
                folder=self.folder,
                ray=json.dumps(ray_settings),
            )
        )
        file = folder / "serve.yaml"
        file.write_text(await command("fishjam-agents", "ray", "config", str(config)))
        assert "Serve takes it" in await command("fishjam-agents", "ray", "check", str(file))
        await command("serve", "deploy", str(file))

    def served_by(self, rooms: set[str]) -> set[int]:
        """The processes that connected the bots of rooms last."""
        return set(
            {note["room"]: note["pid"] for note in self.connections() if note["room"] in rooms}.values()
        )


@asynccontextmanager
async def head() -> AsyncIterator[Deployed]:
    loopback_up()
    folder = scenario_folder()
    environment.prepare(one_machine=False)
    os.environ |= {
        "RAY_TMPDIR": str(folder),
        "RAY_AUTH_TOKEN": "0" * 64,
        "CONNECTIONS": str(folder / "connections.jsonl"),
        "PYTHONWARNINGS": "ignore",
    }
    async with EmbeddedServer() as server, AsyncFishjamClient(server.url, server.token) as client:
        watch = RoomWatch(client)
        await command("ray", "start", "--head", "--num-cpus=4", "--disable-usage-stats")
        watching = asyncio.create_task(watch.run())
        try:
            yield Deployed(server, watch, folder)
        finally:
            watching.cancel()


async def scenario() -> dict[str, Any]:
    figures: dict[str, Any] = {"calls": CALLS}
    async with head() as made:
        watch = made.watch
        await made.deploy(1, PATIENT)
        await until(lambda: len(replicas()) == 2 and len(watchers()) == 2, DEADLINE)
        early = {await made.call() for _ in range(CALLS)}
        await until(watch.exactly_one, DEADLINE)
        first = set(replicas())
        figures["first"] = {"served": made.served_by(early) <= first}

        # Patient: who has a bot keeps it, whoever comes has one of the new version.
        watch.mark()
        before = set(watchers())
        began = time.monotonic()
        await made.deploy(2, HURRIED)
        await until(lambda: len(set(replicas()) - first) == 2 and not before & set(watchers()), DEADLINE)
        figures["rolled_out"] = round(time.monotonic() - began, 1)
        late = {await made.call() for _ in range(CALLS)}
        await until(watch.exactly_one, DEADLINE)
        second = set(replicas()) - first
        figures["patient"] = {
            "old_replicas_stay": len(first & set(replicas())),
            "bots_changed": len(watch.seen.changed.keys() & early),
            "without_bot": len(watch.seen.gaps.keys() & early),
            "two_bots": len(watch.seen.doubles),
            "connections": sum(note["room"] in early for note in made.connections()),
            "new_calls_in_new_replicas": made.served_by(late) <= second,
        }
        for room in early:
            made.hang_up(room)
        await until(lambda: not first & set(replicas()), DEADLINE)
        figures["old_replicas_gone"] = True

        # Hurried: after three seconds calls move, and their conversations go on.
        watch.mark()
        noted = len(made.connections())
        await made.deploy(3, PATIENT)
        await until(lambda: not second & set(replicas()) and watch.seen.changed.keys() >= late, DEADLINE)
        await until(watch.exactly_one, DEADLINE)
        moved = [note for note in made.connections()[noted:] if note["room"] in late]
        # Replicas are drained one after the other: a call may move to one whose turn is still to come.
        moves = Counter(note["room"] for note in moved)
        figures["hurried"] = {
            "moved": len(watch.seen.changed.keys() & late),
            "most_moves": max(moves.values(), default=0),
            "in_new_replicas": made.served_by(late) <= set(replicas()) - first - second,
            "with_their_conversation": all(note["past"] for note in moved),
            "two_bots": len(watch.seen.doubles),
            "longest_gap": round(
                max((gap for gaps in watch.seen.gaps.values() for gap in gaps), default=0.0), 1
            ),
            "longest_look": round(watch.seen.longest_look, 2),
        }
    return figures


if __name__ == "__main__":
    run(scenario)

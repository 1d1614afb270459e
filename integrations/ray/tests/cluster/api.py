"""`ray up` as a user starts it, and the calls API over kills; prints what was seen as JSON."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any

import httpx
from cluster import kill, loopback_up, pids, replicas, run, scenario_folder, until, watchers

CONFIG = """
fishjam: {id: local, port: 0}
agent: {backend: {type: parrot}}
rooms: [{create: 1}]
limits: {empty_room: 120}
workers: {drain: 30, max_loop_lag: null, max_cpu: null}
api: 8081
ray: {min_replicas: 2, max_replicas: 2, cpus: 1}
"""
DEADLINE = 60.0


async def scenario() -> dict[str, Any]:
    loopback_up()
    folder = scenario_folder()
    (folder / "config.yaml").write_text(CONFIG)
    environment = os.environ | {"RAY_TMPDIR": str(folder), "PYTHONWARNINGS": "ignore"}
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "fishjam_agents", "ray", "up", str(folder / "config.yaml")],
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    lines: list[str] = []

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            lines.append(line.decode().rstrip())
            print(lines[-1], file=sys.stderr, flush=True)

    reading = asyncio.create_task(read())
    await until(lambda: "Ctrl-C ends the calls." in lines, 2 * DEADLINE)
    async with httpx.AsyncClient(base_url="http://127.0.0.1:8081", timeout=20) as api:
        await until_answered(api)
        made = await posted(api)
        first = await running(api, made["id"])
        kill(pid_of(first["process"]))
        second = await running(api, made["id"], but=first["process"])
        # Whoever rules serves the API: it may be this one.
        kill(watchers()[0])
        await asyncio.sleep(0.5)
        still = await running(api, made["id"])
        metrics = await answered(api, "/metrics", 'fishjam_agents_calls{process="')
        ready = await answered(api, "/readyz", "ready")
        await api.delete(f"/calls/{made['id']}")
        ended = await status(api, made["id"], "ended")
        last = await posted(api)
        await running(api, last["id"])
        process.send_signal(signal.SIGTERM)
        # It drains: nothing new begins, and what goes on may end by itself.
        refused = await refusal(api)
        await api.delete(f"/calls/{last['id']}")
    began = time.monotonic()
    code = await asyncio.wait_for(process.wait(), DEADLINE)
    await reading
    return {
        "moved": second["process"] != first["process"],
        "same_room": first["room"] == second["room"] == still["room"],
        "stayed": still["process"] == second["process"],
        "metrics": "# TYPE fishjam_agents_calls gauge" in metrics,
        "ready": ready,
        "ended": ended["reason"],
        "refused": refused,
        "exit_code": code,
        "exit_seconds": round(time.monotonic() - began, 1),
        "left_behind": len(pids("ray::")) + len(pids("raylet")),
        "output": lines,
    }


def pid_of(process: str) -> int:
    """The process of a replica, by the name that the API has for it."""
    import subprocess

    for pid in replicas():
        descriptors = subprocess.run(
            ["ls", "-l", f"/proc/{pid}/fd"], capture_output=True, text=True, check=False
        ).stdout
        if process in descriptors:
            return pid
    raise AssertionError(f"no process is {process}")


async def until_answered(api: httpx.AsyncClient) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            with suppress(httpx.HTTPError):
                await api.get("/healthz")
                return
            await asyncio.sleep(0.1)


async def posted(api: httpx.AsyncClient) -> dict[str, Any]:
    answer = await api.post("/calls", json={})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def refusal(api: httpx.AsyncClient) -> int:
    """Ask for calls until one is refused: the order to drain reaches the replicas with their next reports."""
    async with asyncio.timeout(DEADLINE / 3):
        while True:
            answer = await api.post("/calls", json={})
            if answer.status_code != 201:
                return answer.status_code
            await api.delete(f"/calls/{answer.json()['id']}")
            await asyncio.sleep(0.5)


async def answered(api: httpx.AsyncClient, path: str, wanted: str) -> str:
    """Wait until an answer has the words that are wanted: the watcher may be a new one."""
    async with asyncio.timeout(DEADLINE):
        while True:
            with suppress(httpx.HTTPError):
                text = (await api.get(path)).text
                if wanted in text:
                    return text
            await asyncio.sleep(0.1)


async def status(api: httpx.AsyncClient, id: str, wanted: str, but: str = "") -> dict[str, Any]:
    """Wait until a call is what is wanted, and not in one replica, while the API itself may be away."""
    async with asyncio.timeout(DEADLINE):
        while True:
            with suppress(httpx.HTTPError):
                answer = await api.get(f"/calls/{id}")
                if answer.status_code == 200:
                    call: dict[str, Any] = answer.json()
                    if call["status"] == wanted and call["process"] != but:
                        return call
            await asyncio.sleep(0.1)


async def running(api: httpx.AsyncClient, id: str, but: str = "") -> dict[str, Any]:
    return await status(api, id, "running", but)


if __name__ == "__main__":
    run(scenario)

"""A program of deploy/config.yaml on this machine, beside an embedded Fishjam in a process of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

DEADLINE = 60.0
"""Seconds that anything has to begin."""


@dataclass
class Service:
    """A program that runs.

    Attributes:
        process: The process.
        port: The port of its API.
        log: Where its standard error goes.
    """

    process: subprocess.Popen[bytes]
    port: str
    log: Path


@contextmanager
def served(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[Service]:
    """Run a command that reads deploy/config.yaml; `XDG_STATE_HOME` is a folder of the test."""
    folder = Path(environ["XDG_STATE_HOME"])
    with contextlib.ExitStack() as stack:
        fishjam, port = _free_port(), _free_port()
        server = subprocess.Popen(
            [sys.executable, "-m", "fishjam_agents", "server", "--port", fishjam, "--token", "management"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(_end, server)
        url = f"http://127.0.0.1:{fishjam}"
        given = {
            **environ,
            "FISHJAM_ID": url,
            "FISHJAM_MANAGEMENT_TOKEN": "management",
            "API_TOKEN": "api",
            "API_HOST": "127.0.0.1",
            "API_PORT": port,
        }
        _wait_for(f"{url}/room")
        program = shutil.which(command[0], path=environ["PATH"])
        assert program is not None
        log = folder / "program.log"
        errors = stack.enter_context(log.open("wb"))
        process = subprocess.Popen([program, *command[1:]], env=given, stdout=errors, stderr=errors)
        stack.callback(_end, process)
        _wait_for(f"http://127.0.0.1:{port}/healthz")
        yield Service(process, port, log)


def answers(service: Service, path: str, status: int) -> bool:
    """Return whether the API comes to answer so."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(f"http://127.0.0.1:{service.port}{path}", trust_env=False)
            if answer.status_code == status:
                return True
        time.sleep(0.05)
    return False


def _wait_for(url: str) -> None:
    end = time.monotonic() + DEADLINE
    while True:
        try:
            httpx.get(url, trust_env=False)
            return
        except httpx.TransportError:
            assert time.monotonic() < end, url
            time.sleep(0.05)


def _free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()

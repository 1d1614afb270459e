"""Scenarios that run Ray: each a program in a network and a process namespace of its own.

Ray listens on all interfaces there are. In such a namespace there is loopback and nothing else, and the end
of its first process, however it comes, ends everything that was started in it.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "cluster"
FULL = bool(os.environ.get("RAY_FULL"))
"""Whether scenarios run in full: more kills and calls, and bounds in seconds, for a machine of their own."""
DEADLINE = 1200.0 if FULL else 280.0
"""Seconds of a scenario, a slow machine's included."""
ATTEMPTS = 2
TOO_SLOW = "The current node timed out during startup"
# The first process does nothing but reap: what is orphaned by a kill is no zombie that counts as alive.
INIT = ["bash", "-c", '"$@"; code=$?; exit $code', "init"]


@functools.cache
def namespace() -> list[str] | str:
    """The command that runs a command in namespaces, or the reason for which there is none."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return "network namespaces need Linux and unshare (Debian: util-linux)"
    command = ["unshare", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    tried = subprocess.run([*command, *INIT, "true"], capture_output=True, text=True, check=False)
    return command if tried.returncode == 0 else f"no namespaces here: {tried.stderr.strip()}"


class RayTooSlowError(Exception):
    """Ray was given too little of the processors to start: it gives up after half a minute, by itself."""


def in_namespace(command: list[str], environment: dict[str, str], deadline: float) -> str:
    """Run a command in namespaces of its own; returns what it printed.

    Raises:
        AssertionError: It failed, or took too long.
        RayTooSlowError: Ray did not start.
    """
    unshare = namespace()
    if isinstance(unshare, str):
        pytest.skip(unshare)
    # Short: Ray's sockets are in it, whose paths have 107 characters at most.
    folder = tempfile.mkdtemp(prefix="rayt")
    process = subprocess.Popen(
        [*unshare, *INIT, *command],
        env=os.environ | environment | {"SCENARIO_FOLDER": folder},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        process.kill()
        _, err = process.communicate()
        pytest.fail(f"not over within {deadline:g} s:\n{err[-8000:]}")
    finally:
        process.kill()
        shutil.rmtree(folder, ignore_errors=True)
    if TOO_SLOW in err:
        raise RayTooSlowError
    assert process.returncode == 0, err[-8000:]
    return out


@pytest.fixture(scope="session")
def scenario() -> Callable[..., dict[str, Any]]:
    """Run a program of `cluster/`; returns the figures that it prints last."""
    pytest.importorskip("ray", reason="Ray is not installed: uv sync --all-packages")

    def scenario(name: str, **environment: str) -> dict[str, Any]:
        for attempt in range(ATTEMPTS):
            try:
                out = in_namespace([sys.executable, str(FOLDER / name)], environment, DEADLINE)
                break
            except RayTooSlowError:
                if attempt == ATTEMPTS - 1:
                    pytest.skip("Ray does not start within its half minute: the machine is too busy")
        figures: dict[str, Any] = json.loads(out.splitlines()[-1])
        print(name, json.dumps(figures))
        return figures

    return scenario

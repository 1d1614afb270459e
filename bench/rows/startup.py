"""Seconds until the import is done and until `run` is ready."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from importlib.util import find_spec
from pathlib import Path

from bench.machine import ROOT
from bench.table import Row, skipped, spread

_IMPORT_S, _READY_S = 0.30, 1.0
_READY = "`run examples/parrot/config.yaml` to ready"
_PATIENCE = 15.0
# The budgets are with bytecode; where this is set, as in many containers, every start compiles everything.
_ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_SAYS_READY = re.compile(rb"http://127\.0\.0\.1:\d+")


async def measure(quick: bool) -> list[Row]:
    """Fresh interpreters, bytecode written by a first one that does not count."""
    times = 1 if quick else 5
    nothing = await _python("pass", times)
    rows = []
    for statement in ("import fishjam_agents", "from fishjam_agents import AgentPipeline"):
        each = await _python(statement, times)
        within = statistics.median(each) <= _IMPORT_S
        rows.append(
            Row(
                f"`{statement}`",
                f"{_IMPORT_S:.2f} s",
                spread(each, 2, "s"),
                f"python alone {spread(nothing, 2, 's')}",
                within,
            )
        )
    rows.append(await _run_to_ready(times))
    return rows


async def _python(statement: str, times: int) -> list[float]:
    """Wall seconds of interpreters that only execute a statement."""
    walls = []
    # With one repetition there is no time to let a first one write the bytecode.
    for _ in range(times + (times > 1)):
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", statement, cwd=ROOT, env=_ENVIRON
        )
        if await asyncio.wait_for(process.wait(), _PATIENCE):
            raise RuntimeError(f"`{statement}` failed: see the error above")
        walls.append(time.perf_counter() - begun)
    return walls[-times:]


async def _run_to_ready(times: int) -> Row:
    if find_spec("fishjam_agents.cli.run") is None:
        return skipped(_READY, f"{_READY_S} s", "there is no command `run` yet")
    with tempfile.TemporaryDirectory() as folder:
        config = _on_any_port(ROOT / "examples/parrot/config.yaml", folder)
        walls = [await _ready_after(config) for _ in range(times + (times > 1))][-times:]
    return Row(_READY, f"{_READY_S} s", spread(walls, 2, "s"), "", statistics.median(walls) <= _READY_S)


def _on_any_port(config: Path, folder: str) -> Path:
    """A copy of the configuration that a server running already is not in the way of."""
    copy = Path(folder, config.name)
    copy.write_text(re.sub(r"(?m)^(\s+)id: local.*$", r"\1id: local\n\1port: 0", config.read_text()))
    return copy


async def _ready_after(config: Path) -> float:
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fishjam_agents", "run", str(config)),
        cwd=ROOT,
        env=_ENVIRON,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    said = b""
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            while not _SAYS_READY.search(said):
                line = await process.stdout.readline()
                said += line
                if not line:
                    raise RuntimeError(f"`run` ended early: {said.decode(errors='replace')}")
        return time.perf_counter() - begun
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(process.wait(), 5.0)
            except TimeoutError:
                process.kill()
                await process.wait()

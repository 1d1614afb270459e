"""Packages that the distribution installs: core and the extra `server` in an empty environment."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from bench.machine import ROOT
from bench.table import Row, skipped

_MB, _PACKAGES = 100, 38
_WHAT = "installed, core + extra `server`"
_PATIENCE = 90.0


async def measure(quick: bool) -> list[Row]:
    """Install with uv, as the README does; skipped without uv or a package index."""
    budget = f"{_MB} MB, {_PACKAGES} packages"
    if quick:
        return [skipped(_WHAT, budget, "not in --quick")]
    if shutil.which("uv") is None:
        return [skipped(_WHAT, budget, "uv is not installed")]
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder, "venv")
        python = str(environment / "bin/python")
        try:
            await _uv("venv", "--quiet", str(environment))
            before = _size(environment)
            await _uv("pip", "install", "--quiet", "--python", python, f"{ROOT}[server]")
            listed = json.loads(await _uv("pip", "list", "--format", "json", "--python", python))
        except (RuntimeError, TimeoutError) as error:
            return [
                skipped(_WHAT, budget, str(error).strip().splitlines()[-1] if str(error) else "no answer")
            ]
        megabytes = (_size(environment) - before) / 1e6
    return [
        Row(
            _WHAT,
            budget,
            f"{megabytes:.0f} MB, {len(listed)} packages (without bytecode)",
            "",
            megabytes <= _MB and len(listed) <= _PACKAGES,
        )
    ]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


async def _uv(*arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        "uv", *arguments, cwd=tempfile.gettempdir(), stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), _PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise RuntimeError(err.decode(errors="replace"))
    return out

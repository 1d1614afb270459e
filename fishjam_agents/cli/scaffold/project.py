"""The project that a folder belongs to, if there is one: how things are installed and run in it."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Project:
    """A Python project that was there before.

    Attributes:
        folder: Where its files are.
        kind: What manages it.
    """

    folder: Path
    kind: Literal["uv", "poetry", "pip"]

    @property
    def prefix(self) -> str:
        """Words before a command that runs in its environment."""
        return {"uv": "uv run ", "poetry": "poetry run ", "pip": ""}[self.kind]

    def adding(self, requirements: Sequence[str]) -> list[str]:
        """The commands that add what a bot needs, for a shell."""
        words = shlex.join(requirements)
        match self.kind:
            case "uv":
                # Of a folder uv would make a source that is edited in place, unlike those that it depends on.
                raw = "--raw " if " @ " in words else ""
                return [f"uv add {raw}{words}", "uv add --dev pytest"]
            case "poetry":
                return [f"poetry add {words}", "poetry add --group dev pytest"]
            case "pip":
                return [f"pip install {words} pytest"]


def find_project(target: Path) -> Project | None:
    """The project of a folder that need not be there yet: its own, or that of the folder it is made in."""
    for folder in (target, target.parent):
        file = folder / "pyproject.toml"
        if file.is_file():
            return Project(folder, _kind(folder, file))
        if (folder / "requirements.txt").is_file():
            return Project(folder, "pip")
    return None


def _kind(folder: Path, file: Path) -> Literal["uv", "poetry", "pip"]:
    """Return what manages a project: by its lock, settings, what builds it, or what made its environment."""
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        project = {}
    tools, build = project.get("tool", {}), project.get("build-system", {})
    backend = str(build.get("build-backend", "") if isinstance(build, dict) else "")
    if "poetry" in tools or (folder / "poetry.lock").exists() or backend.startswith("poetry."):
        return "poetry"
    made = folder / ".venv" / "pyvenv.cfg"
    by_uv = made.is_file() and re.search(r"^uv\s*=", made.read_text(errors="replace"), re.MULTILINE)
    if "uv" in tools or (folder / "uv.lock").exists() or backend == "uv_build" or by_uv:
        return "uv"
    return "pip"

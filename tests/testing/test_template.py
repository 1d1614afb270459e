"""The template of integrations, where its README says it goes: away from here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

TEMPLATE = Path(__file__).parents[2] / "integrations" / "template"


def test_its_tests_pass_where_it_is_copied_to(tmp_path: Path) -> None:
    copy = tmp_path / "my-model"
    shutil.copytree(TEMPLATE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=copy,
        env=environment | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout


def test_it_needs_nothing_of_this_workspace() -> None:
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())
    assert "uv" not in project["tool"]
    for file in TEMPLATE.rglob("*.py"):
        assert "parents[" not in file.read_text(), f"{file} looks outside of the template"

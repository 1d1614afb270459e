"""The page about the embedded server: its program runs, and its table has every setting."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

from fishjam_agents.cli.server import server
from fishjam_agents.config import load_config
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.worker.settings import FishjamSettings

from .test_documents import ROOT, blocks

PAGE = (ROOT / "docs" / "server.md").read_text()


def table() -> list[list[str]]:
    """The rows of the settings, each a list of its cells."""
    _, _, rest = PAGE.partition("## Settings\n\n")
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_program_runs_as_it_stands_there() -> None:
    (program,) = blocks(PAGE, "python")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "disconnected in 1 room\n"), done.stderr


def test_the_configuration_loads(tmp_path: Path) -> None:
    (config,) = blocks(PAGE, "yaml")
    (tmp_path / "config.yaml").write_text(config)
    settings = load_config(tmp_path / "config.yaml", {}).fishjam
    assert settings.tls.wanted == (tmp_path / "cert.pem", tmp_path / "key.pem")


def test_every_setting_is_in_the_table() -> None:
    in_config, in_python, in_command = (
        [name for row in table() for name in names(row[column])] for column in (0, 1, 2)
    )
    # `fishjam.id` says whether there is an embedded server at all.
    assert set(in_config) == {field.name for field in dataclasses.fields(FishjamSettings)} - {"id"}
    assert set(in_python) <= set(inspect.signature(EmbeddedServer).parameters)
    options = {f"--{name.replace('_', '-')}" for name in inspect.signature(server).parameters}
    assert set(in_command) == options - {"--webhook-url", "--webhook-secret"}

"""The walk-through to a Fishjam account: its program and its file work, here against an embedded server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.server import EmbeddedServer

from .test_documents import blocks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "fishjam-account.md").read_text()


@pytest.mark.timeout(200)
def test_its_program_verifies_the_credentials(tmp_path: Path) -> None:
    (program,) = blocks(PAGE, "python")
    (tmp_path / "program.py").write_text(program)

    async def scenario() -> tuple[int | None, bytes]:
        async with asyncio.timeout(180), EmbeddedServer() as server:
            server.rooms.create()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "program.py"),
                cwd=tmp_path,
                env={"FISHJAM_ID": server.url, "FISHJAM_MANAGEMENT_TOKEN": server.token},
                stdout=subprocess.PIPE,
            )
            out, _ = await process.communicate()
            return process.returncode, out

    assert asyncio.run(scenario()) == (0, b"1 rooms\n")


def test_its_file_takes_id_and_token_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FISHJAM_ID", "0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("FISHJAM_MANAGEMENT_TOKEN", "secret")
    (text,) = blocks(PAGE, "yaml")
    (tmp_path / "config.yaml").write_text(text)
    settings = load_config(tmp_path / "config.yaml")
    pipeline_factory(settings)().verify()
    assert settings.fishjam.id == "0123456789abcdef0123456789abcdef"
    assert settings.fishjam.management_token == "secret"

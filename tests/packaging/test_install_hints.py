"""Hints of what to install: the command works as it stands, in a checkout and outside."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fishjam_agents import install
from fishjam_agents.errors import MissingExtraError, install_integration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout whose own environment runs this, and uv."""
    monkeypatch.setattr(install, "checkout", lambda: ROOT)
    monkeypatch.setattr(install, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(sys, "prefix", str(ROOT / ".venv"))


@pytest.mark.usefixtures("in_a_checkout")
def test_in_a_checkout_uv_adds_to_its_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    assert str(MissingExtraError("this", "webrtc")) == (
        "this needs the extra 'webrtc': uv sync --inexact --extra webrtc"
    )
    assert install_integration("openai") == "uv sync --inexact --package fishjam-agents-openai"
    monkeypatch.chdir(tmp_path)
    assert (
        install.advice(extra="mcp") == f"uv sync --inexact --directory {shlex.quote(str(ROOT))} --extra mcp"
    )


@pytest.mark.timeout(200)
@pytest.mark.usefixtures("in_a_checkout")
@pytest.mark.skipif(not (ROOT / "uv.lock").exists(), reason="needs what uv has resolved once")
@pytest.mark.parametrize("hint", [{"extra": "webrtc"}, {"integration": "openai"}])
def test_uv_takes_the_hint_of_a_checkout(monkeypatch: pytest.MonkeyPatch, hint: dict[str, str]) -> None:
    command = shlex.split(install.advice(**hint))
    monkeypatch.undo()
    try:
        done = subprocess.run(
            [*command, "--dry-run", "--frozen", "--offline"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=180,
        )
    except FileNotFoundError:
        pytest.skip("needs uv")
    assert done.returncode == 0, done.stderr


def test_in_another_environment_it_comes_from_the_same_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "checkout", lambda: Path("/src/agents"))
    monkeypatch.setattr(install, "find_spec", lambda name: name == "pip")
    assert install.advice(extra="webrtc") == ("pip install 'fishjam-agents[webrtc] @ file:///src/agents'")
    assert install.advice(integration="openai") == (
        "pip install 'fishjam-agents-openai @ file:///src/agents/integrations/openai'"
    )
    monkeypatch.setattr(install, "find_spec", lambda name: None)
    assert install.advice(extra="webrtc").startswith(
        f"uv pip install --python {shlex.quote(sys.executable)} "
    )


def test_from_an_index_the_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "checkout", lambda: None)
    monkeypatch.setattr(install, "find_spec", lambda name: name == "pip")
    assert install.advice(extra="webrtc") == "pip install 'fishjam-agents[webrtc]'"
    assert install.advice(integration="openai") == "pip install fishjam-agents-openai"

"""Commands of other distributions, found by their entry points."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from fishjam_agents import cli
from fishjam_agents.cli import app, extensions

from .command import command

ROOT = Path(__file__).parents[2]
MODULE = """
def main(arguments):
    print("given", arguments)
    return len(arguments)
"""


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Install a command, as a distribution's entry point does."""

    def offer(name: str, value: str) -> None:
        (tmp_path / "elsewhere_commands.py").write_text(MODULE)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "elsewhere_commands", raising=False)
        point = EntryPoint(name, value, extensions.GROUP)
        monkeypatch.setattr(app, "installed_commands", lambda: {name: point})

    return offer


def test_a_command_gets_every_argument_and_its_exit_code_counts(
    offer, capsys: pytest.CaptureFixture[str]
) -> None:
    offer("shout", "elsewhere_commands:main")
    assert command(capsys, "shout", "--loud", "-x", "--help") == (3, "given ['--loud', '-x', '--help']\n", "")


def test_the_help_lists_a_command_without_importing_it(offer, capsys: pytest.CaptureFixture[str]) -> None:
    offer("shout", "elsewhere_commands:main")
    code, out, _ = command(capsys, "--help")
    assert code == 0
    assert "shout" in out
    assert "elsewhere_commands" not in sys.modules


def test_a_command_that_cannot_be_loaded_says_so(offer, capsys: pytest.CaptureFixture[str]) -> None:
    offer("shout", "elsewhere_commands:missing")
    code, _, err = command(capsys, "shout")
    assert code == 1
    assert err.startswith("error: the command 'shout' (elsewhere_commands:missing) cannot be loaded")


def test_a_command_of_ours_that_is_not_installed_says_how_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "installed_commands", dict)
    code, _, err = command(capsys, "ray", "up", "config.yaml")
    assert code == 2
    assert err == "error: the command 'ray' needs fishjam-agents-ray: pip install fishjam-agents-ray\n"


def test_no_distribution_replaces_a_command_of_ours(offer, capsys: pytest.CaptureFixture[str]) -> None:
    offer("check", "elsewhere_commands:main")
    code, out, _ = command(capsys, "check", "--help")
    assert code == 0
    assert "config.yaml" in out


def test_the_core_names_no_integration() -> None:
    assert cli.__file__ is not None
    integrations = {file.parent.name for file in ROOT.glob("integrations/*/fishjam_agents_*/__init__.py")}
    assert "fishjam_agents_vapi" in integrations
    for file in Path(cli.__file__).parent.glob("*.py"):
        text = file.read_text()
        assert not [name for name in integrations if name in text], file.name

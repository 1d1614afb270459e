"""Output of the program: options of the log, and shell completion."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import command

pytestmark = pytest.mark.timeout(200)
FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
FAST = ("--caller", FIXTURES / "alice_yes.wav", "--fast")


@pytest.fixture
def parrot(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("agent: {backend: {type: parrot}}\n")
    return path


@pytest.mark.parametrize(
    ("options", "logged"),
    [([], "INFO"), (["--log-level", "debug"], "DEBUG"), (["--log-level", "error"], "")],
)
def test_the_level_of_the_log_is_an_option(
    capsys: pytest.CaptureFixture[str], parrot: Path, options: list[str], logged: str
) -> None:
    code, _, err = command(capsys, "simulate", parrot, *FAST, *options)
    assert code == 0
    levels = {line.split()[1] for line in err.splitlines()}
    assert logged in levels if logged else not levels


def test_an_unknown_level_is_a_wrong_command_line(capsys: pytest.CaptureFixture[str], parrot: Path) -> None:
    code, _, err = command(capsys, "simulate", parrot, *FAST, "--log-level", "loud")
    assert code == 2
    assert "'loud' is not one of 'debug', 'info', 'warning', 'error'" in err


def test_words_are_logged_when_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "from fishjam_agents import AgentPipeline\n"
        "from fishjam_agents.backends import port\n"
        "from fishjam_agents.testing import Scripted, Step\n"
        "import numpy as np\n\n"
        "class Bot(AgentPipeline):\n"
        "    backend = Scripted(script=[Step(port.TurnStartedInput), Step(port.TurnEndedInput, answer=[\n"
        "        port.ReplyStarted('r1'),\n"
        "        port.ReplyTextDelta('r1', 'Good '), port.ReplyTextDelta('r1', 'day'),\n"
        "        port.ReplyAudio('r1', np.zeros(12000, np.int16)), port.ReplyAudioEnded('r1')])])\n"
    )
    config = tmp_path / "config.yaml"
    config.write_text("agent: {pipeline: 'bot:Bot'}\n")
    code, _, err = command(capsys, "simulate", config, *FAST, "--log-words")
    assert code == 0
    assert err.count("Good day") == 1
    assert "of it heard: 'Good day'" in err


def completed(shell: str, words: str) -> str:
    """What the program offers for the last of some words."""
    environ = {
        **os.environ,
        "_FISHJAM_AGENTS_COMPLETE": f"complete_{shell}",
        # Bash says which word, the other two give the line.
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": words.rpartition(" ")[2],
    }
    done = subprocess.run(
        [sys.executable, "-m", "fishjam_agents"], env=environ, capture_output=True, text=True, timeout=180
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_options_and_values(shell: str) -> None:
    assert "simulate" in completed(shell, "fishjam-agents si")
    assert "--fast" in completed(shell, "fishjam-agents simulate --f")
    assert "warning" in completed(shell, "fishjam-agents simulate --log-level w")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_the_script_that_is_shown(tmp_path: Path) -> None:
    program = tmp_path / "fishjam-agents"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m fishjam_agents "$@"\n')
    program.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SHELL": "/bin/bash"}
    typed = (
        'eval "$(fishjam-agents --show-completion)"; COMP_WORDS=(fishjam-agents sim); COMP_CWORD=1; '
        '_fishjam_agents_completion fishjam-agents; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", typed], env=environ, capture_output=True, text=True, timeout=180, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("simulate", "")

"""docs/rooms.md and the page of the riddle master are run here, as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from fishjam_agents.cli import main
from fishjam_agents.testing import VirtualClock

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rooms.md").read_text()
GAME = (ROOT / "examples" / "riddle_master" / "README.md").read_text()


def block(page: str, language: str) -> str:
    """The one block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(found)


def printed(capsys: pytest.CaptureFixture[str], command: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(command.strip().removeprefix("$ uv run python -m fishjam_agents ")))
    output = capsys.readouterr()
    assert not ended.value.code, output
    return output.out


def test_check_shows_what_follows_from_the_configuration_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    Path("config.yaml").write_text(block(PAGE, "yaml"))
    shown = printed(capsys, block(PAGE, "console"))
    assert (
        "per_peer, at most 8 sessions of the backend, a reply is interrupted by the one it answers" in shown
    )


def test_the_conversation_of_the_page_goes_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(block(PAGE, "python"), names)
    names["test_two_who_speak_at_once_are_both_answered"](VirtualClock())  # type: ignore[operator]


def test_the_game_is_played_by_the_command_of_its_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    assert "2 passed, 0 failed" in printed(capsys, block(GAME, "console"))


def test_another_model_is_a_line_more_in_the_configuration_of_the_game() -> None:
    plain = yaml.safe_load((ROOT / "examples" / "riddle_master" / "config.yaml").read_text())["agent"]
    real = yaml.safe_load(block(GAME, "yaml"))["agent"]
    assert real.pop("backend")["type"] == "gemini"
    assert real == plain

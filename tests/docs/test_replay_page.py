"""docs/replay.md is run here, as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fishjam_agents.cli import main
from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.observe.replay import CallRecorder
from fishjam_agents.observe.replay.run import NOT_REPLAYED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "replay.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("examples", "audio_fixtures"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], command: str) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(command.removeprefix("$ python -m fishjam_agents ")))
    assert not ended.value.code
    return capsys.readouterr().out.splitlines()


def test_the_commands_print_what_the_page_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, session = blocks("console")
    for part in re.split(r"^(?=\$ )", session, flags=re.MULTILINE)[1:]:
        command, *expected = part.splitlines()
        shown = printed(capsys, command)
        if expected:
            assert shown == expected


def test_a_minute_takes_what_the_page_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, _, size = blocks("console")[0].splitlines()
    printed(capsys, command)
    measured = (folder / "out" / "call.jsonl").stat().st_size
    assert measured == pytest.approx(int(size.split()[0]), rel=0.05)


def test_the_settings_of_the_page_are_some(folder: Path) -> None:
    (folder / "config.yaml").write_text(blocks("yaml")[0])
    assert isinstance(pipeline_factory(load_config("config.yaml"))().recorder, CallRecorder)
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)
    assert isinstance(names["Bot"].recorder, CallRecorder)  # type: ignore[attr-defined]


def test_the_tests_of_the_page_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, blocks("console")[1].splitlines()[0])
    (folder / "calls").mkdir()
    (folder / "out" / "call.jsonl").rename(folder / "calls" / "pause.jsonl")
    (folder / "test_page.py").write_text(blocks("python")[1])
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    result = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert "2 passed" in result.stdout, result.stdout


def test_every_setting_that_is_refused_is_named() -> None:
    for name in NOT_REPLAYED:
        assert f"`{name}`" in PAGE or f"`turns.{name}`" in PAGE

"""docs/scenarios.md is run here, as it stands there."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fishjam_agents.cli import main
from fishjam_agents.events import KINDS
from fishjam_agents.testing import scenario
from fishjam_agents.testing.time_spec import fields_of
from tests.docs.event_table import table, written

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scenarios.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    # All scenarios are played in tests/examples; here it is about what is printed.
    suite = ("cough.yaml", "spoken.yaml")
    for name in ("audio_fixtures", "examples/parrot", *(f"examples/scenarios/{name}" for name in suite)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "docs").mkdir()
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], command: str) -> tuple[object, list[str], list[str]]:
    command, _, tail = command.removeprefix("$ uv run python -m fishjam_agents ").partition(" | ")
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(command))
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    return ended.value.code, lines[-1:] if tail == "tail -1" else lines, printed.err.splitlines()


def without_numbers(lines: list[str]) -> list[str]:
    """What stays when turn-taking is tuned, scenarios are added and machines are faster."""
    return [re.sub(r" +", " ", re.sub(r"\d+(\.\d+)?", "N", line)) for line in lines]


def test_the_first_command_prints_what_the_page_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *expected = blocks("console")[0].splitlines()
    code, printed, _ = run(capsys, command)
    assert code == 0
    assert without_numbers(printed) == without_numbers(expected)
    assert blocks("yaml")[0] == (ROOT / "examples" / "scenarios" / "cough.yaml").read_text()


def test_mistakes_are_told_as_the_page_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "wrong.yaml").write_text(blocks("yaml")[1])
    command, *expected = blocks("console")[1].splitlines()
    assert run(capsys, command) == (2, [], expected)


def test_a_suite_ends_with_the_line_the_page_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, *expected = blocks("console")[2].splitlines()
    code, printed, _ = run(capsys, command)
    assert code == 0
    assert without_numbers(printed) == without_numbers(expected)


def test_the_scenario_of_the_page_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "docs" / "page.yaml").write_text(blocks("yaml")[2])
    code, printed, _ = run(capsys, "simulate examples/parrot/config.yaml docs/page.yaml --fast")
    assert code == 0, printed


def test_the_tests_of_the_page_pass(folder: Path) -> None:
    (page,) = blocks("python")
    (folder / "test_page.py").write_text(page)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    result = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert "2 passed" in result.stdout, result.stdout


def test_every_key_is_on_the_page() -> None:
    parts = ("Scenario", "Caller", "Line", "Mute", "Press", "Noise", "Echo", "Expectations", "Expected")
    for part in parts:
        for item in dataclasses.fields(getattr(scenario, part)):
            assert re.search(rf"`{item.name}`|\b{item.name}:", PAGE), f"{part}.{item.name}"


def test_the_table_of_events_is_what_the_classes_say() -> None:
    assert written(PAGE) == table(), "run make events"
    for kind in KINDS:
        (row,) = re.findall(rf"^\| `{kind}` \|.*$", PAGE, re.MULTILINE)
        for name in fields_of(kind):
            assert name in ("at", "media_at", "track") or f"`{name}`" in row, f"{kind}: {name} is missing"

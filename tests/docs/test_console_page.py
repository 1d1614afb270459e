"""docs/console.md is run here, as it stands there."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from fishjam_agents.cli import main
from fishjam_agents.cli.terminal.conversation import BotState
from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.devices.portaudio import LATENCY
from fishjam_agents.devices.session import GONE
from tests.devices.fake_sounddevice import FakeSoundDevice

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "console.md").read_text()


def block(language: str) -> str:
    """The one block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.timeout(180)
def test_a_recording_is_answered_as_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *shown = block("console").splitlines()
    for folder in ("examples", "audio_fixtures"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    for _ in range(3):
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(command.removeprefix("$ uv run python -m fishjam_agents ")))
        assert not ended.value.code
        printed = capsys.readouterr().out.splitlines()
        # Times are this machine's, and so is what follows the last line: it was busy.
        told = [_without_numbers(line) for line in printed[: len(shown)]]
        if printed[-1] == "goodbye":
            break
    assert told == [_without_numbers(line) for line in shown]
    assert Path("b.wav").is_file()


def _without_numbers(line: str) -> str:
    return re.sub(r" *\d+\.\d+", " N", line)


def test_the_configuration_of_the_page_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    (tmp_path / "config.yaml").write_text(block("yaml"))
    pipeline = pipeline_factory(load_config(tmp_path / "config.yaml"))()
    assert pipeline.hearing.echo == "none"
    assert pipeline.turns.preset == "sensitive"


def test_the_program_of_the_page_talks(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setitem(sys.modules, "sounddevice", FakeSoundDevice())
    names: dict[str, object] = {"__name__": "program"}
    exec(compile(block("python"), "docs/console.md", "exec"), names)
    bot = names["Bot"]
    started: list[str] = []

    async def on_start(self: object) -> None:
        started.append("started")
        self.stop()  # type: ignore[attr-defined]

    monkeypatch.setattr(bot, "on_start", on_start, raising=False)
    asyncio.run(asyncio.wait_for(names["talk"](), 20))  # type: ignore[operator]
    assert started == ["started"]


def test_the_figures_of_the_page_are_those_of_the_code() -> None:
    assert f"asked for a latency of {1000 * LATENCY:.0f} ms" in PAGE
    assert GONE == 4.0
    assert "life for four seconds" in PAGE
    states = re.search(r"The bot's state: (.*?)\.$", PAGE, re.MULTILINE)
    assert states is not None
    for state in BotState:
        assert state.value.split(":")[0] in states[1]

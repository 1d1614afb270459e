"""docs/cascade.md is run here, as it stands there."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fishjam_agents.backends.cascade import Cascade, Speech
from fishjam_agents.backends.cascade.components import LanguageModel, SpeechToText, TextToSpeech
from fishjam_agents.config import load_config, pipeline_factory

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cascade.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


CONFIGS = [block for block in blocks("yaml") if block.startswith("agent:")]


@pytest.mark.parametrize("config", CONFIGS)
def test_each_configuration_makes_a_bot(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    # The voice that needs a program is checked elsewhere.
    monkeypatch.setattr("fishjam_agents.backends.cascade.espeak.Espeak.check", lambda self: None)
    path = tmp_path / "config.yaml"
    path.write_text(config)
    assert isinstance(pipeline_factory(load_config(path))().backend, Cascade)


def test_there_are_two_configurations_and_a_bound_that_scenarios_take(tmp_path: Path) -> None:
    from fishjam_agents.config.scenario import load_scenario

    assert len(CONFIGS) == 2
    (bound,) = [block for block in blocks("yaml") if block not in CONFIGS]
    path = tmp_path / "scenario.yaml"
    path.write_text(f"seconds: 5\ncallers: {{ann: {{}}}}\nexpect:\n  events:\n    {bound}")
    (expected,) = load_scenario(path).scenario.expect.events
    assert expected.most == yaml.safe_load(bound)[0]["most"]


def test_the_table_of_settings_has_all_of_them() -> None:
    table = PAGE.partition("## Settings")[2].partition("\n## ")[0]
    told = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in row.split("`")[1::2]
    }
    assert told == {field.name for field in fields(Cascade)}


def test_the_groups_of_entry_points_are_the_real_ones() -> None:
    (toml,) = blocks("toml")
    (group,) = tomllib.loads(toml)["project"]["entry-points"]
    assert group == TextToSpeech.entry_points
    assert f"(`{SpeechToText.entry_points}` and `{LanguageModel.entry_points}`" in PAGE


def test_a_part_of_ones_own_is_ten_lines_and_keeps_to_its_port(tmp_path: Path) -> None:
    part, _, kit = blocks("python")
    assert len([line for line in part.splitlines() if line and "import" not in line]) <= 10
    assert len([line for line in kit.splitlines() if line]) <= 10
    (tmp_path / "test_hum.py").write_text(part + kit)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_hum.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^[5-9] passed", run.stdout, re.MULTILINE), run.stdout


def test_the_far_side_has_the_methods_of_the_table() -> None:
    from fishjam_agents.testing.conformance import FakeComponentService

    table = PAGE.partition("with its real client:")[2].partition("\n\n| every part")[0]
    told = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in row.split("`")[1::2]
    }
    own = {
        name
        for name, value in vars(FakeComponentService).items()
        if callable(value) and not name.startswith("_cannot")
    }
    assert {name.partition("(")[0] for name in told} == own - {"__init__"}


def test_the_ears_of_the_page_understand_how_long_somebody_speaks() -> None:
    _, code, _ = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(code, "cascade.md", "exec"), names)

    async def hear() -> list[tuple[str, bool, bool]]:
        speech = Speech()
        listening = asyncio.create_task(_all_of(names["Clock"]().hear(speech)))
        speech.append(np.zeros(16000, np.int16))
        await asyncio.sleep(0)
        speech.pause(0.9)
        await asyncio.sleep(0)
        speech.end()
        return [(piece.text, piece.stable, piece.final) for piece in await listening]

    assert asyncio.run(hear()) == [
        ("1.0 seconds", False, False),
        ("0.9 seconds.", True, False),
        ("1.0 seconds.", False, True),
    ]


async def _all_of(pieces: AsyncIterator[Any]) -> list[Any]:
    return [piece async for piece in pieces]

"""The host of `examples/riddle_master` keeps the floor, and knows who answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.config.scenario import load_scenario
from fishjam_agents.simulation import simulate_fast
from fishjam_agents.testing.expectations import judge

FOLDER = Path(__file__).parents[2] / "examples" / "riddle_master"


@pytest.mark.parametrize("path", sorted((FOLDER / "scenarios").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_game_goes_as_its_scenario_says(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    file = load_scenario(path)
    settings = load_config(FOLDER / "config.yaml", over=file.bot)
    result = simulate_fast(pipeline_factory(settings)(), file.scenario, limits=settings.limits)
    assert result.failure is None
    verdicts = judge(file.scenario.expect, result.timeline["events"])
    assert not [f"{verdict} ({file.where(verdict.key)})" for verdict in verdicts if not verdict.met]
    assert "answered in" in capsys.readouterr().out

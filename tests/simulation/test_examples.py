"""Every example runs as its README says, and answers a caller."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.config.scenario import load_scenario
from fishjam_agents.simulation import simulate
from fishjam_agents.testing.expectations import judge

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/config.yaml"))
PLAYED = {"tools_and_mcp"}
"""Examples whose bot needs a scenario of its own."""
EMULATED = {
    *("gemini_assistant", "gemini_vision", "handoffs", "local_cascade", "openai_poet", "vapi_receptionist"),
}
"""Examples that need a vendor: the tests of their integration run them, against its emulator."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", sorted(PLAYED))
def test_an_example_meets_its_scenario(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mcp", reason="needs the extra mcp")
    monkeypatch.setattr(sys, "path", list(sys.path))
    for module in ("bot", "model"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    folder = ROOT / "examples" / name
    pipeline = pipeline_factory(load_config(folder / "config.yaml", {}))()
    scenario = load_scenario(folder / "scenario.yaml").scenario
    # The bot leaves before; the scenario has time for a slow start beside it.
    result = asyncio.run(simulate(pipeline, scenario, seconds=18))
    assert result.failure is None
    assert not [verdict for verdict in judge(scenario.expect, result.timeline["events"]) if not verdict.met]
    called = [event["tool"] for event in result.timeline["events"] if event["kind"] == "tool_called"]
    assert sorted(called) == ["end_call", "opening_hours", "order_status", "stock"]


@pytest.mark.parametrize("name", sorted({*EXAMPLES} - EMULATED - PLAYED))
def test_an_example_answers_a_caller(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    # Examples may all call their module `bot`.
    monkeypatch.delitem(sys.modules, "bot", raising=False)
    config = load_config(ROOT / "examples" / name / "config.yaml", {})
    caller = read_wav(ROOT / "audio_fixtures" / "alice_yes.wav")
    # A file may have several bots; the first of them is as good as any.
    bot = config.bot(config.bot_names()[0])
    result = asyncio.run(simulate(pipeline_factory(bot)(), [caller], seconds=2.2))
    assert result.failure is None
    assert "error" not in result.kinds
    assert "reply_first_audio" in result.kinds
    assert (" spoke for 0." in capsys.readouterr().out) == (name == "pipeline")


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in EMULATED])
def test_an_example_says_how_to_run_it(name: str) -> None:
    command = f"python -m fishjam_agents run examples/{name}/config.yaml"
    for text in (ROOT / "examples/README.md", ROOT / "examples" / name / "README.md"):
        assert command in text.read_text()

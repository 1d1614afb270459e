"""Bots of a file that a call may be handed over to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fishjam_agents.backends import Parrot
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.errors import ConfigError
from fishjam_agents.pipeline import AgentPipeline

CONFIG = """\
agent:
  backend: {type: parrot}
  instructions: You are the reception.
  handoffs:
    billing:
      instructions_file: billing.md
    night: {backend: {type: parrot, delay: 1}}
"""
LOCAL = {"FISHJAM_ID": "local"}


def made(folder: Path, config: str = CONFIG) -> AgentPipeline:
    (folder / "billing.md").write_text("You are billing.")
    (folder / "config.yaml").write_text(config)
    return pipeline_factory(load_config(folder / "config.yaml", LOCAL))()


def test_each_is_a_bot_that_keeps_the_backend_it_names_no_other_than(tmp_path: Path) -> None:
    pipeline = made(tmp_path)
    assert set(pipeline.handoffs) == {"billing", "night", "agent"}
    billing, night, back = (pipeline.handoffs[name]() for name in ("billing", "night", "agent"))
    assert (billing.instructions, billing.backend) == ("You are billing.", Parrot())
    assert (night.instructions, night.backend) == (None, Parrot(delay=1))
    assert back.instructions == "You are the reception."
    assert pipeline.handoffs["billing"]() is not billing
    config = load_config(tmp_path / "config.yaml", LOCAL)
    assert "handoffs  to billing, night" in describe(config, pipeline)


@pytest.mark.parametrize(
    ("handoffs", "sentence"),
    [
        (
            "{billing: {turns: {mode: local}}}",
            "agent.handoffs.billing.turns: of a bot that takes a call over",
        ),
        (
            "{billing: {handoffs: {}}}",
            "agent.handoffs.billing.handoffs: of a bot that takes a call over count",
        ),
        ("{billing: {instruction: Hi}}", "agent.handoffs.billing.instruction is not a setting: did you mean"),
        ("{a.b: {instructions: Hi}}", "agent.handoffs has the name 'a.b': use one without dots"),
        (
            "{billing: {backend: {type: parot}}}",
            "agent.handoffs.billing.backend.type: no backend of type 'parot'",
        ),
        ("{billing: {tools: ['nobody:tool']}}", "agent.handoffs.billing.tools: "),
    ],
)
def test_what_is_wrong_with_one_is_told_with_its_line(tmp_path: Path, handoffs: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)) as error:
        made(tmp_path, f"agent:\n  backend: {{type: parrot}}\n  handoffs: {handoffs}\n")
    assert "config.yaml:3: " in str(error.value)

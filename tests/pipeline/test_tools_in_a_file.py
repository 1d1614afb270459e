"""Tools that a config.yaml names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.errors import ConfigError

MODULE = '''
from fishjam_agents import AgentPipeline, tool
from fishjam_agents.backends import port
from fishjam_agents.testing import Scripted

class Able(AgentPipeline):
    backend = Scripted(offers=port.Capabilities(tools=True))

class Unable(AgentPipeline):
    backend = Scripted()

def get_weather(city: str, days: int = 1) -> str:
    """Weather."""
    return city

@tool(blocking=False)
def search(words: str) -> str:
    """Search."""
    return words

def untyped(city):
    """Weather."""

number = 7
'''


def bot_of(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[AgentPipeline, list[str]]:
    (folder / "desk_bot.py").write_text(MODULE)
    (folder / "config.yaml").write_text(text)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "desk_bot", raising=False)
    config = load_config(folder / "config.yaml", {})
    pipeline = pipeline_factory(config)()
    return pipeline, describe(config, pipeline)


def test_a_file_names_functions_and_check_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = '["desk_bot:get_weather", "desk_bot:search", end_call]'
    _, lines = bot_of(tmp_path, f'agent: {{pipeline: "desk_bot:Able", tools: {names}}}', monkeypatch)
    weather, search = "get_weather(city: string, days?: integer)", "search(words: string), in the background"
    assert f"tools     {weather}; {search}; end_call()" in lines


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (
            'pipeline: "desk_bot:Unable", tools: ["desk_bot:get_weather"]',
            "Scripted calls no tools, but Unable offers some (get_weather): use a backend that does",
        ),
        (
            'pipeline: "desk_bot:Able", tools: ["desk_bot:get_wether"]',
            "config.yaml:1: agent.tools: desk_bot has no function get_wether: did you mean get_weather?",
        ),
        (
            'pipeline: "desk_bot:Able", tools: ["desk_bot:number"]',
            "config.yaml:1: agent.tools: desk_bot has no function number",
        ),
        (
            'pipeline: "desk_bot:Able", tools: ["no_such_module:f"]',
            "config.yaml:1: agent.tools: there is no module no_such_module",
        ),
        (
            'pipeline: "desk_bot:Able", tools: ["desk_bot:untyped"]',
            "config.yaml:1: agent.tools: parameter city of tool desk_bot:untyped has no type hint",
        ),
        (
            'pipeline: "desk_bot:Able", tools: [hang_up]',
            "config.yaml:1: agent.tools: 'hang_up' is no tool: use module:function like my_bot:get_weather",
        ),
        (
            'pipeline: "desk_bot:Able", tools: {end_call: 1}',
            "config.yaml:1: agent.tools must be a list, each of it text",
        ),
    ],
)
def test_what_is_wrong_with_a_tool_is_told_with_its_line(
    agent: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError) as caught:
        bot_of(tmp_path, f"agent: {{{agent}}}", monkeypatch)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)

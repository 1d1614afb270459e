"""A scenario's settings laid over those of config.yaml."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.backends.wav import Wav
from fishjam_agents.config import Config, load_config, pipeline_factory
from fishjam_agents.config.scenario import load_scenario
from fishjam_agents.errors import ConfigError

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
CONFIG = """
agent:
  backend: {type: parrot, delay: 0.3, text: Well}
  turns: {preset: noisy, end_silence: 0.9}
  hearing: {tracks: [microphone, screen]}
  greeting: {wav: hello.wav}
limits: {max_call: 60}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "calls").mkdir()
    for path in (tmp_path / "hello.wav", tmp_path / "calls" / "bye.wav"):
        shutil.copy(FIXTURES / "alice_yes.wav", path)
    return tmp_path


def laid_over(folder: Path, bot: str) -> Config:
    scenario = folder / "calls" / "call.yaml"
    scenario.write_text(f"callers: {{ann: {{}}}}\nbot: {bot}\n")
    return load_config(folder / "config.yaml", over=load_scenario(scenario).bot)


def test_mappings_are_merged_key_by_key(folder: Path) -> None:
    config = laid_over(folder, "{agent: {backend: {delay: 0.1}, turns: {preset: sensitive}}}")
    assert config.agent.backend == Parrot(delay=0.1, text="Well")
    assert (
        config.agent.sections["turns"].settings.preset,
        config.agent.sections["turns"].settings.end_silence,
    ) == ("sensitive", 0.9)
    assert config.limits.max_call == 60


def test_lists_and_backends_of_another_type_take_the_place_of_what_was_there(folder: Path) -> None:
    config = laid_over(
        folder,
        "{agent: {backend: {type: wav, file: bye.wav}, hearing: {tracks: [headset]}}, limits: {max_call: 5}}",
    )
    assert config.agent.backend == Wav(folder / "calls" / "bye.wav")
    assert config.agent.sections["hearing"].settings.tracks == ("headset",)
    assert config.limits.max_call == 5


def test_a_key_without_a_value_takes_a_setting_away(folder: Path) -> None:
    config = laid_over(folder, "{agent: {greeting: , turns: {end_silence: }}}")
    assert config.agent.greeting is None
    assert config.agent.sections["turns"].keys == {"preset"}


def test_paths_and_classes_are_looked_for_beside_the_file_that_names_them(folder: Path) -> None:
    config = laid_over(folder, "{agent: {greeting: {wav: bye.wav}}}")
    assert config.agent.greeting is not None
    assert config.agent.greeting.wav == folder / "calls" / "bye.wav"
    assert laid_over(folder, "{agent: {turns: {preset: default}}}").agent.greeting is not None
    (folder / "calls" / "polite_bot.py").write_text(
        "from fishjam_agents import AgentPipeline\n\nclass Polite(AgentPipeline):\n    pass\n"
    )
    config = laid_over(folder, "{agent: {pipeline: 'polite_bot:Polite'}}")
    assert type(pipeline_factory(config)()).__name__ == "Polite"


def test_a_mistake_is_told_with_the_line_of_the_file_it_is_in(folder: Path) -> None:
    (folder / "config.yaml").write_text("agent: {backend: {type: parrot}, turns: {end_silence: 99}}\n")
    with pytest.raises(ConfigError) as raised:
        laid_over(folder, "{agent: {playout: {led: 0.1}}}")
    assert str(raised.value).splitlines() == [
        f"{folder / 'calls' / 'call.yaml'}:2: agent.playout.led is not a setting: did you mean lead?",
        f"{folder / 'config.yaml'}:1: agent.turns.end_silence must be between 0.1 and 10 seconds, not 99",
    ]


def test_an_old_name_in_a_scenario_is_told_with_its_line(folder: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        laid_over(folder, "{agent: {turns: {owner: local}}}")
    assert str(raised.value) == (
        f"{folder / 'calls' / 'call.yaml'}:2: agent.turns.owner is now agent.turns.mode: rename it"
    )

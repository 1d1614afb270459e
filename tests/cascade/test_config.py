"""A cascade as config.yaml has it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fishjam_agents.backends import registry
from fishjam_agents.backends.cascade import Cascade, LanguageModel, SpeechToText
from fishjam_agents.backends.cascade.espeak import Espeak
from fishjam_agents.backends.fallback import Fallback
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.errors import ConfigError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.turns.endpointing import Punctuation
from fishjam_agents.turns.policies import BargeIn
from fishjam_agents.turns.settings import TurnSettings
from tests.cascade.components import Answers, Speaks, Streams, Understands


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of the test are installed under the name `test`."""
    find = registry.find
    kinds = {SpeechToText: Understands, LanguageModel: Answers}
    monkeypatch.setattr(
        registry, "find", lambda name, base: kinds[base] if name == "test" else find(name, base)
    )


def load(folder: Path, backend: str) -> Cascade:
    path = folder / "config.yaml"
    path.write_text(f"agent:\n  backend:\n    type: cascade\n{backend}")
    made = load_config(path).agent.backend
    assert isinstance(made, Cascade)
    return made


STT = "    stt: {type: test, script: [[hello]]}\n"
LLM = "    llm: {type: test, script: [[hello]]}\n"
TTS = "    tts: {type: espeak, voice: de, speed: 180}\n"


def test_each_part_is_found_by_its_type(tmp_path: Path) -> None:
    cascade = load(tmp_path, STT + LLM + TTS + "    filler: One moment.\n")
    assert isinstance(cascade.stt[0], Understands)
    assert isinstance(cascade.llm[0], Answers)
    assert cascade.tts == (Espeak("de", 180),)
    assert cascade.filler == "One moment."


def test_a_list_of_parts_holds_those_that_stand_in(tmp_path: Path) -> None:
    tts = "    tts:\n      - {type: espeak, voice: de}\n      - {type: espeak, voice: en-gb}\n"
    assert load(tmp_path, STT + LLM + tts).tts == (Espeak("de"), Espeak("en-gb"))


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (STT + LLM, "config.yaml:2: agent.backend.tts is missing: give it"),
        (
            STT + LLM + "    tts: {type: espaek}\n",
            "config.yaml:6: agent.backend.tts.type: no text to speech of type 'espaek' is installed: "
            "did you mean 'espeak'?",
        ),
        (
            STT + LLM + "    tts: espeak\n",
            "config.yaml:6: agent.backend.tts must be a mapping with a type: write tts: {type: espeak}",
        ),
        (
            STT + LLM + "    tts:\n      - {voice: de}\n",
            "config.yaml:7: agent.backend.tts[0].type is missing: use espeak",
        ),
        (
            STT + LLM + "    tts: {type: espeak, speed: 20}\n",
            "config.yaml:6: agent.backend.tts: speed must be between 80 and 450 words per minute, not 20",
        ),
        (
            STT + LLM + "    tts: {type: espeak, voise: de}\n",
            "config.yaml:6: agent.backend.tts.voise is not a setting: did you mean voice?",
        ),
        (STT + LLM + "    tts: []\n", "config.yaml:6: agent.backend.tts: a cascade needs at least one"),
    ],
)
def test_a_mistake_in_a_part_is_told_with_its_line(tmp_path: Path, backend: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, backend)
    assert message in str(caught.value)


def test_check_shows_that_words_are_understood_while_they_are_spoken(tmp_path: Path) -> None:
    load(tmp_path, STT + LLM + TTS)
    bot = AgentPipeline()
    bot.backend = Cascade([Streams([[]]), Understands([[]])], [Answers([["Yes."]])], [Speaks()])
    bot.turns = TurnSettings(barge_in=BargeIn(backchannel=("en",)), end_of_turn=Punctuation())
    lines = describe(load_config(tmp_path / "config.yaml"), bot)
    (hears,) = (line for line in lines if line.startswith("hears"))
    assert hears.endswith(", words while they are spoken")
    # Who judges words has some.
    assert not any("sound alone decides" in line for line in lines)


def test_check_shows_that_answers_are_begun_at_pauses(tmp_path: Path) -> None:
    for setting, shown in (("true", ", whole turns, answers begun at pauses"), ("false", ", whole turns")):
        load(tmp_path, STT + LLM + TTS + f"    preemptive: {setting}\n")
        config = load_config(tmp_path / "config.yaml")
        (hears,) = (line for line in describe(config, pipeline_factory(config)()) if line.startswith("hears"))
        assert hears.endswith(shown)


@dataclass(frozen=True)
class Local(Speaks):
    """A voice that has more to say of itself than a line."""

    model: str = "amy"

    def describe(self) -> str:
        return f"model {self.model}\n63 MB in /models, licence MIT"


def test_check_names_every_component_with_what_it_says_of_itself(tmp_path: Path) -> None:
    load(tmp_path, STT + LLM + TTS)
    bot = AgentPipeline()
    bot.backend = Cascade([Understands([[]])], [Answers([["Yes."]])], [Local(), Espeak("de", 180)])
    lines = describe(load_config(tmp_path / "config.yaml"), bot)
    first = lines.index("stt       Understands")
    assert lines[first + 1] == "llm       Answers"
    assert lines[first + 2] == "tts       Local: model amy"
    assert lines[first + 3] == "            63 MB in /models, licence MIT"
    assert lines[first + 4].startswith("          then espeak: voice de, 180 words a minute, by ")


def test_what_is_wrong_with_a_setting_of_a_part_is_not_told_of_the_bot(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Missing(Speaks):
        def check(self) -> None:
            raise ConfigError("there is no file: name one", setting="hum.model")

    load(tmp_path, STT + LLM + TTS)
    config = load_config(tmp_path / "config.yaml")
    backend = replace(config.agent.backend, tts=[Missing()])  # type: ignore[type-var]
    config = replace(config, agent=replace(config.agent, backend=backend))
    with pytest.raises(ConfigError, match=r"config\.yaml:2: hum\.model: there is no file: name one"):
        pipeline_factory(config)()


def test_check_names_the_components_of_each_backend_that_stands_in(tmp_path: Path) -> None:
    load(tmp_path, STT + LLM + TTS)
    cascade = Cascade([Understands([[]])], [Answers([["Yes."]])], [Local()])
    bot = AgentPipeline()
    bot.backend = Fallback([cascade, cascade])
    lines = describe(load_config(tmp_path / "config.yaml"), bot)
    assert [line for line in lines if line.startswith("tts")] == [
        "tts 1     Local: model amy",
        "tts 2     Local: model amy",
    ]

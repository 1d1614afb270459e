"""`type: fallback` in a file and in Python: what it may hold, and what `check` says of it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_vapi import VapiPeer

from fishjam_agents.backends import Backend, Capabilities, Fallback, Parrot, Wav
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.errors import ConfigError, FishjamAgentsError
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.turns.settings import TurnSettings
from tests.backends.fallback_kit import FIXTURES, REFUSED, WORDS

YES = FIXTURES / "alice_yes.wav"
CHAIN = f"""\
agent:
  backend:
    type: fallback
    backends:
      - {{type: gemini, model: gemini-3.8-live, api_key: sk-secret}}
      - {{type: parrot, delay: 1}}
      - {{type: wav, file: {YES}}}
"""


def pipeline(tmp_path: Path, text: str) -> AgentPipeline:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return pipeline_factory(load_config(file, {}))()


def shown(tmp_path: Path, text: str) -> dict[str, str]:
    bot = pipeline(tmp_path, text)
    lines = describe(load_config(tmp_path / "config.yaml", {}), bot)
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}


def test_a_file_and_a_program_say_the_same(tmp_path: Path) -> None:
    backend = pipeline(tmp_path, CHAIN).backend
    assert isinstance(backend, Fallback)
    assert list(backend.backends) == [
        Gemini("gemini-3.8-live", api_key="sk-secret"),
        Parrot(delay=1),
        Wav(YES),
    ]
    assert (backend.attempts, backend.recovery, backend.deadline) == (2, 30.0, 8.0)
    assert "sk-secret" not in repr(backend)


def test_check_shows_the_chain_with_what_differs(tmp_path: Path) -> None:
    parts = shown(tmp_path, CHAIN)
    assert parts["hears"] == "room 16000 Hz mono -> voice detection 16000 Hz -> gemini 16000 Hz"
    assert parts["speaks"] == "gemini 24000 Hz -> track 24000 Hz -> Fishjam"
    assert parts["backends"] == (
        "gemini, then parrot (whole turns; no tools, images, text), then wav (whole turns; no tools, images, "
        "text); left after 2 failures in a row, tried again after 30 s"
    )
    assert "sk-secret" not in "".join(parts.values())


def test_check_shows_the_resamplers_inside(tmp_path: Path) -> None:
    parts = shown(
        tmp_path,
        "agent:\n  backend:\n    type: fallback\n    attempts: 1\n    recovery: null\n    backends:\n"
        "      - {type: openai_realtime, api_key: k}\n      - {type: parrot}\n",
    )
    assert parts["backends"] == (
        "realtime, then parrot (hears through a resampler 24000 to 16000 Hz; whole turns; "
        "no tools, images, text); left after 1 failure, not tried again"
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("backends: []", "agent.backend.backends: a fallback needs at least one"),
        ("attempts: 2", "agent.backend.backends is missing: give it"),
        ("backends: [{type: parot}]", "backends[0].type: no backend of type 'parot' is installed: did you"),
        ("backends: [{type: parrot, dely: 1}]", "agent.backend.backends[0].dely is not a setting: did you"),
        ("backends: [{type: parrot}], attempts: 0", "agent.backend.attempts must be between 1 and 5"),
        ("backends: [{type: parrot}], deadline: 60", "agent.backend.deadline must be above 0 and at most 13"),
        ("backends: [{type: parrot}], recovery: 0", "agent.backend.recovery must be between 1 and 3600"),
        (
            "backends: [{type: fallback, backends: [{type: parrot}]}]",
            "agent.backend.backends: a fallback in a fallback is one list, write one",
        ),
        (
            "backends: [{type: parrot}, {type: vapi_peer, api_key: k, assistant_id: a}]",
            "agent.backend.backends: VapiPeer is brought into the room by Fishjam itself, nothing can stand",
        ),
        ("backends: [{type: parrot}, {type: wav, file: nowhere.wav}]", "cannot read"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(tmp_path: Path, settings: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pipeline(tmp_path, f"agent:\n  backend: {{type: fallback, {settings}}}\n")
    told = str(caught.value)
    assert "config.yaml:2: " in told
    assert sentence.removeprefix("agent.backend.") in told
    assert told.count("\n") == 0


def test_a_stand_in_without_a_key_is_found_before_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="Gemini needs a key"):
        pipeline(
            tmp_path, "agent:\n  backend: {type: fallback, backends: [{type: parrot}, {type: gemini}]}\n"
        )


def verified(*backends: Backend, **settings: Any) -> str:
    bot = AgentPipeline()
    bot.backend = Fallback(backends)
    for name, value in settings.items():
        setattr(bot, name, value)
    with pytest.raises(FishjamAgentsError) as caught:
        bot.verify()
    return str(caught.value)


def test_a_stand_in_that_cannot_rule_turns_is_refused_where_the_model_does() -> None:
    owns = Scripted([], Capabilities(own_turn_detection=True))
    told = verified(owns, Parrot(), turns=TurnSettings(mode="backend"))
    assert told == "turns.mode is 'backend', but Parrot has no turn detection: use 'local'"


def test_a_stand_in_whose_replies_cannot_wait_is_refused_with_a_session_for_everybody() -> None:
    told = verified(Parrot(), Gemini(api_key="k"), hearing=HearingSettings(mode="per_peer"))
    assert told.startswith("hearing is 'per_peer', but replies of Gemini would be out of date")


def test_what_the_first_cannot_do_is_not_offered() -> None:
    def tool_of_it() -> str:
        """Do it."""
        return ""

    told = verified(Parrot(), Scripted([], Capabilities(tools=True)), tools=(tool_of_it,))
    assert told.startswith("Parrot calls no tools, but AgentPipeline offers some")


def test_it_runs_in_virtual_time_only_with_backends_that_do() -> None:
    assert Fallback([Parrot(), Wav(YES)]).in_process
    assert not Fallback([Gemini(api_key="k"), Parrot()]).in_process
    assert Fallback([Gemini(api_key="k"), Parrot()]).audio_kept == 10.0


def test_a_peer_service_alone_is_refused_in_python_too() -> None:
    with pytest.raises(ValueError, match="VapiPeer is brought into the room by Fishjam itself"):
        Fallback([VapiPeer(api_key="k", assistant_id="a"), Parrot()])


def test_with_a_session_for_everybody_each_has_its_own_stand_in() -> None:
    first = Scripted([Step(None, [5.0, REFUSED])])
    bot = AgentPipeline()
    bot.backend = Fallback([first, Parrot()])
    bot.hearing = HearingSettings(mode="per_peer")
    with MemoryCall(bot, trouble=True) as call:
        ann, bob = call.join("ann"), call.join("bob")
        call.until("backend_failure")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_started of ann")
        call.until("reply_ended")
        bob.say(WORDS)
        call.until("user_turn_ended of bob")
        call.wait(3)
        # Bob's session is with the first one still, which has nothing to say.
        call.expect("reply_ended", count=1)
        call.expect("backend_failure", count=1)
    assert len(first.connections) == 2
    assert first.connections[0].memory is not first.connections[1].memory


def test_the_chain_of_the_page_is_one(tmp_path: Path) -> None:
    page = (FIXTURES.parent / "docs" / "backends.md").read_text()
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "sorry.wav").write_bytes(YES.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEMINI_API_KEY", "k")
        patch.setenv("OPENAI_API_KEY", "k")
        backend = pipeline(tmp_path, block).backend
    assert isinstance(backend, Fallback)
    assert list(backend.names) == ["Gemini", "Realtime", "Wav"]
    settings = {item.name: item.default for item in fields(Fallback)}
    table = dict(re.findall(r"^\| `(\w+)` \| (\S*) ?\|", page.partition("`type: fallback`")[2], re.MULTILINE))
    assert settings.keys() == table.keys()
    for name in ("attempts", "recovery", "deadline"):
        assert float(table[name]) == settings[name]

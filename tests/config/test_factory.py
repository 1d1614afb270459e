"""From a file to a pipeline, and to what `check` says of it."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.wav import write_wav
from fishjam_agents.backends import Parrot
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam.options import audio_sample_rate
from fishjam_agents.observe.replay import CallRecorder
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.idle import Announcement
from fishjam_agents.playout.settings import AmbientSettings
from fishjam_agents.session import FISHJAM

names = itertools.count()

Make = Callable[..., AgentPipeline]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("bot_of_test"):
            del sys.modules[name]


@pytest.fixture
def make(folder: Path) -> Make:
    """A pipeline of a file whose agent has a class and more; `BOT` is the name of its module."""

    def make(code: str | None, agent: str) -> AgentPipeline:
        module = f"bot_of_test_{next(names)}"
        if code is not None:
            (folder / f"{module}.py").write_text(code)
        (folder / "config.yaml").write_text(f"agent:\n  {agent.replace('BOT', module)}\n")
        return pipeline_factory(load_config(folder / "config.yaml", {}))()

    return make


def refused(make: Make, code: str | None, agent: str) -> str:
    with pytest.raises(ConfigError) as caught:
        make(code, agent)
    return str(caught.value)


CLASS = """
from fishjam_agents import AgentPipeline, TurnSettings
from fishjam_agents.backends import Parrot

class Bot(AgentPipeline):
    backend = Parrot(delay=3)
    turns = TurnSettings(preset="noisy", withdraw=0.5)
    instructions = "of the class"

class NoBackend(AgentPipeline):
    pass

def function(): pass
"""


def test_a_backend_alone_makes_a_pipeline(make: Make) -> None:
    pipeline = make(None, "backend: {type: parrot, delay: 1}")
    assert type(pipeline) is AgentPipeline
    assert pipeline.backend == Parrot(delay=1)


def test_each_room_gets_its_own_pipeline(folder: Path) -> None:
    (folder / "config.yaml").write_text("agent: {backend: {type: parrot}}")
    factory = pipeline_factory(load_config(folder / "config.yaml", {}))
    assert factory() is not factory()


def test_settings_of_the_class_stay_where_the_file_says_nothing(make: Make) -> None:
    pipeline = make(CLASS, "pipeline: BOT:Bot\n  turns: {withdraw: 0.2}")
    assert type(pipeline).__name__ == "Bot"
    assert pipeline.backend == Parrot(delay=3)
    assert (pipeline.turns.preset, pipeline.turns.withdraw) == ("noisy", 0.2)
    assert pipeline.instructions == "of the class"
    assert type(pipeline).turns.withdraw == 0.5


def test_the_file_overrides_the_class(make: Make) -> None:
    pipeline = make(
        CLASS, "pipeline: BOT:Bot\n  backend: {type: parrot}\n  instructions: hi\n  hearing: {agents: true}"
    )
    assert pipeline.backend == Parrot()
    assert pipeline.instructions == "hi"
    assert pipeline.hearing.agents


def test_the_greeting_is_at_the_rate_of_the_backend(make: Make, folder: Path) -> None:
    write_wav(folder / "hello.wav", np.zeros(8000, np.int16), 8000)
    pipeline = make(
        None, "backend: {type: parrot}\n  greeting: {wav: hello.wav}\n  apology: {wav: hello.wav}"
    )
    for recording in (pipeline.greeting, pipeline.apology):
        assert recording is not None
        assert len(recording) == 24000


def test_the_farewell_is_a_recording_or_words(make: Make, folder: Path) -> None:
    write_wav(folder / "bye.wav", np.zeros(8000, np.int16), 8000)
    farewell = make(None, "backend: {type: parrot}\n  farewell: bye.wav").farewell
    assert farewell is not None
    assert len(farewell) == 24000
    for wrong, sentence in {
        "farewell: gone.wav": "agent.farewell.wav: there is no file",
        "farewell: Good bye.": "farewell is a text, but Parrot cannot speak given words here: give a wav",
        "farewell: {}": "agent.farewell: it needs wav or text: give one of them",
        "farewell: {wav: bye.wav, text: Bye.}": "agent.farewell: it needs wav or text: give one of them",
        "greeting: Hello.": "greeting is a text, but Parrot cannot speak given words here: give a wav",
        "apology: {text: Sorry.}": "apology is a text, but Parrot cannot speak given words here: give a wav",
    }.items():
        with pytest.raises(ConfigError, match=re.escape(sentence)):
            make(None, f"backend: {{type: parrot}}\n  {wrong}")


def test_a_word_is_enough_where_only_one_thing_can_be_meant(folder: Path) -> None:
    (folder / "hello.WAV").touch()
    (folder / "config.yaml").write_text(
        "agent:\n  backend: {type: parrot}\n  greeting: hello.WAV\n  tools: end_call\n"
        "  mcp: {command: python}\n  background_audio: {ambient: hum.wav}\n"
        "  idle: {after: 9, prompt: there.wav}\n"
    )
    agent = load_config(folder / "config.yaml", {}).agent
    assert agent.greeting is not None
    assert agent.greeting.wav == folder / "hello.WAV"
    assert agent.sections["background_audio"].settings.ambient == AmbientSettings(folder / "hum.wav")
    assert agent.sections["idle"].settings.prompt == Announcement(wav=folder / "there.wav")
    assert agent.tools == ("end_call",)
    assert [server.command for server in agent.mcp] == ["python"]


def test_words_of_the_silence_may_be_given_as_they_are(make: Make) -> None:
    assert refused(make, None, "backend: {type: parrot}\n  idle: {after: 9, goodbye: Bye}").endswith(
        "idle.goodbye has a text, but Parrot cannot speak given words: give a wav"
    )


def test_a_tool_that_is_named_twice_is_told_with_its_line(make: Make, folder: Path) -> None:
    code = CLASS + "\n\ndef end_call() -> None:\n    'Ends it.'\n"
    assert refused(make, code, "pipeline: BOT:Bot\n  tools: [end_call, 'BOT:end_call']").startswith(
        f"{folder}/config.yaml:3: agent.tools: two tools are called end_call ("
    )


def test_a_class_that_cannot_be_had_is_told(make: Make, folder: Path) -> None:
    where = f"{folder}/config.yaml:2: agent.pipeline: "
    assert refused(make, None, "pipeline: no_such_bot:Bot") == (
        f"{where}there is no module no_such_bot in {folder} or installed: check the name"
    )
    assert refused(make, CLASS, "pipeline: BOT:Bo").endswith("has no class Bo: did you mean Bot?")
    assert refused(make, CLASS, "pipeline: BOT:Xyz").endswith("has no class Xyz: use Bot or NoBackend")
    assert refused(make, "", "pipeline: BOT:Bot").endswith("Bot: define it as a subclass of AgentPipeline")
    assert refused(make, CLASS, "pipeline: BOT:function").endswith(
        ":function is not a pipeline: make it a class that subclasses AgentPipeline"
    )
    assert refused(make, CLASS, "pipeline: BOT:NoBackend").endswith(
        "NoBackend has no backend: set `backend = Parrot()` or another one"
    )


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("\nx = undefined", ".py:2: NameError: name 'undefined' is not defined"),
        ("import no_such_library", ".py:1: ModuleNotFoundError: No module named 'no_such_library'"),
        ("def f(:", ".py:1: invalid syntax"),
        ("import sys\nsys.exit(3)", ".py:2: SystemExit: 3"),
    ],
)
def test_an_error_of_the_users_module_names_its_line_and_is_chained(make: Make, code: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(code, "pipeline: BOT:Bot")
    assert str(caught.value).endswith(told)
    assert "failed" in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("def __init__(self):\n        raise ValueError('no\\nmoney')", ".py:6: ValueError: no"),
        ("def __init__(self, key):\n        pass", "missing 1 required positional argument: 'key'"),
        ("def __init__(self):\n        pass", "is half made: call super().__init__() in its __init__"),
    ],
)
def test_a_class_that_cannot_be_made_is_one_sentence(make: Make, body: str, told: str) -> None:
    code = (
        "from fishjam_agents import AgentPipeline\nfrom fishjam_agents.backends import Parrot\n"
        f"class Bot(AgentPipeline):\n    backend = Parrot()\n    {body}\n"
    )
    sentence = refused(make, code, "pipeline: BOT:Bot")
    assert "config.yaml:2: agent.pipeline: bot_of_test_" in sentence
    assert sentence.endswith(told)
    assert sentence.count("\n") == 0
    assert "factory.py" not in sentence


def test_parts_that_do_not_fit_are_a_mistake_of_the_file(make: Make, folder: Path) -> None:
    where = f"{folder}/config.yaml"
    assert refused(make, None, "backend: {type: parrot}\n  turns: {mode: backend}") == (
        f"{where}:2: turns.mode is 'backend', but Parrot has no turn detection: use 'local'"
    )
    assert refused(make, None, "backend: {type: wav, file: no.wav}").startswith(f"{where}:2: cannot read")
    (folder / "text.wav").write_text("hello")
    assert refused(make, None, "backend: {type: parrot}\n  greeting: {wav: text.wav}").startswith(
        f"{where}:3: {folder}/text.wav is not a WAV file"
    )


def test_values_that_clash_with_the_class_are_told(make: Make) -> None:
    code = (
        CLASS + "\nfrom fishjam_agents import PlayoutSettings\nBot.playout = PlayoutSettings(max_lead=0.2)\n"
    )
    assert "playout.max_lead (0.2) must not be below playout.lead (0.3) (with what" in refused(
        make, code, "pipeline: BOT:Bot\n  playout: {lead: 0.3}"
    )


def described(make: Make, folder: Path, agent: str, code: str | None = None) -> dict[str, str]:
    pipeline = make(code, agent)
    lines = describe(load_config(folder / "config.yaml", {}), pipeline)
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}


def test_the_description_shows_formats_and_settings(make: Make, folder: Path) -> None:
    assert described(make, folder, "backend: {type: parrot}\n  turns: {end_silence: 0.8, withdraw: 0.3}") == {
        "fishjam": "local: an embedded server on 127.0.0.1, port 5002",
        "room": "a new one, deleted at the end",
        "bot": "the built-in AgentPipeline",
        "hears": "room 16000 Hz mono -> voice detection 16000 Hz -> parrot 16000 Hz, whole turns",
        "speaks": "parrot 24000 Hz -> track 24000 Hz -> Fishjam",
        "vad": "default: webrtcvad, SNR of the voice band and pitch; about 0.01 ms of CPU per 20 ms; "
        "preset default",
        "turns": "mode local, end_of_turn fixed, 0.8 s, withdraw 0.3",
        "barge-in": "anybody who speaks for 0.36 s",
        "hearing": "active_speaker, anybody interrupts, no other agents, tracks of type microphone, "
        "echo guard on",
        "limits": "a lost server is given up after 60 s",
        "log": "info, to standard error",
    }


@pytest.mark.parametrize(
    ("turns", "ending", "barge_in"),
    [
        ("end_of_turn: 0.8", "fixed, 0.8 s", "anybody who speaks for 0.36 s"),
        ("end_of_turn: per_speaker", "adaptive per speaker, 0.5 to 0.9 s", "anybody who speaks for 0.36 s"),
        ("barge_in: never", "adaptive, 0.58 to 0.74 s by the noise", "nobody"),
        ("barge_in: {voice: 0.5}", "adaptive, 0.58 to 0.74 s by the noise", "0.5 s of voice at least"),
    ],
)
def test_short_forms_of_turn_taking(make: Make, folder: Path, turns: str, ending: str, barge_in: str) -> None:
    shown = described(make, folder, f"backend: {{type: parrot}}\n  turns: {{{turns}}}")
    assert (shown["turns"], shown["barge-in"]) == (f"mode local, end_of_turn {ending}", barge_in)
    assert "note" not in shown


@pytest.mark.parametrize(
    ("turns", "wanting"),
    [
        ("barge_in: {backchannel: en}", "turns.barge_in judges words"),
        (
            "barge_in: {words: 2}, end_of_turn: punctuation",
            "turns.barge_in and turns.end_of_turn judge words",
        ),
    ],
)
def test_what_needs_transcripts_that_nobody_gives_is_said(
    make: Make, folder: Path, turns: str, wanting: str
) -> None:
    shown = described(make, folder, f"backend: {{type: parrot}}\n  turns: {{{turns}}}")
    assert shown["note"].startswith(f"{wanting}, and parrot gives none in time: ")


ODD_RATES = """
from fishjam_agents import AgentPipeline
from fishjam_agents.backends import Capabilities, Parrot

class Denoise:
    def process(self, samples, format): return samples
    def reset(self): pass

class Model(Parrot):
    capabilities = Capabilities(input_rate=INPUT, output_rate=OUTPUT)

class Bot(AgentPipeline):
    backend = Model()
    input_stages = [Denoise()]
"""


@pytest.mark.parametrize(
    ("rates", "hears", "speaks"),
    [
        (
            (24000, 16000),
            "room 24000 Hz mono -> stage Denoise -> voice detection 16000 Hz (through a resampler of "
            "its own) -> model 24000 Hz",
            "model 16000 Hz -> track 16000 Hz -> Fishjam",
        ),
        (
            (8000, 48000),
            "room 16000 Hz mono -> stage Denoise -> voice detection 16000 Hz -> resampler 16000 to 8000 Hz "
            "-> model 8000 Hz",
            "model 48000 Hz -> resampler 48000 to 24000 Hz -> track 24000 Hz -> Fishjam",
        ),
        (
            (0, 0),
            "room 16000 Hz mono -> stage Denoise -> voice detection 16000 Hz -> model, which takes no audio",
            "model, which gives no audio -> track 24000 Hz -> Fishjam",
        ),
    ],
)
def test_the_description_names_every_resampler(
    make: Make, folder: Path, rates: tuple[int, int], hears: str, speaks: str
) -> None:
    code = ODD_RATES.replace("INPUT", str(rates[0])).replace("OUTPUT", str(rates[1]))
    shown = described(make, folder, "pipeline: BOT:Bot", code)
    assert (shown["hears"], shown["speaks"]) == (hears, speaks)


@pytest.mark.parametrize(
    ("rate", "room", "track"), [(16000, 16000, 16000), (24000, 24000, 24000), (8000, 16000, 24000)]
)
def test_fishjam_is_asked_for_the_rate_of_the_backend_where_it_has_it(
    rate: int, room: int, track: int
) -> None:
    assert audio_sample_rate(rate) == room
    assert FISHJAM.track_rate(rate) == track


@pytest.mark.parametrize("example", ["parrot", "pipeline"])
def test_the_examples_make_pipelines(example: str, folder: Path) -> None:
    root: Any = Path(__file__).parents[2]
    pipeline = pipeline_factory(load_config(root / "examples" / example / "config.yaml", {}))()
    assert isinstance(pipeline.backend, Parrot)


def test_a_folder_for_records_is_given_to_the_pipeline_and_shown(folder: Path) -> None:
    config = folder / "config.yaml"
    config.write_text("agent: {backend: {type: parrot}}\nobserve: {record: calls}\n")
    settings = load_config(config, {})
    pipeline = pipeline_factory(settings)()
    assert isinstance(pipeline.recorder, CallRecorder)
    assert pipeline.recorder.folder == folder / "calls"
    assert not (folder / "calls").exists()
    assert describe(settings, pipeline)[-1].startswith("record ")
    assert pipeline.recorder.redact
    config.write_text("agent: {backend: {type: parrot}}\nobserve: {record: {folder: calls, redact: false}}\n")
    told = pipeline_factory(load_config(config, {}))().recorder
    assert isinstance(told, CallRecorder)
    assert (told.folder, told.redact) == (folder / "calls", False)
    config.write_text("agent: {backend: {type: parrot}}\n")
    assert pipeline_factory(load_config(config, {}))().recorder is None


@pytest.mark.parametrize(
    ("observe", "journal", "told"),
    [
        ("{record: calls}", "null", "words that leave a call"),
        (
            "{record: {folder: calls, redact: false}}",
            "{path: j.db, key: ZmRyZnJkZnJkZnJkZnJkZnJkZnJkZnJkZnJkZnJkZnI=}",
            "words that leave a call, except in observe.record (redact: false) and the journal",
        ),
        (
            "{}",
            "j.db",
            "words that leave a call, except in the journal (without journal.key it is not encrypted)",
        ),
    ],
)
def test_check_says_where_words_are_kept_that_redact_hides(
    folder: Path, monkeypatch: pytest.MonkeyPatch, observe: str, journal: str, told: str
) -> None:
    (folder / "discreet.py").write_text(
        "from fishjam_agents import AgentPipeline\n\n\nclass Discreet(AgentPipeline):\n"
        "    def redact(self, text: str) -> str:\n        return ''\n"
    )
    config = folder / "config.yaml"
    config.write_text(
        "agent: {pipeline: discreet:Discreet, backend: {type: parrot}}\n"
        f"observe: {observe}\njournal: {journal}\n"
    )
    settings = load_config(config, {})
    lines = describe(settings, pipeline_factory(settings)())
    assert f"redact    {told}" in lines


def test_sounds_and_silence_of_the_file_reach_the_pipeline_and_check_shows_them(folder: Path) -> None:
    write_wav(folder / "hum.wav", np.full(1600, 100, np.int16), 16000)
    file = folder / "config.yaml"
    file.write_text(
        "agent:\n  backend: {type: parrot}\n"
        "  background_audio:\n    ambient: {wav: hum.wav, level: -45}\n    thinking: {wav: hum.wav}\n"
        "  idle:\n    after: 15\n    prompt: {wav: hum.wav}\n    prompts: 2\n    goodbye: {wav: hum.wav}\n"
    )
    config = load_config(file, {})
    pipeline = pipeline_factory(config)()
    assert pipeline.background_audio.ambient is not None
    assert (pipeline.background_audio.ambient.wav, pipeline.background_audio.ambient.level) == (
        folder / "hum.wav",
        -45,
    )
    assert (pipeline.idle.after, pipeline.idle.prompts, pipeline.idle.ends) == (15, 2, True)
    assert [line for line in describe(config, pipeline) if line.startswith(("sounds", "idle"))] == [
        "sounds    hum.wav at -45 dBFS, 10 dB less under words; "
        "hum.wav at -35 dBFS after 0.5 s without an answer",
        "idle      idle after 15 s, then asked 2 x, then the call ends with a goodbye",
    ]


def test_a_sound_that_cannot_be_played_is_told_with_its_line(folder: Path) -> None:
    (folder / "hum.wav").write_bytes(b"RIFF")
    file = folder / "config.yaml"
    for wav, says in (("hum.wav", "hum.wav"), ("no.wav", "there is no file")):
        file.write_text(
            f"agent:\n  backend: {{type: parrot}}\n  background_audio:\n    thinking: {{wav: {wav}}}\n"
        )
        with pytest.raises(ConfigError, match=says) as caught:
            pipeline_factory(load_config(file, {}))()
        assert str(caught.value).startswith(f"{file}:4: ")


def test_a_model_that_is_not_there_is_told_with_its_line(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra smart-turn")
    path = tmp_path / "config.yaml"
    path.write_text(
        "agent:\n  backend: {type: parrot}\n  turns:\n"
        "    end_of_turn:\n      type: smart_turn\n      model: missing.onnx\n"
    )
    with pytest.raises(
        ConfigError, match=r"config\.yaml:6: agent\.turns\.end_of_turn\.model: there is no file"
    ):
        pipeline_factory(load_config(path))()

"""Every mistake in a config.yaml is told in one exact sentence."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest

from fishjam_agents.backends import registry
from fishjam_agents.backends.port import Backend
from fishjam_agents.config import load_config
from fishjam_agents.config.problems import alternatives
from fishjam_agents.errors import ConfigError, install_integration

INSTALLED = sorted(registry.installed())
PARROT = "agent: {backend: {type: parrot}}\n"
TURNS = "agent:\n  backend: {type: parrot}\n  turns:\n"

MISTAKES = {
    # keys
    TURNS + "    end_silense: 1": (
        "config.yaml:4: agent.turns.end_silense is not a setting: did you mean end_silence?"
    ),
    "agnt: {}\n" + PARROT: "config.yaml:1: agnt is not a setting: did you mean agent?",
    "colour: red\n" + PARROT: (
        "config.yaml:1: colour is not a setting: use fishjam, room, agent, bots, rooms, limits, workers, "
        "api, journal, ray, log or observe"
    ),
    "turns: {}\n" + PARROT: "config.yaml:1: turns is not a setting: did you mean agent.turns?",
    "agent:\n  backend: {type: parrot, dely: 1}": (
        "config.yaml:2: agent.backend.dely is not a setting: did you mean delay?"
    ),
    "fishjam: {id: local, prt: 1}\n"
    + PARROT: "config.yaml:1: fishjam.prt is not a setting: did you mean port?",
    PARROT + PARROT: "config.yaml:2: agent is there twice, first in line 1: keep one of them",
    PARROT + "log:\n  level: info\n  level: debug": (
        "config.yaml:4: log.level is there twice, first in line 3: keep one of them"
    ),
    PARROT + "? [a, b]\n: 1": "config.yaml:2: the file has a key that is no word: remove it",
    # old names
    TURNS + "    owner: backend": "config.yaml:4: agent.turns.owner is now agent.turns.mode: rename it",
    "agent:\n  backend: {type: parrot}\n  voice: {}": (
        "config.yaml:3: agent.voice is now agent.background_audio: rename it"
    ),
    "agent:\n  backend: {type: parrot}\n  background_audio: {background: hum.wav}": (
        "config.yaml:3: agent.background_audio.background is now agent.background_audio.ambient: rename it"
    ),
    "agent:\n  backend: {type: parrot}\n  silence: {}": (
        "config.yaml:3: agent.silence is now agent.idle: rename it"
    ),
    "agent:\n  backend: {type: parrot}\n  idle: {away: 9}": (
        "config.yaml:3: agent.idle.away is now agent.idle.after: rename it"
    ),
    # types
    TURNS + "    end_silence: soon": "config.yaml:4: agent.turns.end_silence must be a number, not 'soon'",
    TURNS + "    silence_locally: maybe": (
        "config.yaml:4: agent.turns.silence_locally must be true or false, not 'maybe'"
    ),
    TURNS + "    mode: backed": (
        "config.yaml:4: agent.turns.mode must be local, backend or push_to_talk, not 'backed': "
        "did you mean backend?"
    ),
    TURNS + "    withdraw: [1]": "config.yaml:4: agent.turns.withdraw must be a number, not a list",
    TURNS + "    preset: [noisy]": (
        "config.yaml:4: agent.turns.preset must be default, sensitive or noisy, not a list"
    ),
    "agent: {backend: {type: parrot}, hearing: {vad: {type: silero}}}": (
        "config.yaml:1: agent.hearing.vad must be default, webrtc, energy or silero, not a mapping"
    ),
    TURNS + "    withdraw: .nan": ("config.yaml:4: agent.turns.withdraw must be a number, not '.nan'"),
    TURNS + "    withdraw: nan": "config.yaml:4: agent.turns.withdraw must be a finite number, not 'nan'",
    TURNS + "    - 1": "config.yaml:4: agent.turns must be a mapping of settings, not a list",
    "fishjam: {port: five}\n" + PARROT: "config.yaml:1: fishjam.port must be a whole number, not 'five'",
    "fishjam: {port: true}\n" + PARROT: "config.yaml:1: fishjam.port must be a whole number, not 'true'",
    "fishjam: {port: 50.5}\n" + PARROT: "config.yaml:1: fishjam.port must be a whole number, not '50.5'",
    "fishjam: local\n" + PARROT: "config.yaml:1: fishjam must be a mapping of settings, not 'local'",
    "room: {id: {a: b}}\n" + PARROT: "config.yaml:1: room.id must be text, not a mapping",
    "agent: {backend: {type: parrot}, hearing: {tracks: microphone}}": (
        "config.yaml:1: agent.hearing.tracks must be a list, each of it text, not 'microphone'"
    ),
    "agent: {backend: {type: parrot}, playout: {sample_rate: 8000}}": (
        "config.yaml:1: agent.playout.sample_rate must be 16000 or 24000, not '8000'"
    ),
    "agent: {backend: {type: parrot, delay: " + "x" * 50 + "}}": (
        "config.yaml:1: agent.backend.delay must be a number, not '" + "x" * 40 + "…'"
    ),
    # turn-taking
    TURNS + "    end_of_turn: soon": (
        "config.yaml:4: agent.turns.end_of_turn.type must be adaptive, fixed, per_speaker, punctuation, "
        "backend, dictation or smart_turn, not 'soon'"
    ),
    TURNS + "    end_of_turn: {seconds: 1}": (
        "config.yaml:4: agent.turns.end_of_turn.type is missing: use adaptive, fixed, per_speaker, "
        "punctuation, backend, dictation or smart_turn"
    ),
    TURNS + "    end_of_turn: {type: }": (
        "config.yaml:4: agent.turns.end_of_turn.type is missing: use adaptive, fixed, per_speaker, "
        "punctuation, backend, dictation or smart_turn"
    ),
    TURNS + "    end_of_turn: {type: [fixed]}": (
        "config.yaml:4: agent.turns.end_of_turn.type must be adaptive, fixed, per_speaker, punctuation, "
        "backend, dictation or smart_turn, not a list"
    ),
    TURNS + "    end_of_turn: {type: smart_turn, preset: quik}": (
        "config.yaml:4: agent.turns.end_of_turn.preset must be default, quick, patient or dictation, "
        "not 'quik': did you mean quick?"
    ),
    TURNS + "    end_of_turn: {type: smart_turn, sure: 0.2}": (
        "config.yaml:4: agent.turns.end_of_turn: unsure is 0.6, more than sure with 0.2: "
        "a turn cannot sound complete and unfinished"
    ),
    TURNS + "    end_of_turn: {type: fixd}": (
        "config.yaml:4: agent.turns.end_of_turn.type must be adaptive, fixed, per_speaker, punctuation, "
        "backend, dictation or smart_turn, not 'fixd': did you mean fixed?"
    ),
    TURNS + "    barge_in: {voice: soon, word: 2}\n    max_turn: 0.1": (
        "config.yaml:4: agent.turns.barge_in.word is not a setting: did you mean words?\n"
        "config.yaml:4: agent.turns.barge_in.voice must be a number, not 'soon'"
    ),
    TURNS + "    end_of_turn: {type: fixed, seconds: 99}": (
        "config.yaml:4: agent.turns.end_of_turn: seconds must be between 0.1 and 10 seconds, not 99"
    ),
    TURNS + "    end_of_turn: [1]": (
        "config.yaml:4: agent.turns.end_of_turn must be a mapping of settings, not a list"
    ),
    TURNS + "    end_silence: 1\n    end_of_turn: punctuation": (
        "config.yaml:4: agent.turns.end_silence and turns.end_of_turn exclude each other: keep one of them"
    ),
    TURNS
    + "    barge_in: nevr": "config.yaml:4: agent.turns.barge_in.nevr is not a setting: did you mean never?",
    TURNS + "    barge_in: {backchannel: xx}": (
        "config.yaml:4: agent.turns.barge_in: backchannel has no words of 'xx': use de, en, es, fr, it, "
        "nl, pl, pt, or give words yourself"
    ),
    TURNS + "    end_of_turn: {type: punctuation, complete: 2}": (
        "config.yaml:4: agent.turns.end_of_turn: complete is 2 s, longer than incomplete with 1 s: a whole "
        "sentence is to be answered sooner than half of one"
    ),
    # ranges
    TURNS + "    end_silence: 99": (
        "config.yaml:4: agent.turns.end_silence must be between 0.1 and 10 seconds, not 99"
    ),
    "fishjam:\n  port: 70000\n"
    + PARROT: "config.yaml:2: fishjam.port must be between 0 and 65535, not 70000",
    "agent:\n  backend:\n    type: parrot\n    chunk: 99": (
        "config.yaml:4: agent.backend: chunk must be between 0.02 and 60 s, not 99"
    ),
    "room: {id: x, create: true}\n" + PARROT: "config.yaml:1: room has both id and create: keep one of them",
    PARROT + "limits: {max_call: 0}": "config.yaml:2: limits.max_call must be positive, not 0",
    # the agent
    "fishjam: {id: local}": (
        "config.yaml:1: agent has neither backend nor pipeline: `agent: {backend: {type: parrot}}` is a "
        "complete file"
    ),
    "agent:\n  backend: parrot": (
        "config.yaml:2: agent.backend must be a mapping with a type: write backend: {type: parrot}"
    ),
    "agent:\n  backend: {delay: 1}": (
        f"config.yaml:2: agent.backend.type is missing: use {alternatives(INSTALLED)}"
    ),
    "agent:\n  backend: {type: parot}": (
        "config.yaml:2: agent.backend.type: no backend of type 'parot' is installed: did you mean 'parrot'?"
    ),
    "agent:\n  backend: {type: wav}": "config.yaml:2: agent.backend.file is missing: give it",
    "agent:\n  pipeline: bot.py": (
        "config.yaml:2: agent.pipeline must be module:Class like bot:Bot, not 'bot.py'"
    ),
    "agent:\n  backend: {type: parrot}\n  greeting: {wav: hello.wav}": (
        "config.yaml:3: agent.greeting.wav: there is no file hello.wav: check the path"
    ),
    "agent: {backend: {type: parrot}, hearing: {mode: per_peer, max_sessions: 0}}": (
        "config.yaml:1: agent.hearing.max_sessions must be between 1 and 64, not 0"
    ),
    "agent: {backend: {type: parrot}, hearing: {mode: per_peer, speaker_notes: true}}": (
        "config.yaml:1: agent.hearing.speaker_notes does nothing with per_peer, where everybody has a "
        "session: remove it"
    ),
    # Fishjam
    "fishjam: {id: 'localhost:5002'}\n" + PARROT: (
        "config.yaml:1: fishjam.id: the Fishjam ID 'localhost:5002' is neither an ID nor a URL: for a server "
        "write http://localhost:5002"
    ),
    "fishjam: {id: abc123}\n" + PARROT: (
        "config.yaml:1: fishjam.id is 'abc123', which needs a management token: set fishjam.management_token "
        "or FISHJAM_MANAGEMENT_TOKEN, or use local"
    ),
    "fishjam:\n  id: http://127.0.0.1:5002\n" + PARROT: (
        "config.yaml:2: fishjam.id is 'http://127.0.0.1:5002', which needs a management token: set "
        "fishjam.management_token or FISHJAM_MANAGEMENT_TOKEN, or use local"
    ),
    "fishjam: {id: local}\nroom: {id: r1}\n" + PARROT: (
        "config.yaml:2: room.id names a room, but a local Fishjam starts without any: remove it, or set "
        "fishjam.id"
    ),
    # variables
    "fishjam:\n  port: ${PORT}\n" + PARROT: (
        "config.yaml:2: fishjam.port: the variable PORT is not set: set it, or write ${PORT:-default}"
    ),
    "fishjam:\n  port: ${SECRET}\n" + PARROT: (
        "config.yaml:2: fishjam.port must be a whole number, not the value of ${SECRET}"
    ),
    "fishjam:\n  host: ${9}\n" + PARROT: (
        "config.yaml:2: fishjam.host: `${` does not begin a variable: write ${NAME}, or $${ for the "
        "characters"
    ),
    "agent: ${AGENT}": (
        "config.yaml:1: agent: the variable AGENT is not set: set it, or write ${AGENT:-default}"
    ),
    # the file
    "": "config.yaml:1: the file is empty: `agent: {backend: {type: parrot}}` is a complete one",
    "# nothing\n": "config.yaml:1: the file is empty: `agent: {backend: {type: parrot}}` is a complete one",
    "- agent\n": (
        "config.yaml:1: the file holds a list where settings belong: try `agent: {backend: {type: parrot}}`"
    ),
    "\nagent": (
        "config.yaml:2: the file holds a single value where settings belong: try "
        "`agent: {backend: {type: parrot}}`"
    ),
    "agent:\n\tbackend: {}": (
        "config.yaml:2: this is not YAML (found character '\\t' that cannot start any token): indent with "
        "spaces, not with tabs"
    ),
    "agent: {backend: {type: parrot}\nlog: {}": (
        "config.yaml:2: this is not YAML (expected ',' or '}', but got '<scalar>'): mend this line "
        "or the one "
        "above"
    ),
    "agent: {pipeline: ${BOT}}": (
        "config.yaml:1: this is not YAML (expected ',' or '}', but got '{'): inside braces and brackets a "
        'variable needs quotes, like "${NAME}"'
    ),
    "agent: *other": (
        "config.yaml:1: this is not YAML (found undefined alias 'other'): mend this line or the one above"
    ),
    "agent: &agent {backend: *agent}": "config.yaml:1: the file is nested without end: write it flat",
    "[" * 1500: "config.yaml:1: the file is nested without end: write it flat",
    "agent: {}\nfish\x07jam: {}": "config.yaml:2: the file is not text: give a YAML file",
    "fishjam: {host: 0.0.0.0}\n" + PARROT: (
        "config.yaml:1: fishjam.host 0.0.0.0 can be reached from other machines: "
        "set fishjam.management_token, too"
    ),
    "fishjam:\n  allowed_origins: [http://localhost:5173, localhost]\n" + PARROT: (
        "config.yaml:2: fishjam.allowed_origins must be origins like http://localhost:5173 "
        "(scheme, host and port alone), not 'localhost'"
    ),
    "fishjam: {allowed_origins: '*'}\n" + PARROT: (
        "config.yaml:1: fishjam.allowed_origins must be origins like http://localhost:5173 "
        "(scheme, host and port alone), not '*'"
    ),
    "fishjam: {tls: maybe}\n" + PARROT: ("config.yaml:1: fishjam.tls.mode must be auto or off, not 'maybe'"),
    "fishjam:\n  tls: {certificate: a.pem}\n" + PARROT: (
        "config.yaml:2: fishjam.tls has one of certificate and key: give both of them"
    ),
    "fishjam:\n  tls: {mode: off, certificate: a.pem, key: b.pem}\n" + PARROT: (
        "config.yaml:2: fishjam.tls is off and has a certificate: keep one of them"
    ),
    "fishjam: {allowed_hosts: http://bot.example}\n" + PARROT: (
        "config.yaml:1: fishjam.allowed_hosts must be names like bot.example or bot.example:8443, "
        "not 'http://bot.example'"
    ),
    "fishjam: {id: abc, management_token: 'two words'}\n" + PARROT: (
        "config.yaml:1: fishjam.management_token is no token: it must be of ASCII letters, digits and signs, "
        "without spaces"
    ),
    "fishjam: {management_token: tökén}\n" + PARROT: (
        "config.yaml:1: fishjam.management_token is no token: it must be of ASCII letters, digits and signs, "
        "without spaces"
    ),
    "agents: {backend: {type: parrot}}": "config.yaml:1: agents is not a setting: did you mean agent?",
    "log: {file: no/such/call.log}\nagent: {backend: {type: parrot}}": (
        "config.yaml:1: log.file: there is no folder no/such: make it first"
    ),
}


@pytest.fixture(autouse=True)
def beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config("config.yaml", environ or {})
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(("text", "sentence"), MISTAKES.items(), ids=list(MISTAKES.values()))
def test_a_mistake_is_told_with_file_line_and_key(text: str, sentence: str) -> None:
    Path("config.yaml").write_text(text)
    assert refusal({"SECRET": "hunter2"}) == sentence


def test_all_mistakes_are_told_in_the_order_of_the_file() -> None:
    Path("config.yaml").write_text(
        "log: {level: loud}\nagent:\n  backend: {type: parrot, delay: x}\n"
        "  turns: {mode: me, max_turns: 3}\n"
        "limits: {max_call: '${LONG}'}\n"
    )
    assert refusal().splitlines() == [
        "config.yaml:1: log.level must be debug, info, warning or error, not 'loud'",
        "config.yaml:3: agent.backend.delay must be a number, not 'x'",
        "config.yaml:4: agent.turns.max_turns is not a setting: did you mean max_turn?",
        "config.yaml:4: agent.turns.mode must be local, backend or push_to_talk, not 'me'",
        "config.yaml:5: limits.max_call: the variable LONG is not set: set it, or write ${LONG:-default}",
    ]


def test_what_is_below_an_old_name_is_told_with_it() -> None:
    Path("config.yaml").write_text(
        "agent:\n"
        "  backend: {type: cascade, stt: x, llm: x, tts: x, stand_in_after: 1}\n"
        "  voice: {background: {wav: hum.wav, levl: 3}}\n"
        "  silence: {away: soon}\n"
        "  turns: {owner: local, mode: local}\n"
    )
    told = refusal().splitlines()
    assert (
        "config.yaml:2: agent.backend.stand_in_after is now agent.backend.fallback_after: rename it" in told
    )
    assert [sentence for sentence in told if ":2:" not in sentence] == [
        "config.yaml:3: agent.voice is now agent.background_audio: rename it",
        "config.yaml:3: agent.voice.background is now agent.background_audio.ambient: rename it",
        "config.yaml:3: agent.background_audio.ambient.levl is not a setting: did you mean level?",
        "config.yaml:4: agent.silence is now agent.idle: rename it",
        "config.yaml:4: agent.silence.away is now agent.idle.after: rename it",
        "config.yaml:4: agent.idle.after must be a number, not 'soon'",
        "config.yaml:5: agent.turns.owner is now agent.turns.mode: rename it",
    ]


def test_an_old_name_in_a_list_of_backends_is_told_with_its_place() -> None:
    Path("config.yaml").write_text(
        "agent:\n  backend:\n    type: fallback\n    backends:\n"
        "      - {type: parrot}\n      - {type: cascade, stand_in_after: 1}\n"
    )
    place = "agent.backend.backends[1]"
    assert f"config.yaml:6: {place}.stand_in_after is now {place}.fallback_after: rename it" in refusal()


@pytest.mark.parametrize(("name", "folder"), registry.INTEGRATIONS.items())
def test_a_backend_that_is_not_installed_says_what_installs_it(
    name: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "installed", lambda base: {})
    Path("config.yaml").write_text(f"agent: {{backend: {{type: {name}}}}}")
    assert refusal() == (
        f"config.yaml:1: agent.backend.type: backend '{name}' is not installed: {install_integration(folder)}"
    )


@pytest.mark.parametrize(
    ("job", "name", "folder"),
    [
        (group.rpartition(".")[2], name, folder)
        for group, folders in registry.COMPONENTS.items()
        for name, folder in folders.items()
    ],
)
def test_a_part_of_a_cascade_that_is_not_installed_says_what_installs_it(
    job: str, name: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = registry.installed
    monkeypatch.setattr(registry, "installed", lambda base: {} if base is not Backend else real(base))
    Path("config.yaml").write_text(f"agent:\n  backend:\n    type: cascade\n    {job}: {{type: {name}}}\n")
    what = {"stt": "speech to text", "llm": "language model", "tts": "text to speech"}[job]
    sentence = f"agent.backend.{job}.type: {what} '{name}' is not installed: {install_integration(folder)}"
    assert sentence in refusal()


def test_every_part_that_is_ours_and_installed_here_is_known_with_its_folder() -> None:
    assert {
        (group, point.name, point.dist.name)
        for group in registry.COMPONENTS
        for point in entry_points(group=group)
        if point.dist is not None and point.dist.name != "fishjam-agents"
    } == {
        (group, name, f"fishjam-agents-{folder}")
        for group, folders in registry.COMPONENTS.items()
        for name, folder in folders.items()
    }


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"agent: 1\n\xff\xfe", "config.yaml:2: the file is not text in UTF-8: save it as UTF-8"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "config.yaml:1: the file is not text: give a YAML file"),
        (b"#" * 1_000_001, "config.yaml: the file has more than 1000000 bytes: give a file of settings"),
        (
            b"#" * 1_000_000 + "\u00e9".encode(),
            "config.yaml: the file has more than 1000000 bytes: give a file of settings",
        ),
    ],
)
def test_a_file_of_something_else_is_refused(content: bytes, sentence: str) -> None:
    Path("config.yaml").write_bytes(content)
    assert refusal() == sentence


def test_a_missing_file_is_told() -> None:
    assert refusal() == "config.yaml: there is no such file: check the path"


def test_a_folder_is_told() -> None:
    Path("config.yaml").mkdir()
    assert refusal() == "config.yaml: this is a folder: name the file in it"


def test_a_wrong_id_in_the_environment_is_told_by_the_variable() -> None:
    Path("config.yaml").write_text(PARROT)
    assert refusal({"FISHJAM_ID": "localhost:5002"}) == (
        "config.yaml: FISHJAM_ID: the Fishjam ID 'localhost:5002' is neither an ID nor a URL: for a server "
        "write http://localhost:5002"
    )
    assert refusal({"FISHJAM_ID": "abc"}).startswith("config.yaml: FISHJAM_ID is 'abc', which needs")
    assert refusal({"FISHJAM_ID": "abc", "FISHJAM_MANAGEMENT_TOKEN": "a\nb"}).startswith(
        "config.yaml: FISHJAM_MANAGEMENT_TOKEN is no token"
    )


def test_a_few_aliases_cannot_unfold_into_gigabytes() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    Path("config.yaml").write_text("\n".join(lines))
    assert "a29 is not a setting" in refusal()

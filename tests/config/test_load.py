"""What a config.yaml that is right comes to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.backends import Backend, Parrot, Wav, registry
from fishjam_agents.config import Config, load_config
from fishjam_agents.config.variables import VariableError, expand
from fishjam_agents.errors import ConfigError
from fishjam_agents.worker.settings import FishjamSettings

PARROT = "agent: {backend: {type: parrot}}\n"


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def load(text: str, **environ: str) -> Config:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return load_config(path, environ)

    return load


def test_a_backend_is_a_complete_file(load: Any) -> None:
    config = load(PARROT)
    assert config.agent.backend == Parrot()
    assert config.fishjam == FishjamSettings()
    assert config.room.id is None
    assert config.agent.sections == {}


def test_every_key_of_a_full_file_arrives(load: Any, tmp_path: Path) -> None:
    (tmp_path / "hello.wav").touch()
    config = load(
        """
fishjam: {id: https://example.org/fishjam/, management_token: secret, host: 0.0.0.0, port: 0}
room: {id: r1}
agent:
  pipeline: "bots.kind:Bot"
  backend: {type: parrot, delay: 1, text: 12}
  turns: {end_silence: 0.8, silence_locally: no}
  playout: {sample_rate: 16000}
  hearing: {agents: true, tracks: [microphone, 7]}
  greeting: {wav: hello.wav}
  instructions: Be kind.
limits: {max_call: 1e3, empty_room: 30}
log: {level: debug, file: bot.log}
"""
    )
    assert config.fishjam == FishjamSettings("https://example.org/fishjam/", "secret", "0.0.0.0", 0)
    assert config.room.id == "r1"
    assert config.agent.pipeline == "bots.kind:Bot"
    assert config.agent.backend == Parrot(delay=1.0, text="12")
    assert config.agent.sections["turns"].settings.end_silence == 0.8
    assert config.agent.sections["turns"].keys == {"end_silence", "silence_locally"}
    assert config.agent.sections["turns"].settings.silence_locally is False
    assert config.agent.sections["playout"].settings.sample_rate == 16000
    assert config.agent.sections["hearing"].settings.tracks == ("microphone", "7")
    assert config.agent.greeting.wav == tmp_path / "hello.wav"
    assert config.agent.instructions == "Be kind."
    assert (config.limits.max_call, config.limits.empty_room) == (1000.0, 30.0)
    assert (config.log.level, config.log.file) == ("debug", tmp_path / "bot.log")
    assert config.where("agent.turns.end_silence") == f"{config.source}:7"
    assert config.where("agent.turns.mode") == str(config.source)


@pytest.mark.parametrize("written", ["007", "0x1F", "1_000", "12:30:00", "2024-01-01", "1e5", "no", "true"])
def test_what_looks_like_a_number_is_text_where_text_is_meant(load: Any, written: str) -> None:
    config = load(f"fishjam: {{id: abc, management_token: {written}}}\nroom: {{id: {written}}}\n" + PARROT)
    assert config.room.id == config.fishjam.management_token == written


@pytest.mark.parametrize("nothing", ["", "~", "null"])
def test_a_key_without_a_value_is_as_if_it_were_not_there(load: Any, nothing: str) -> None:
    config = load(f"fishjam: {nothing}\nlog:\n  level: {nothing}\nroom: {{create: {nothing}}}\n" + PARROT)
    assert config == replace(load(PARROT), lines=config.lines)
    assert config.fishjam == FishjamSettings()
    assert config.log.level == "info"


def test_null_takes_back_what_a_class_may_have_set(load: Any) -> None:
    config = load("agent: {backend: {type: parrot}, turns: {end_silence: null}}")
    assert config.agent.sections["turns"].keys == {"end_silence"}


def test_the_line_end_of_a_token_from_a_file_is_no_part_of_it(load: Any) -> None:
    config = load("fishjam: {id: abc}\n" + PARROT, FISHJAM_MANAGEMENT_TOKEN="hunter2\n")
    assert config.fishjam.management_token == "hunter2"


def test_a_host_of_this_machine_needs_no_token(load: Any, tmp_path: Path) -> None:
    for host in ("127.0.0.2", "'::1'", "localhost"):
        assert load(f"fishjam: {{host: {host}}}\n" + PARROT).fishjam.management_token is None
    allowed = load("fishjam: {allowed_hosts: bot.example, allowed_origins: [http://a.example]}\n" + PARROT)
    assert allowed.fishjam.allowed_hosts == ("bot.example",)
    assert allowed.fishjam.allowed_origins == ("http://a.example",)
    assert load("fishjam: {tls: off}\n" + PARROT).fishjam.tls.wanted == "off"
    files = load("fishjam: {tls: {certificate: a.pem, key: keys/b.pem}}\n" + PARROT).fishjam.tls.wanted
    assert files == (tmp_path / "a.pem", tmp_path / "keys" / "b.pem")
    assert load("fishjam: {host: 0.0.0.0, management_token: x}\n" + PARROT).fishjam.host == "0.0.0.0"


def test_relative_paths_are_relative_to_the_file(load: Any, tmp_path: Path) -> None:
    assert load("agent: {backend: {type: wav, file: a/b.wav}}").agent.backend == Wav(tmp_path / "a/b.wav")
    assert load("agent: {backend: {type: wav, file: /b.wav}}").agent.backend == Wav(Path("/b.wav"))


def test_a_variable_becomes_what_its_setting_is(load: Any) -> None:
    config = load(
        "fishjam:\n  port: ${PORT}\nlimits: {max_call: '${CALL:-60}'}\nroom: {create: '${YES}'}\n" + PARROT,
        PORT="80",
        YES="true",
    )
    assert config.fishjam.port == 80
    assert config.limits.max_call == 60
    assert config.room.create is True


def test_a_variable_never_adds_yaml(load: Any) -> None:
    evil = "x\nlog: {level: debug}  # {a: b}"
    config = load("agent:\n  backend: {type: parrot}\n  instructions: ${TEXT}\n", TEXT=evil)
    assert config.agent.instructions == evil
    assert config.log.level == "info"


def test_a_variable_that_is_set_to_nothing_is_nothing(load: Any) -> None:
    config = load(
        "fishjam: {id: abc, management_token: '${TOKEN}'}\n" + PARROT,
        TOKEN="",
        FISHJAM_MANAGEMENT_TOKEN="environment",
    )
    assert config.fishjam.management_token == "environment"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${B:-}", ""),
        ("${B:-a b:c-$d}", "a b:c-$d"),
        ("${A:-2}", "1"),
        ("${EMPTY:-2}", "2"),
        ("$A {A} $$", "$A {A} $$"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "EMPTY": ""}) == expected


@pytest.mark.parametrize("text", ["${", "${A", "${}", "${1A}", "${A:-${B}}", "${A-b}", "${MISSING}"])
def test_what_is_no_variable_is_refused(text: str) -> None:
    with pytest.raises(VariableError):
        expand(text, {"A": "1", "B": "2"})


@given(st.text(alphabet="ab${}:-\\\n"))
def test_text_without_an_opening_brace_stays(text: str) -> None:
    if "${" not in text:
        assert expand(text, {}) == text


def test_the_file_wins_over_the_environment_for_each_key(load: Any) -> None:
    environ = {"FISHJAM_ID": "from-env", "FISHJAM_MANAGEMENT_TOKEN": "token-env"}
    assert load(PARROT, **environ).fishjam == FishjamSettings("from-env", "token-env")
    assert load("fishjam: {id: mine}\n" + PARROT, **environ).fishjam == FishjamSettings("mine", "token-env")
    config = load("fishjam: {management_token: mine}\n" + PARROT, **environ)
    assert config.fishjam == FishjamSettings("from-env", "mine")


def test_a_local_server_never_takes_the_token_of_the_cloud(load: Any) -> None:
    config = load("fishjam: {id: local}\n" + PARROT, FISHJAM_MANAGEMENT_TOKEN="of-the-cloud")
    assert config.fishjam.management_token is None


def test_the_token_is_in_no_repr(load: Any) -> None:
    config = load("fishjam: {id: abc, management_token: hunter2}\n" + PARROT)
    assert "hunter2" not in repr(config)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbffishjam: {id: local}\r\nagent:\r\n  backend:\r\n    type: parrot\r\n")
    assert load_config(path, {}).agent.backend == Parrot()


@dataclass(frozen=True)
class Retries:
    count: int = 3


@dataclass(frozen=True)
class Vendor(Backend):
    key: str
    options: dict[str, Any] | None = None
    weights: dict[str, float] | None = None
    retries: Retries = Retries()
    model: str | int = "small"

    def __post_init__(self) -> None:
        if self.key == "old":
            raise ValueError("key is of a project that is closed: make a new one")

    def connect(self, conversation: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find", lambda name, base: Vendor)


@pytest.mark.usefixtures("vendor")
def test_a_backend_may_have_sections_and_free_mappings_of_its_own(load: Any) -> None:
    config = load(
        "agent:\n  backend:\n    type: vendor\n    key: '${KEY}'\n    retries: {count: 5}\n"
        "    options: {a: 1, b: '1', c: [true, x], d: {e: 0.5}, f: ~, g: '${KEY}'}\n"
        "    weights: {a: 1}\n    model: 3\n",
        KEY="{k: v}",
    )
    assert config.agent.backend == Vendor(
        key="{k: v}",
        options={"a": 1, "b": "1", "c": [True, "x"], "d": {"e": 0.5}, "f": None, "g": "{k: v}"},
        weights={"a": 1.0},
        retries=Retries(5),
        model="3",
    )


@pytest.mark.usefixtures("vendor")
def test_mistakes_inside_a_backend_name_their_own_line(load: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load("agent:\n  backend:\n    type: vendor\n    retries:\n      cuont: 5\n    weights: {a: b}\n")
    where = tmp_path / "config.yaml"
    assert str(caught.value).splitlines() == [
        f"{where}:2: agent.backend.key is missing: give it",
        f"{where}:5: agent.backend.retries.cuont is not a setting: did you mean count?",
        f"{where}:6: agent.backend.weights is wrong at a "
        "(Input should be a valid number, unable to parse string as a number)",
    ]


@pytest.mark.usefixtures("vendor")
def test_what_a_backend_of_others_refuses_is_told_with_the_line_of_its_section(
    load: Any, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load("agent:\n  backend:\n    type: vendor\n    key: old\n")
    assert str(caught.value) == (
        f"{tmp_path / 'config.yaml'}:2: agent.backend: key is of a project that is closed: make a new one"
    )


@pytest.mark.usefixtures("vendor")
def test_a_number_inside_a_mapping_must_be_finite(load: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load("agent:\n  backend:\n    type: vendor\n    key: k\n    weights: {a: nan}\n")
    assert str(caught.value) == (
        f"{tmp_path / 'config.yaml'}:5: agent.backend.weights is wrong at a (Input should be a finite number)"
    )

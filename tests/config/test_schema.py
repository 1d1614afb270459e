"""The JSON Schema of config.yaml judges files as the loader does, as far as a schema can."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fishjam_agents.config import config_schema, load_config
from fishjam_agents.config.catalogue import implementations, settings_of
from fishjam_agents.config.schema import config_schema as make_schema
from fishjam_agents.config.settings import AgentSettings, Config
from fishjam_agents.errors import ConfigError
from fishjam_agents.pipeline.agent import SECTIONS
from fishjam_agents.settings_codec import variants

from ..cli.command import command

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in ("examples", "deploy", "integrations")
    for path in (ROOT / folder).rglob("*.yaml")
    if re.search(r"^(agent|bots|fishjam):", path.read_text(), re.MULTILINE)
)
ENVIRONMENT = {name: "8080" for path in FILES for name in re.findall(r"\$\{(\w+)\}", path.read_text())}


class EditorLoader(yaml.SafeLoader):
    """YAML 1.2, as editors read it: `off` is a word and a date is text."""


EditorLoader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if not tag.endswith((":bool", ":timestamp"))]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
EditorLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    made = config_schema()
    jsonschema.Draft7Validator.check_schema(made)
    return jsonschema.Draft7Validator(made)


def data_of(path: Path) -> Any:
    return yaml.load(path.read_text(), EditorLoader)


def accepted(text: str, beside: Path, tmp_path: Path) -> bool:
    """Return True if the loader takes a file; what it names lies beside another one."""
    copied = beside.with_name(f".{tmp_path.name}.yaml")
    copied.write_text(text)
    try:
        load_config(copied, ENVIRONMENT)
    except ConfigError:
        return False
    finally:
        copied.unlink()
    return True


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_of_the_repository_is_right_to_an_editor(
    path: Path, schema: jsonschema.Draft7Validator
) -> None:
    problems = [
        f"{'.'.join(map(str, error.path))}: {error.message}" for error in schema.iter_errors(data_of(path))
    ]
    assert not problems


def mappings(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of every mapping."""
    if isinstance(data, dict):
        yield path
        for key, value in data.items():
            yield from mappings(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from mappings(value, (*path, index))


EVERYTHING = """
fishjam: {id: https://example.com, management_token: "1", tls: off, allowed_hosts: example.org}
agent:
  backend:
    type: fallback
    backends:
      - {type: cascade, stt: {type: openai, model: a}, llm: [{type: openai, model: b}], tts: {type: espeak}}
      - {type: gemini, thinking: {budget: 0}, limits: {calls: 3}}
      - {type: openai_realtime, detection: {type: semantic_vad}}
      - {type: parrot, delay: 0.5}
  instructions: 007
  tools: end_call
  mcp: {command: python, env: {A: b}}
  turns: {mode: local, end_of_turn: {type: fixed, seconds: 1}, barge_in: {voice: 0.4, backchannel: en}}
  playout: {lead: "${LEAD:-0.2}", sample_rate: 24000}
  idle: {after: 8, prompt: "Still there?", goodbye: {text: Bye.}}
  hearing: {mode: mix, echo: none}
  vision: {tracks: [camera]}
room:
limits: {max_call: 60}
log: {level: debug}
observe:
  webhooks: [{url: "https://example.com/hook", secret: s}]
  tracing: {service: bots}
  metrics: {port: 0}
"""
MANY = """
fishjam: {id: https://example.com, management_token: "1"}
bots:
  poet: {backend: {type: wav, file: camera.wav}, turns: {end_of_turn: 0.8, barge_in: never}}
  clerk: {backend: {type: parrot}, hearing: mix, turns: {end_of_turn: punctuation}}
rooms:
  - {peer: {wants: poem}, bot: poet}
  - {id: a, bot: clerk}
  - {every: true, bot: clerk}
workers: {processes: 2, max_calls: 50, claims: redis://store, shard: 1/3}
api: 8081
journal: redis://store
ray: {target: 4}
"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("text", [EVERYTHING, MANY])
def test_a_wrong_key_is_one_to_both_wherever_it_stands(
    text: str, schema: jsonschema.Draft7Validator, tmp_path: Path
) -> None:
    data = yaml.load(text, EditorLoader)
    beside = tmp_path / "config.yaml"
    assert accepted(text, beside, tmp_path)
    assert schema.is_valid(data)
    refused = 0
    for place in mappings(data):
        wrong = copy.deepcopy(data)
        inner = wrong
        for key in place:
            inner = inner[key]
        inner["no_such_key"] = "x"
        loads = accepted(yaml.safe_dump(wrong), beside, tmp_path)
        assert schema.is_valid(wrong) == loads, f"at {place}"
        refused += not loads
    assert refused >= 12


@pytest.mark.parametrize(
    "text",
    [
        "agent: {backend: {type: parrrot}}",
        "agent: {backend: parrot}",
        "agent: {backend: {delay: 1}}",
        "agent: {backend: {type: parrot, delay: soon}}",
        "agent: {backend: {type: parrot}, turns: {preset: loud}}",
        "agent: {backend: {type: parrot}, turns: {end_of_turn: {type: fixed, least: 1}}}",
        "agent: {backend: {type: parrot}, turns: {barge_in: sometimes}}",
        "agent: {backend: {type: parrot}, idle: {prompts: 1.5}}",
        "{agent: {backend: {type: parrot}}, fishjam: {port: many}}",
        "{agent: {backend: {type: parrot}}, observe: {recording: {format: opus}}}",
        "[agent]",
    ],
)
def test_wrong_words_and_types_are_wrong_to_both(
    text: str, schema: jsonschema.Draft7Validator, tmp_path: Path
) -> None:
    assert not schema.is_valid(yaml.load(text, EditorLoader))
    assert not accepted(text, tmp_path / "config.yaml", tmp_path)


def settings_classes() -> dict[type[Any], None]:
    """Every settings class that a config.yaml may reach."""
    from fishjam_agents.backends.cascade.components import LanguageModel, SpeechToText, TextToSpeech
    from fishjam_agents.backends.port import Backend
    from fishjam_agents.observe.settings import WebhookSettings
    from fishjam_agents.tools.mcp_server import McpServer
    from fishjam_agents.worker.room_rules import RoomRule

    found: dict[type[Any], None] = {}

    def visit(kind: type[Any]) -> None:
        if kind not in found:
            found[kind] = None
            for setting in settings_of(kind).values():
                for inner in variants(setting.hint).values():
                    visit(inner)

    for kind in (Config, AgentSettings, McpServer, RoomRule, WebhookSettings, *SECTIONS.values()):
        visit(kind)
    for base in (Backend, SpeechToText, LanguageModel, TextToSpeech):
        for name, kind in implementations(base).items():
            if name != "template":  # It shows what the shortest backend looks like.
                visit(kind)
    return found


OF_VENDORS = {"temperature", "top_p", "top_k"}
"""Numbers that are a vendor's own, without a unit."""


@pytest.mark.parametrize("kind", settings_classes(), ids=lambda kind: kind.__name__)
def test_every_key_has_a_sentence_and_every_number_a_unit(kind: type[Any]) -> None:
    assert dataclasses.is_dataclass(kind)
    for name, setting in settings_of(kind).items():
        assert setting.text.strip(), f"{kind.__name__}.{name} has no entry in Attributes:"
        if setting.hint in (float, float | None) and name not in OF_VENDORS:
            assert setting.unit, f"{kind.__name__}.{name} is a number without a unit (fishjam_agents.units)"


def test_the_command_prints_it_or_writes_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = command(capsys, "schema")
    assert code == 0
    assert json.loads(out) == make_schema()
    file = tmp_path / "config.schema.json"
    assert command(capsys, "schema", "--out", str(file)) == (0, f"{file}\n", "")
    assert json.loads(file.read_text()) == make_schema()
    code, _, error = command(capsys, "schema", "--out", str(tmp_path / "no" / "where.json"))
    assert code == 2
    assert "give another file with --out" in error


def test_the_file_that_the_examples_name_is_of_today() -> None:
    from tests.docs.config_schema import FILE, text

    assert FILE.read_text(encoding="utf-8") == text(), "run `make schema`"
    for path in FILES:
        if path.is_relative_to(ROOT / "examples") and path.name != "scenario.yaml":
            first = path.read_text().splitlines()[0]
            assert first == "# yaml-language-server: $schema=../config.schema.json", path

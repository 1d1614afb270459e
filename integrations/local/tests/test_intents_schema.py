"""The JSON Schema of dialogue.yaml judges files as the loader does, as far as a schema can."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from fishjam_agents_local.intents import read_dialogue
from fishjam_agents_local.intents.schema import dialogue_schema

from fishjam_agents.errors import ConfigError
from tests.cli.command import command
from tests.config.test_schema import EditorLoader, mappings

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "offline_assistant" / "dialogue.yaml"
PAGE = (ROOT / "docs" / "dialogues.md").read_text()
(OF_THE_PAGE,) = re.findall(r"^```yaml\n(intents:.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EVERYTHING = """
intents:
  order:
    about: order
    examples: order something
    keywords: pizza
    slots:
      count: {type: number, ask: "How many?", least: 1, most: "9"}
      size: {type: choice, ask: "Which?", options: {small: [little], large: []}, optional: false}
      time: {type: time, optional: yes, least: "11:00"}
    confirm: "{count}, {size}?"
    say: One moment.
    tool: order
    answer: "{result}"
    failed: "{error}"
    ask_again: count
small_talk:
  - {examples: [hello, 7], answer: Hello!}
other: No.
other_examples: [what]
margin: "${MARGIN:-0.2}"
corrections: {at ease: Aedes}
phrases: {unsure: "Is it to {about}?", left: null}
"""


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    made = dialogue_schema()
    jsonschema.Draft7Validator.check_schema(made)
    return jsonschema.Draft7Validator(made)


def read(text: str) -> Any:
    return yaml.load(text, EditorLoader)


def accepted(text: str, tmp_path: Path) -> bool:
    path = tmp_path / "dialogue.yaml"
    path.write_text(text)
    try:
        read_dialogue(path)
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize(
    "text", [EXAMPLE.read_text(), OF_THE_PAGE, EVERYTHING], ids=["example", "page", "everything"]
)
def test_a_dialogue_that_is_read_is_right_to_an_editor_and_a_wrong_key_is_none(
    text: str, schema: jsonschema.Draft7Validator, tmp_path: Path
) -> None:
    assert accepted(text, tmp_path)
    data = read(text)
    assert [error.message for error in schema.iter_errors(data)] == []
    refused = 0
    for place in mappings(data):
        wrong = copy.deepcopy(data)
        inner = wrong
        for key in place:
            inner = inner[key]
        inner["no_such_key"] = "x"
        loads = accepted(yaml.safe_dump(wrong), tmp_path)
        assert schema.is_valid(wrong) == loads, f"at {place}"
        refused += not loads
    assert refused >= 5


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[intents]",
        "intents: {hours: At nine.}",
        "intents: {hours: {examples: [when], answer: At nine.}}",
        "intents: {hours: {about: it, answer: At nine.}}",
        "intents: {hours: {about: it, examples: {a: b}, answer: At nine.}}",
        "intents: {hours: {about: it, examples: [when], answer: {at: nine}}}",
        "intents: {hours: {about: it, examples: [when], answer: At nine., slots: {x: {ask: What}}}}",
        "intents: {hours: {about: it, examples: [when], answer: At., slots: {x: {type: day, ask: What}}}}",
        "intents: {hours: {about: it, examples: [when], answer: At., slots: {x: {type: text, optional: 3}}}}",
        "{intents: {hours: {about: it, examples: [when], answer: At nine.}}, margin: much}",
        "{intents: {hours: {about: it, examples: [when], answer: At nine.}}, small_talk: {examples: [a]}}",
        "{intents: {hours: {about: it, examples: [when], answer: At nine.}}, phrases: {sorry: Sorry.}}",
        "{intents: {hours: {about: it, examples: [when], answer: At nine.}}, corrections: [a]}",
    ],
)
def test_wrong_keys_types_and_words_are_wrong_to_both(
    text: str, schema: jsonschema.Draft7Validator, tmp_path: Path
) -> None:
    assert not accepted(text, tmp_path)
    assert not schema.is_valid(read(text))


def test_the_file_that_the_example_names_is_of_today() -> None:
    from tests.docs.config_schema import DIALOGUE

    assert json.loads(DIALOGUE.read_text(encoding="utf-8")) == dialogue_schema(), "run `make schema`"
    first = EXAMPLE.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../dialogue.schema.json"


def test_the_command_prints_it_or_writes_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = command(capsys, "dialogue-schema")
    assert (code, json.loads(out)) == (0, dialogue_schema())
    file = tmp_path / "dialogue.schema.json"
    assert command(capsys, "dialogue-schema", "--out", file) == (0, f"{file}\n", "")
    assert json.loads(file.read_text()) == dialogue_schema()
    code, _, error = command(capsys, "dialogue-schema", "--out", tmp_path / "no" / "where.json")
    assert code == 2
    assert "give another file with --out" in error
    code, _, error = command(capsys, "dialogue-schema", "--oot")
    assert code == 2
    assert "No such option" in error

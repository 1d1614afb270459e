"""Instructions that stand in a file of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.errors import ConfigError

CONFIG = "agent:\n  backend: {type: parrot}\n  instructions_file: prompts/desk.md\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def test_a_file_beside_the_configuration_has_the_instructions_with_variables(folder: Path) -> None:
    (folder / "prompts" / "desk.md").write_text("\nYou answer for ${SHOP:-a shop}.\n\nCosts: $${5}.\n\n")
    config = load_config(folder / "config.yaml", {"FISHJAM_ID": "local", "SHOP": "Anna's"})
    assert config.agent.instructions_file == folder / "prompts" / "desk.md"
    assert pipeline_factory(config)().instructions == "You answer for Anna's.\n\nCosts: ${5}."


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (None, "agent.instructions_file: there is no file {file}: check the path"),
        (b"  \n", "agent.instructions_file: {file} is empty: write the instructions in it"),
        (b"caf\xe9", "agent.instructions_file: {file} is not text in UTF-8: save it as UTF-8"),
        (b"x" * 1_000_001, "agent.instructions_file: {file} has more than 1000000 bytes: give a file of"),
        (b"x" * 1_000_000 + "\u00e9".encode(), "agent.instructions_file: {file} has more than 1000000 bytes"),
        (b"Hi ${NOBODY}", "agent.instructions_file: {file}: the variable NOBODY is not set: set it, or"),
    ],
    ids=["missing", "empty", "latin", "huge", "cut character", "variable"],
)
def test_a_file_that_holds_none_is_one_sentence(folder: Path, written: bytes | None, sentence: str) -> None:
    file = folder / "prompts" / "desk.md"
    if written is not None:
        file.write_bytes(written)
    with pytest.raises(ConfigError, match=re.escape(f"config.yaml:3: {sentence.format(file=file)}")) as error:
        load_config(folder / "config.yaml", {"FISHJAM_ID": "local"})
    assert "\n" not in str(error.value)


def test_instructions_stand_in_one_place(folder: Path) -> None:
    (folder / "config.yaml").write_text(f"{CONFIG}  instructions: Be brief.\n")
    sentence = "agent has both instructions and instructions_file: give one of them"
    with pytest.raises(ConfigError, match=sentence):
        load_config(folder / "config.yaml", {"FISHJAM_ID": "local"})

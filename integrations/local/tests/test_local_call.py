"""A call that stays on this machine: a recorded question, heard, answered and spoken."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from fishjam_agents_local.llama_cpp.gguf import SMOLLM2
from fishjam_agents_local.whisper.files import TINY

FIXTURES = Path(__file__).parents[3] / "audio_fixtures"
LONG = 240.0
MISSING = [name for name in ("ctranslate2", "xllamacpp", TINY.module, SMOLLM2.module) if not find_spec(name)]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}: uv sync --group offline"),
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng"),
    pytest.mark.timeout(LONG),
]
CONFIG = """
agent:
  instructions: You are a friendly host. Answer in one short sentence.
  backend:
    type: cascade
    stt: {type: whisper}
    llm: {type: llama_cpp, max_tokens: 12}
    tts: {type: espeak}
    history: 500
    preemptive: true
"""


def simulated(folder: Path, config: str) -> list[dict[str, Any]]:
    (folder / "config.yaml").write_text(config)
    command = [sys.executable, "-m", "fishjam_agents", "simulate", str(folder / "config.yaml")]
    command += ["--caller", str(FIXTURES / "alice_pause.wav"), "--out", str(folder / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    events: list[dict[str, Any]] = json.loads((folder / "out" / "timeline.json").read_text())["events"]
    return events


def test_a_question_is_heard_answered_and_spoken_on_this_machine(tmp_path: Path) -> None:
    events = simulated(tmp_path, CONFIG)
    told = [event for event in events if event["kind"] == "user_transcript"]
    assert told[-1]["final"]
    assert "when the next train is leaving" in told[-1]["text"]
    (latency,) = [event for event in events if event["kind"] == "reply_latency"]
    assert set(latency["parts"]) >= {"stt", "llm", "tts"}
    (ended,) = [event for event in events if event["kind"] == "reply_ended"]
    assert ended["heard"]["seconds"] > 0.3


def test_a_policy_that_ends_turns_by_their_words_has_them(tmp_path: Path) -> None:
    if find_spec("pipecat") is None:
        pytest.skip("needs the weights of Smart Turn: uv sync --all-groups")
    events = simulated(tmp_path, f"{CONFIG}  turns: {{end_of_turn: smart_turn}}\n")
    (ended,) = [event for event in events if event["kind"] == "user_turn_ended"]
    told = [event for event in events if event["kind"] == "user_transcript" and event["final"]]
    assert ["when the next train is leaving" in event["text"] for event in told] == [True]
    assert ended["reason"] == "silence"

"""A call that stays on this machine: a recorded question, heard, answered and spoken."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fishjam_agents_local.llama_cpp.gguf import SMOLLM2
from fishjam_agents_local.whisper.files import TINY

from fishjam_agents.audio.wav import read_wav, write_wav

FIXTURES = Path(__file__).parents[3] / "audio_fixtures"
LONG = 240.0
PATIENCE = 12.0
"""Seconds that the caller stays on the line: a machine that is busy with other tests answers late."""
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
    transcript_wait: 60
    deadline: 60
"""


def simulated(folder: Path, config: str) -> list[dict[str, Any]]:
    (folder / "config.yaml").write_text(config)
    command = [sys.executable, "-m", "fishjam_agents", "simulate", str(folder / "config.yaml")]
    question = read_wav(FIXTURES / "alice_pause.wav")
    patient = np.concatenate([question.samples, np.zeros(round(PATIENCE * question.sample_rate), np.int16)])
    write_wav(folder / "caller.wav", patient, question.sample_rate)
    command += ["--caller", str(folder / "caller.wav"), "--out", str(folder / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    events: list[dict[str, Any]] = json.loads((folder / "out" / "timeline.json").read_text())["events"]
    return events


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


def words(events: list[dict[str, Any]]) -> str:
    """What was understood; a machine that is late may take a pause for the end of a turn."""
    return " ".join(event["text"] for event in of(events, "user_transcript") if event["final"])


def test_a_question_is_heard_answered_and_spoken_on_this_machine(tmp_path: Path) -> None:
    events = simulated(tmp_path, CONFIG)
    assert "when the next train is leaving" in words(events)
    assert set(of(events, "reply_latency")[-1]["parts"]) >= {"stt", "llm", "tts"}
    assert of(events, "reply_ended")[-1]["heard"]["seconds"] > 0.3

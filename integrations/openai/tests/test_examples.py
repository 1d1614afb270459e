"""The examples with OpenAI's names, over real sockets on both sides."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}


def simulate(example: str, out: Path) -> list[dict[str, Any]]:
    """Run the command of an example's page; the events of the call."""
    page = (ROOT / "examples" / example / "README.md").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^    (.*fishjam_agents_openai\.emulator.*)$", page, re.MULTILINE)
    words = [sys.executable if word == "python" else word for word in shlex.split(line)]
    words[words.index("--out") + 1] = str(out)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        words = [word.replace("8080", str(free.getsockname()[1])) for word in words]
    done = subprocess.run(
        ["env", *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=50, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    events: list[dict[str, Any]] = json.loads((out / "timeline.json").read_text())["events"]
    return events


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_a_local_cascade_answers(tmp_path: Path) -> None:
    events = simulate("local_cascade", tmp_path)
    (transcript,) = of(events, "user_transcript")
    assert transcript["text"].startswith("I spoke for ")
    (timed,) = of(events, "reply_timed")
    assert set(timed["parts"]) == {"stt", "waited", "llm", "tts"}
    (ended,) = of(events, "reply_ended")
    assert ended["heard"]["seconds"] > 2
    assert ended["heard"]["text"].startswith("You said: I spoke for")


def test_the_poet_answers_and_is_interrupted(tmp_path: Path) -> None:
    events = simulate("openai_poet", tmp_path)
    assert of(events, "user_transcript")
    (ended,) = of(events, "reply_ended")
    assert ended["heard"]["seconds"] > 1
    assert not of(events, "error")
    assert not of(events, "backend_warning")

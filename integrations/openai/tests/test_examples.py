"""The examples with OpenAI's names, over real sockets on both sides."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


@contextmanager
def emulator(*options: str) -> Iterator[str]:
    """The emulator as its own program; its address."""
    command = [sys.executable, "-m", "fishjam_agents_openai.emulator", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as program:
        try:
            assert program.stdout is not None
            yield next(word for word in program.stdout.readline().split() if word.startswith("http"))
        finally:
            program.terminate()


def simulate(example: str, caller: str, out: Path, **environment: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "fishjam_agents", "simulate", f"examples/{example}/config.yaml"),
            *("--caller", f"audio_fixtures/{caller}.wav", "--out", str(out)),
        ],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=50,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    events: list[dict[str, Any]] = json.loads((out / "timeline.json").read_text())["events"]
    return events


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_a_local_cascade_answers(tmp_path: Path) -> None:
    with emulator() as url:
        events = simulate("local_cascade", "caller", tmp_path, STT_URL=url, LLM_URL=url)
    (transcript,) = of(events, "user_transcript")
    assert transcript["text"].startswith("I spoke for ")
    (timed,) = of(events, "reply_timed")
    assert set(timed["parts"]) == {"stt", "waited", "llm", "tts"}
    (ended,) = of(events, "reply_ended")
    assert ended["heard"]["seconds"] > 2
    assert ended["heard"]["text"].startswith("You said: I spoke for")


def test_the_poet_answers_and_is_interrupted(tmp_path: Path) -> None:
    with emulator("--realtime") as url:
        events = simulate("openai_poet", "caller", tmp_path, OPENAI_BASE_URL=url)
    assert of(events, "user_transcript")
    (ended,) = of(events, "reply_ended")
    assert ended["heard"]["seconds"] > 1
    assert not of(events, "error")
    assert not of(events, "backend_warning")

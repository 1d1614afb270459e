"""examples/local_cascade, over real sockets on both sides."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_the_example_answers_through_the_emulator(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "fishjam_agents_openai.emulator", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as emulator:
        try:
            assert emulator.stdout is not None
            url = emulator.stdout.readline().split()[6].rstrip(";")
            done = subprocess.run(
                [
                    *(
                        sys.executable,
                        "-m",
                        "fishjam_agents",
                        "simulate",
                        "examples/local_cascade/config.yaml",
                    ),
                    *("--caller", "audio_fixtures/caller.wav", "--out", str(tmp_path)),
                ],
                env=os.environ | {"STT_URL": url, "LLM_URL": url},
                capture_output=True,
                text=True,
                timeout=50,
                cwd=ROOT,
            )
        finally:
            emulator.terminate()
    assert done.returncode == 0, done.stderr
    events = json.loads((tmp_path / "timeline.json").read_text())["events"]
    (transcript,) = [event for event in events if event["kind"] == "user_transcript"]
    assert transcript["text"].startswith("I spoke for ")
    (timed,) = [event for event in events if event["kind"] == "reply_timed"]
    assert set(timed["parts"]) == {"stt", "waited", "llm", "tts"}
    (ended,) = [event for event in events if event["kind"] == "reply_ended"]
    assert ended["heard"]["seconds"] > 2
    assert ended["heard"]["text"].startswith("You said: I spoke for")

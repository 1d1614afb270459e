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

import numpy as np
import pytest

from fishjam_agents.audio.gain import dbfs
from fishjam_agents.audio.wav import read_wav

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}


def simulate(
    example: str, out: Path, timeout: float = 110, attempts: int = 1
) -> tuple[list[dict[str, Any]], str]:
    """Run the command of an example's page; the events of the call, and what was printed."""
    page = (ROOT / "examples" / example / "README.md").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^    (.*fishjam_agents_openai\.emulator.*)$", page, re.MULTILINE)
    words = [sys.executable if word == "python" else word for word in shlex.split(line)]
    words[words.index("--out") + 1] = str(out)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        words = [word.replace("8080", str(free.getsockname()[1])) for word in words]
    for _ in range(attempts):
        done = subprocess.run(
            ["env", *words],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=ROOT,
            check=False,
        )
        # On a busy machine a caller's words come late, and a turn may fall in two: the program says so.
        if done.returncode == 0 or "ms late, more than" not in done.stdout:
            break
    assert done.returncode == 0, done.stderr
    events: list[dict[str, Any]] = json.loads((out / "timeline.json").read_text())["events"]
    return events, done.stdout


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


@pytest.mark.timeout(150)
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_a_local_cascade_answers_with_a_voice_and_says_what_each_part_took(tmp_path: Path) -> None:
    events, printed = simulate("local_cascade", tmp_path)
    (transcript,) = of(events, "user_transcript")
    assert transcript["text"].startswith("I spoke for ")
    (timed,) = of(events, "reply_latency")
    assert list(timed["parts"]) == ["stt", "waited", "llm", "sentence", "tts"]
    (ended,) = of(events, "reply_ended")
    assert ended["heard"]["seconds"] > 2
    assert ended["heard"]["text"].startswith("You said: I spoke for")
    assert re.search(r"From the turn's end to the first sound: \d+ ms \(stt \d+, waited \d+, llm", printed)
    assert ">Latency of each component<" in (tmp_path / "report.html").read_text()

    heard = read_wav(tmp_path / "heard.wav").samples
    sounding = np.flatnonzero(heard)
    voice = heard[sounding[0] : sounding[-1] + 1]
    assert dbfs(voice) > -30
    # Speech and no tone: loudness comes and goes with the syllables, three and more times a second.
    frames = voice[: len(voice) // 320 * 320].reshape(-1, 320).astype(np.float64)
    loud = np.sqrt((frames**2).mean(1)) > np.sqrt((voice.astype(np.float64) ** 2).mean()) / 2
    begins = np.count_nonzero(loud[1:] & ~loud[:-1])
    assert begins > 2 * ended["heard"]["seconds"]
    assert 0.2 < loud.mean() < 0.9


@pytest.mark.timeout(150)
def test_the_poet_answers_to_the_command_of_its_page(tmp_path: Path) -> None:
    events, _ = simulate("openai_poet", tmp_path)
    assert of(events, "user_transcript")
    (ended,) = of(events, "reply_ended")
    assert ended["heard"]["seconds"] > 1
    assert not of(events, "error")
    assert not of(events, "backend_warning")


@pytest.mark.timeout(400)
def test_a_call_is_handed_over_to_billing_and_to_a_person_who_joins(tmp_path: Path) -> None:
    # The command plays the example's scenario, and fails where an expectation is not met.
    events, printed = simulate("handoffs", tmp_path, 130, attempts=3)
    assert "scenario passed: " in printed
    assert ">billing took over from Reception<" in (tmp_path / "report.html").read_text()
    changed, after = of(events, "bot_changed")[0], of(events, "reply_started")
    following = next(reply for reply in after if reply["at"] >= changed["at"])
    assert following["reply"].startswith("openai-")

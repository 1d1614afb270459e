"""The whole way: a file, a service that refuses, and what the caller and the user of the program get."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from fishjam_agents_gemini.emulator import GeminiEmulator

from fishjam_agents.audio.wav import read_wav

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


def simulate(folder: Path, agent: str, *, refusing: tuple[int, str], until: str) -> tuple[int, str, str]:
    """Run the program against an emulated Gemini that refuses everybody: exit code, output, errors.

    The call is longer the second time, where a busy machine took too long to get as far as `until`.
    """
    (folder / "config.yaml").write_text(f"agent:\n{agent}")
    for seconds in (4, 20):
        code, output, errors = _simulate(folder, refusing, seconds)
        if code or until in output:
            break
    return code, output, errors


def _simulate(folder: Path, refusing: tuple[int, str], seconds: float) -> tuple[int, str, str]:

    async def main() -> tuple[int, str, str]:
        async with asyncio.timeout(60), GeminiEmulator() as emulator:
            emulator.refusing = refusing
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fishjam_agents", "simulate", "config.yaml"),
                *("--caller", str(FIXTURES / "alice_yes.wav"), "--out", "out", "--seconds", f"{seconds:g}"),
                cwd=folder,
                env={**os.environ, **emulator.environment},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            output, errors = await process.communicate()
            assert process.returncode is not None
            return process.returncode, output.decode(), errors.decode()

    return asyncio.run(main())


CHAIN = """\
  backend:
    type: fallback
    backends:
      - {type: gemini, model: gemini-3.8-live}
      - {type: parrot}
"""


@pytest.mark.timeout(150)
def test_a_caller_is_answered_by_the_stand_in_of_a_service_that_refuses_the_key(tmp_path: Path) -> None:
    refusal = 1008, "API key not valid. Please pass a valid API key."
    code, output, errors = simulate(tmp_path, CHAIN, refusing=refusal, until=" reply_ended ")
    assert code == 0, errors
    sentence = (
        "the key was refused (1008 API key not valid. Please pass a valid API key.): make a new one in "
        "Google AI Studio"
    )
    told = f"\nGemini failed once (auth): {sentence}; Parrot stood in\n"
    assert f"{told}All the same, 1 turn of 1 got an answer.\n" in output
    assert "did not come back" not in output
    assert f"the backend failed (auth): Parrot stands in for Gemini: {sentence}  [" in errors
    assert "test-key" not in output + errors
    kinds = [
        event["kind"] for event in json.loads((tmp_path / "out" / "timeline.json").read_text())["events"]
    ]
    assert kinds.count("reply_ended") == 1
    assert int(np.abs(read_wav(tmp_path / "out" / "heard.wav").samples).max()) > 1000


@pytest.mark.timeout(150)
def test_failures_that_last_until_the_end_of_the_call_are_told(tmp_path: Path) -> None:
    code, output, errors = simulate(
        tmp_path, "  backend: {type: gemini}\n", refusing=(1011, "internal"), until=" times (network)"
    )
    assert code == 1, errors
    told = [line for line in output.splitlines() if line.startswith("The backend failed ")]
    assert len(told) == 1
    assert "times (network): Gemini: the service failed (1011" in told[0]
    last = "It did not come back before the call ended: from then on nobody was answered.\n"
    assert f"{told[0]}\n{last}1 of 1 turn was not answered.\n" in output

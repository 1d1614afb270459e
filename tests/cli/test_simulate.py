"""`simulate` as a program: what it prints, writes and exits with."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from fishjam_agents.audio.wav import read_wav

from .command import command

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


def test_a_call_is_written_down_and_told(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    callers = ["--caller", FIXTURES / "stereo.wav", "--caller", FIXTURES / "rate_44100.wav"]
    code, printed, errors = command(capsys, "simulate", config, *callers, "--out", out, "--seconds", 1)
    assert (code, errors) == (0, "")
    assert "user_started_speaking  caller-1" in printed
    assert f"1.00 s of call in {out / 'heard.wav'}, {out / 'room.wav'}, {out / 'timeline.json'}" in printed
    timeline = json.loads((out / "timeline.json").read_text())
    assert timeline["version"] == 1
    assert timeline["duration"] == 1.0
    assert ("more than 20 ms" in printed) == (timeline["lag"] > 0.02)
    assert {event.get("peer") for event in timeline["events"]} <= {"caller-1", "caller-2", None}
    heard, room = read_wav(out / "heard.wav"), read_wav(out / "room.wav")
    assert (heard.sample_rate, heard.samples.shape) == (16000, (16000,))
    assert (room.sample_rate, room.samples.shape) == (16000, (16000, 2))
    # The first caller hears the second one.
    assert heard.samples.any()


def test_a_configured_fishjam_is_not_needed(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    config.write_text(
        "fishjam: {id: https://fishjam.invalid, management_token: x}\n"
        "agent: {backend: {type: parrot}}\nlog: {level: error}\n"
    )
    caller = FIXTURES / "silence.wav"
    code, _, errors = command(
        capsys, "simulate", config, "--caller", caller, "--out", tmp_path, "--seconds", 0.1
    )
    assert (code, errors) == (0, "")


def test_without_a_folder_the_call_is_told_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    caller = FIXTURES / "silence.wav"
    code, printed, _ = command(capsys, "simulate", config, "--caller", caller, "--seconds", 0.1)
    assert code == 0
    assert "call_started" in printed
    assert re.search(r"^0\.1\d s of call$", printed, re.MULTILINE)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_log_tells_of_the_call_while_it_lasts(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    config.write_text("agent: {backend: {type: parrot}}\nlog: {level: debug}\n")
    caller = FIXTURES / "alice_yes.wav"
    code, printed, log = command(
        capsys, "simulate", config, "--caller", caller, "--out", tmp_path, "--seconds", 1
    )
    assert code == 0
    assert re.search(r" INFO    caller-1 is in the room  \[call \w{8} room [\w-]{36} peer [\w-]{36}\]\n", log)
    assert re.search(r" DEBUG   caller-1 speaks  \[", log)
    assert "is in the room" not in printed


@pytest.mark.parametrize(
    ("caller", "told"),
    [("README.md", "is not a WAV file: convert it"), ("nowhere.wav", "cannot read"), ("", "cannot read")],
)
def test_a_caller_that_is_no_wav_is_said_before_anything_starts(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path, caller: str, told: str
) -> None:
    out = tmp_path / "out"
    code, printed, errors = command(capsys, "simulate", config, "--caller", FIXTURES / caller, "--out", out)
    assert (code, printed) == (2, "")
    assert errors.startswith("error: ")
    assert told in errors
    assert errors.count("\n") == 1
    assert not out.exists()


def test_a_folder_that_cannot_be_written_is_said_before_anything_starts(
    capsys: pytest.CaptureFixture[str], config: Path
) -> None:
    out = config / "out"
    code, printed, errors = command(
        capsys, "simulate", config, "--caller", FIXTURES / "caller.wav", "--out", out
    )
    assert (code, printed) == (1, "")
    assert errors.startswith(f"error: cannot write to {out} (")
    assert command(capsys, "simulate", config, "--caller", FIXTURES / "caller.wav", "--out", config) == (
        1,
        "",
        f"error: {config} is a file: give a folder\n",
    )
    assert errors.count("\n") == 1


@pytest.mark.parametrize("seconds", ["0", "601", "soon"])
def test_a_length_out_of_range_is_a_wrong_command_line(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path, seconds: str
) -> None:
    caller = FIXTURES / "caller.wav"
    code, _, errors = command(
        capsys, "simulate", config, "--caller", caller, "--out", tmp_path, "--seconds", seconds
    )
    assert code == 2
    assert "Invalid value for '--seconds'" in errors


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            "BackendError('the key was refused: give another one')",
            "the key was refused: give another one",
        ),
        (
            "ZeroDivisionError('oops')",
            "the backend Keyless failed (ZeroDivisionError('oops'), raised at {folder}/keyless.py:8): "
            "`log: {{level: debug}}` shows the traceback",
        ),
    ],
)
def test_a_backend_that_fails_for_good_exits_1_with_its_sentence(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: str,
    told: str,
) -> None:
    (tmp_path / "keyless.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from fishjam_agents.backends.port import Backend\n"
        "from fishjam_agents.errors import BackendError\n"
        "from fishjam_agents.pipeline import AgentPipeline\n"
        "class Keyless(Backend):\n"
        "    @asynccontextmanager\n"
        "    async def connect(self, conversation):\n"
        f"        raise {error}\n"
        "        yield\n"
        "class Bot(AgentPipeline):\n"
        "    backend = Keyless()\n"
    )
    config.write_text("agent: {pipeline: 'keyless:Bot'}\nlog: {level: error}\n")
    monkeypatch.delitem(sys.modules, "keyless", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    caller = FIXTURES / "caller.wav"
    code, _, errors = command(capsys, "simulate", config, "--caller", caller, "--out", tmp_path / "out")
    logged, sentence = errors.splitlines()
    told = told.format(folder=tmp_path)
    assert code == 1
    assert f" ERROR   the backend failed (internal): {told}  [call " in logged
    assert sentence == f"error: {told}"

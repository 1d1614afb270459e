"""`simulate CONFIG SCENARIO.yaml` and `simulate CONFIG FOLDER` as programs: verdicts, files, exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .command import command

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "audio_fixtures"
QUESTION = f"callers: {{ann: {{lines: [{{wav: {FIXTURES / 'alice_yes.wav'}}}]}}}}\n"


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return tmp_path / "yes.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "suite"
    path.mkdir()
    return path


def test_a_scenario_whose_expectations_are_met_exits_with_0(
    capsys: pytest.CaptureFixture[str], config: Path, scenario: Path, tmp_path: Path
) -> None:
    scenario.write_text(QUESTION + "expect: {order: [user_turn_ended, reply_ended]}\n")
    code, printed, errors = command(capsys, "simulate", config, scenario, "--fast", "--out", tmp_path / "out")
    assert (code, errors) == (0, "")
    assert "ok    in this order user_turn_ended, reply_ended: at " in printed
    assert printed.endswith("yes passed: 2 expectations met\n")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "heard.wav",
        "room.wav",
        "timeline.json",
        "call.jsonl",
        "report.html",
    }
    timeline = json.loads((tmp_path / "out" / "timeline.json").read_text())
    assert {event.get("peer") for event in timeline["events"]} == {"ann", None}


def test_an_expectation_that_is_not_met_is_told_last_with_its_line_and_exits_with_1(
    capsys: pytest.CaptureFixture[str], config: Path, scenario: Path
) -> None:
    scenario.write_text(QUESTION + "expect:\n  events:\n    - {event: reply_ended, count: 2}\n")
    code, printed, errors = command(capsys, "simulate", config, scenario, "--fast")
    assert (code, errors) == (1, "")
    *_, ok, failed, _, last = printed.splitlines()
    assert ok.startswith("ok    no error, no backend_failure: none came")
    assert failed.startswith("FAIL  2 x reply_ended: 1, at ")
    assert failed.endswith(f"({scenario}:4)")
    assert last == "yes failed: 1 of 2 expectations not met"


def test_mistakes_of_a_scenario_exit_with_2_and_are_told_with_line_and_nearest_key(
    capsys: pytest.CaptureFixture[str], config: Path, scenario: Path
) -> None:
    scenario.write_text(
        "callers:\n  ann:\n    lins: []\n  bob:\n    lines: [{wav: nowhere.wav, at: 1 after reply_endd}]\n"
        "expect:\n  absent: [reply_endet]\n"
    )
    code, printed, errors = command(capsys, "simulate", config, scenario, "--fast")
    assert (code, printed) == (2, "")
    assert errors.splitlines() == [
        f"error: {scenario}:3: callers.ann.lins is not a setting: did you mean lines?",
        f"error: {scenario}:5: callers.bob.lines[0].at: reply_endd is no kind of event: "
        "did you mean reply_ended?",
        f"error: {scenario}:5: callers.bob.lines[0].wav: there is no file {scenario.parent / 'nowhere.wav'}: "
        "check the path",
        f"error: {scenario}:7: expect.absent: reply_endet is no kind of event: did you mean reply_ended?",
    ]


def test_a_recording_that_is_none_exits_with_2(
    capsys: pytest.CaptureFixture[str], config: Path, scenario: Path
) -> None:
    scenario.write_text("callers:\n  ann:\n    lines:\n      - wav: config.yaml\n")
    code, _, errors = command(capsys, "simulate", config, scenario, "--fast")
    assert code == 2
    assert errors.startswith(f"error: {scenario}:4: callers.ann.lines[0].wav: ")
    assert "is not a WAV file" in errors


def test_a_line_that_would_be_silent_and_a_picture_that_is_not_there_exit_with_2(
    capsys: pytest.CaptureFixture[str], config: Path, scenario: Path
) -> None:
    scenario.write_text(
        "callers:\n  ann:\n    camera: none.jpg\n    lines:\n"
        f"      - wav: {FIXTURES / 'cough.wav'}\n        start: 60\n"
    )
    code, printed, errors = command(capsys, "simulate", config, scenario, "--fast")
    assert (code, printed) == (2, "")
    picture, line = errors.splitlines()
    assert picture == (
        f"error: {scenario}:3: callers.ann.camera: there is no file {scenario.parent / 'none.jpg'}: "
        "check the path"
    )
    assert line.startswith(f"error: {scenario}:6: callers.ann.lines[0].start: cough.wav ends after ")


def test_what_a_scenario_says_of_the_bot_lies_over_its_file(
    capsys: pytest.CaptureFixture[str], config: Path, scenario: Path
) -> None:
    bot = f"bot: {{agent: {{backend: {{type: wav, file: {FIXTURES / 'cough.wav'}}}}}}}\n"
    expected = (
        "expect: {events: [{event: reply_ended, most: {heard.seconds: 1.45}, least: {heard.seconds: 1.4}}]}\n"
    )
    scenario.write_text(QUESTION + bot + expected)
    assert command(capsys, "simulate", config, scenario, "--fast")[0] == 0
    config.write_text("agent: {backend: {type: parrot, delay: 0.3}}\nlog: {level: error}\n")
    scenario.write_text(
        QUESTION + "bot: {agent: {backend: {at_least: 3}}}\nexpect:\n  events:\n"
        "    - {event: reply_started, after: user_turn_ended, not_before: 0.28}\n"
        "    - {event: reply_ended, least: {heard.seconds: 3}}\n"
    )
    assert command(capsys, "simulate", config, scenario, "--fast")[0] == 0


@pytest.mark.parametrize(
    ("bot", "told"),
    [
        ("bot: {turns: {preset: noisy}}", "bot.turns is not a setting: did you mean bot.agent.turns?"),
        ("bot: {room: {create: true}}", "bot.room is not a setting: use agent or limits"),
        (
            "bot: {agent: {turns: {preset: nosy}}}",
            "agent.turns.preset must be default, sensitive or noisy, not 'nosy': did you mean noisy?",
        ),
    ],
)
def test_mistakes_in_what_a_scenario_says_of_the_bot_are_told_with_its_own_line(
    capsys: pytest.CaptureFixture[str], config: Path, scenario: Path, bot: str, told: str
) -> None:
    scenario.write_text(f"{QUESTION}{bot}\n")
    assert command(capsys, "simulate", config, scenario, "--fast") == (
        2,
        "",
        f"error: {scenario}:2: {told}\n",
    )


def test_a_folder_is_a_suite_with_a_table_and_its_failures_last(
    capsys: pytest.CaptureFixture[str], config: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "a-wrong.yaml").write_text(f"{QUESTION}expect: {{absent: [reply_ended]}}\n")
    (folder / "b-right.yaml").write_text(f"about: A word is answered.\n{QUESTION}")
    (folder / "notes.txt").write_text("no scenario")
    out = tmp_path / "out"
    code, printed, errors = command(capsys, "simulate", config, folder, "--fast", "--out", out)
    assert (code, errors) == (1, "")
    lines = printed.splitlines()
    assert any("a-wrong" in line and "FAIL" in line for line in lines)
    assert any("b-right" in line and "pass" in line and "A word is answered." in line for line in lines)
    assert lines[-2].startswith(
        "a-wrong: FAIL  no reply_ended, no error, no backend_failure: reply_ended at "
    )
    assert lines[-2].endswith(f"({folder / 'a-wrong.yaml'}:2)")
    assert re.fullmatch(
        r"1 passed, 1 failed, 0 skipped: \d+\.\d s of calls in \d+\.\d s, \d+ times real time", lines[-1]
    )
    assert (out / "a-wrong" / "report.html").is_file()
    assert (out / "b-right" / "heard.wav").is_file()


def test_every_mistake_of_a_suite_is_told_before_anything_runs(
    capsys: pytest.CaptureFixture[str], config: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "a.yaml").write_text(QUESTION)
    (folder / "b.yaml").write_text("callers: {}\n")
    (folder / "c.yaml").write_text(f"{QUESTION}name: a\n")
    code, printed, errors = command(capsys, "simulate", config, folder, "--fast", "--out", tmp_path / "out")
    assert (code, printed) == (2, "")
    assert errors.splitlines() == [
        f"error: {folder / 'b.yaml'}:1: callers must name somebody: a call needs at least one caller",
        f"error: {folder / 'c.yaml'}:2: {folder / 'a.yaml'} is called a, too: rename one of them",
    ]
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_no_suite(capsys: pytest.CaptureFixture[str], config: Path, folder: Path) -> None:
    told = f"error: {folder} holds no scenario: put .yaml files there, or name one\n"
    assert command(capsys, "simulate", config, folder) == (2, "", told)


def test_a_line_that_was_never_said_fails_the_scenario(
    capsys: pytest.CaptureFixture[str], config: Path, scenario: Path
) -> None:
    wav = FIXTURES / "alice_yes.wav"
    lines = f"      - wav: {wav}\n      - wav: {wav}\n        at: after barge_in_confirmed\n"
    scenario.write_text(f"callers:\n  ann:\n    lines:\n{lines}")
    code, printed, _ = command(capsys, "simulate", config, scenario, "--fast")
    assert code == 1
    told = f"callers.ann.lines[1] takes place: barge_in_confirmed never came ({scenario}:5)"
    assert f"FAIL  {told}\n" in printed


def test_a_call_is_to_be_like_the_one_of_another_run(
    capsys: pytest.CaptureFixture[str], config: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "a.yaml").write_text(QUESTION + "seconds: 3\n")
    fast, real = tmp_path / "fast", tmp_path / "real"
    assert command(capsys, "simulate", config, folder, "--fast", "--out", fast)[0] == 0
    timeline = json.loads((fast / "a" / "timeline.json").read_text())
    assert [expectation["met"] for expectation in timeline["expectations"]] == [True]

    # In real time, and so late that this machine's own lateness does not matter.
    code, printed, _ = command(capsys, "simulate", config, folder, "--out", real)
    assert code == 0
    config.write_text("agent: {backend: {type: parrot, delay: 0.4}}\nlog: {level: error}\n")
    code, printed, _ = command(capsys, "simulate", config, folder, "--fast", "--like", fast)
    assert code == 1
    assert f"a: FAIL  as in {fast / 'a' / 'timeline.json'}, within 0.06 s: reply_started was at " in printed
    code, _, errors = command(capsys, "simulate", config, folder, "--fast", "--like", tmp_path)
    assert code == 2
    assert errors.startswith(
        f"error: cannot read {tmp_path / 'a' / 'timeline.json'} (No such file or directory)"
    )


def test_a_text_that_cannot_be_spoken_here_skips_its_scenario(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "a.yaml").write_text(QUESTION)
    (folder / "b.yaml").write_text("callers: {ann: {lines: [{text: Hello}]}}\n")
    assert command(capsys, "simulate", config, folder, "--fast", "--out", tmp_path / "out")[0] == 0
    monkeypatch.setenv("PATH", "")
    reason = "'Hello' cannot be spoken: install espeak-ng, or give a wav in place of the text"
    code, printed, _ = command(capsys, "simulate", config, folder / "b.yaml", "--fast")
    assert (code, printed) == (0, f"b is skipped: {reason}\n")
    code, printed, _ = command(capsys, "simulate", config, folder, "--fast", "--like", tmp_path / "out")
    assert code == 0
    assert f"b: skipped: {reason}\n1 passed, 0 failed, 1 skipped: " in printed


def test_a_backend_elsewhere_is_refused_in_memory(
    capsys: pytest.CaptureFixture[str], config: Path, scenario: Path
) -> None:
    scenario.write_text(QUESTION)
    config.write_text("agent: {backend: {type: template}}\nlog: {level: error}\n")
    code, printed, errors = command(capsys, "simulate", config, scenario, "--fast")
    assert (code, printed) == (1, "")
    assert "is not in this process and keeps its own time: run the scenario without --fast" in errors
    assert errors.count("\n") == 1


def test_a_suite_shows_its_progress_on_a_terminal_only(config: Path, folder: Path) -> None:
    (folder / "a-word.yaml").write_text(QUESTION + "seconds: 2\n")
    words = [sys.executable, "-m", "fishjam_agents", "simulate", str(config), str(folder), "--fast"]
    terminal, end = pty.openpty()
    try:
        environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        result = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=end, env=environ, timeout=60, check=False
        )
        os.close(end)
        shown = os.read(terminal, 100_000).decode()
    finally:
        os.close(terminal)
    assert result.returncode == 0
    assert "a-word" in shown
    assert "100%" in shown
    piped = subprocess.run(words, capture_output=True, timeout=60, check=True)
    assert piped.stderr == b""
    assert b"1 passed" in piped.stdout

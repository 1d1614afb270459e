"""Ctrl-C in `simulate`: the calls end at once, and what was recorded of them is kept."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from fishjam_agents.audio.wav import read_wav

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
DEADLINE = 180.0
FILES = {"heard.wav", "room.wav", "timeline.json", "call.jsonl", "report.html"}

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
    pytest.mark.timeout(240),
]

BOT = """
    import asyncio, pathlib, time
    from fishjam_agents import AgentPipeline
    from fishjam_agents.backends import Parrot

    class Bot(AgentPipeline):
        backend = Parrot()

        async def on_turn(self, turn):
            pathlib.Path("heard").touch()
"""
TALK = """
callers: {{ann: {{lines: [{{wav: {wav}}}]}}}}
seconds: {seconds}
expect: {{events: [{{event: reply_started, count: 90}}]}}
"""


def talk(seconds: float) -> str:
    return TALK.format(wav=FIXTURES / "alice_yes.wav", seconds=seconds)


def bot(folder: Path, hooks: str = "") -> Path:
    (folder / "bot.py").write_text(dedent(BOT) + hooks)
    config = folder / "config.yaml"
    config.write_text("fishjam: {port: 0}\nagent: {pipeline: 'bot:Bot'}\n")
    return config


async def stopped(
    folder: Path, words: tuple[object, ...], when: Callable[[], bool], number: int = signal.SIGINT
) -> tuple[int, str, str]:
    """Exit code and output of a command that is sent one signal when something is so."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fishjam_agents", *map(str, words)),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
    )
    try:
        async with asyncio.timeout(DEADLINE):
            while not when() and process.returncode is None:  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(0.02)
            if process.returncode is None:
                process.send_signal(number)
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 130, (out, err)
    return process.returncode, out.decode(), err.decode()


def kinds(folder: Path) -> list[str]:
    timeline = json.loads((folder / "timeline.json").read_text())
    assert timeline["stopped"] is True
    return [event["kind"] for event in timeline["events"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_recorded_of_a_call_is_kept(tmp_path: Path, number: int) -> None:
    config, out = bot(tmp_path), tmp_path / "out"
    words = ("simulate", config, "--caller", FIXTURES / "alice_yes.wav", "--seconds", 600, "--out", out)
    code, told, _ = asyncio.run(stopped(tmp_path, words, (tmp_path / "heard").exists, number))
    assert code == 130
    assert "user_turn_ended" in told
    assert f"s of call, stopped before its end, in {out / 'heard.wav'}" in told
    assert {path.name for path in out.iterdir()} == FILES
    assert "user_turn_ended" in kinds(out)
    assert 0 < read_wav(out / "heard.wav").seconds < 600


def test_expectations_of_a_scenario_that_was_stopped_are_not_judged(tmp_path: Path) -> None:
    config, out = bot(tmp_path), tmp_path / "out"
    (tmp_path / "talk.yaml").write_text(talk(600))
    words = ("simulate", config, tmp_path / "talk.yaml", "--out", out)
    code, told, _ = asyncio.run(stopped(tmp_path, words, (tmp_path / "heard").exists))
    assert code == 130
    assert " met" not in told
    assert "user_turn_ended" in kinds(out)


def test_a_hook_that_will_not_end_costs_nobody_the_recording(tmp_path: Path) -> None:
    hook = """
    async def on_stop(self):
        while True:
            try:
                await asyncio.sleep(600)
            except BaseException:
                pass
"""
    config, out = bot(tmp_path, hook), tmp_path / "out"
    words = ("simulate", config, "--caller", FIXTURES / "alice_yes.wav", "--seconds", 600, "--out", out)
    code, _, _ = asyncio.run(stopped(tmp_path, words, (tmp_path / "heard").exists))
    assert code == 130
    assert "user_turn_ended" in kinds(out)


def test_a_bot_that_does_not_leave_costs_nobody_the_recording_of_a_call_that_was_over(tmp_path: Path) -> None:
    hook = """
    async def on_stop(self):
        pathlib.Path("leaving").touch()
        while True:
            try:
                await asyncio.sleep(600)
            except BaseException:
                pass
"""
    config, out = bot(tmp_path, hook), tmp_path / "out"
    words = ("simulate", config, "--caller", FIXTURES / "alice_yes.wav", "--seconds", 4, "--out", out)
    code, _, _ = asyncio.run(stopped(tmp_path, words, (tmp_path / "leaving").exists))
    assert code == 130
    assert {path.name for path in out.iterdir()} == FILES
    assert read_wav(out / "heard.wav").seconds == pytest.approx(4.0, abs=0.03)


@pytest.mark.parametrize("fast", [(), ("--fast",)])
def test_a_suite_keeps_what_was_played_and_the_part_of_what_was_not(
    tmp_path: Path, fast: tuple[str, ...]
) -> None:
    # In virtual time the second takes as long as the hook of its second turn.
    hook = """
        self.turns_heard = getattr(self, "turns_heard", 0) + 1
        if self.turns_heard == 2:
            pathlib.Path("second").touch()
            time.sleep(3)
"""
    config, out, suite = bot(tmp_path, hook), tmp_path / "out", tmp_path / "suite"
    suite.mkdir()
    (suite / "a-short.yaml").write_text(talk(4).replace("90", "1"))
    wav = FIXTURES / "alice_yes.wav"
    lines = f"[{{wav: {wav}}}, {{wav: {wav}, at: 10}}]"
    (suite / "b-long.yaml").write_text(f"callers: {{ann: {{lines: {lines}}}}}\nseconds: 600\nexpect: {{}}\n")
    words = ("simulate", config, suite, "--out", out, *fast)
    code, told, _ = asyncio.run(stopped(tmp_path, words, (tmp_path / "second").exists))
    assert code == 130
    assert {path.name for path in (out / "b-long").iterdir()} == FILES
    assert kinds(out / "b-long").count("user_turn_ended") >= 1
    assert {path.name for path in (out / "a-short").iterdir()} == FILES
    assert "1 passed, 0 failed, 0 skipped, 1 stopped" in told
    assert f"What was played until it was stopped is in {out}" in told


def test_ctrl_c_before_a_call_has_begun_ends_the_program(tmp_path: Path) -> None:
    config, out = bot(tmp_path), tmp_path / "out"
    (tmp_path / "bot.py").write_text(
        (tmp_path / "bot.py").read_text() + "\n\npathlib.Path('loaded').touch()\ntime.sleep(600)\n"
    )
    words = ("simulate", config, "--caller", FIXTURES / "alice_yes.wav", "--out", out)
    code, told, _ = asyncio.run(stopped(tmp_path, words, (tmp_path / "loaded").exists))
    assert (code, told) == (130, "")
    assert not out.exists()


WRITING = """
import time
from fishjam_agents.cli import interrupts
from fishjam_agents.simulation import StopRequest

interrupts.ECHO = {echo}
stop = StopRequest()
with interrupts.stop_at_interrupt(stop):
    with stop.call():
        stop.begun = True
    print("writing", flush=True)
    while not stop.asked:
        time.sleep(0.01)
    time.sleep(1)
    print("asked", flush=True)
    {then}
print("written", flush=True)
"""


@pytest.mark.parametrize(
    ("then", "echo", "signals", "again", "code"),
    [
        ("pass", 0.5, 1, False, 0),
        # A launcher passes on what the whole process group was sent.
        ("pass", 60.0, 2, False, 0),
        ("time.sleep(600)", 0.5, 1, True, 130),
    ],
)
def test_ctrl_c_waits_for_what_is_written_and_the_second_for_nothing(
    then: str, echo: float, signals: int, again: bool, code: int
) -> None:
    async def scenario() -> tuple[int | None, bytes]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITING.format(then=then, echo=echo)), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(DEADLINE):
                await process.stdout.readuntil(b"writing\n")
                for _ in range(signals):
                    process.send_signal(signal.SIGINT)
                    await asyncio.sleep(0.05)
                await process.stdout.readuntil(b"asked\n")
                if again:
                    process.send_signal(signal.SIGINT)
                rest, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, rest

    assert asyncio.run(scenario()) == (code, b"" if again else b"written\n")

"""What code of the user's may do wrong in `run`, `simulate` and `check`: it is named, and nothing hangs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pytest

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
HEAD = """
    import asyncio, time
    from fishjam_agents import AgentPipeline, TurnSettings
    from fishjam_agents.backends import Parrot
    from fishjam_agents.turns.endpointing import EndOfTurn
    from fishjam_agents.turns.policies import BargeInPolicy

    class Bot(AgentPipeline):
        backend = Parrot()
"""

RAISING = HEAD.replace(
    "    class Bot",
    """    class Mine(EndOfTurn):
        def silence(self, pause):
            return 1 / 0

    class Bot""",
)

RETURNING = RAISING.replace("1 / 0", "{answer}")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


def bot(folder: Path, body: str, head: str = HEAD) -> Path:
    """A bot in a file, and its configuration. The body of the class begins in line 10."""
    (folder / "bot.py").write_text(
        dedent(head) + "\n" + "\n".join(f"    {line}" for line in dedent(body).splitlines())
    )
    config = folder / "config.yaml"
    config.write_text("fishjam: {port: 0}\nagent: {pipeline: 'bot:Bot'}\n")
    return config


def command(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fishjam_agents", *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


async def interrupted(
    words: Sequence[object], folder: Path, says: str, patience: float | None = None
) -> tuple[int, str, str]:
    """Exit code and output of a command that is asked once to leave when it has printed `says`."""
    patched = "" if patience is None else f"interrupts.PATIENCE = {patience}; "
    program = (
        f"from fishjam_agents.cli import interrupts; {patched}from fishjam_agents.cli import main; main()"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-c", program, *map(str, words)),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
    )
    assert process.stdout is not None
    said = ""
    try:
        async with asyncio.timeout(40):
            while says not in said:
                line = (await process.stdout.readline()).decode()
                assert line, said
                said += line
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said + out.decode(), err.decode()


def test_a_hook_that_swallows_its_cancellation_does_not_make_run_immortal(tmp_path: Path) -> None:
    config = bot(
        tmp_path,
        """
        async def on_start(self):
            print("started")
            while True:
                try:
                    await asyncio.sleep(3600)
                except BaseException:
                    pass
        """,
    )
    code, said, complaints = asyncio.run(interrupted(("run", config), tmp_path, "Ctrl-C ends the call"))
    assert code == 0
    assert "goodbye" in said
    assert re.search(r"hook on_start, at .*bot\.py:12 does not end though it was cancelled", complaints)


@pytest.mark.parametrize("hold", ["time.sleep(600)", "while True: pass"])
def test_a_hook_that_holds_up_the_loop_is_named_when_the_program_is_ended(tmp_path: Path, hold: str) -> None:
    config = bot(
        tmp_path,
        f"""
        async def on_start(self):
            print("held up", flush=True)
            {hold}
        """,
    )
    code, _, complaints = asyncio.run(interrupted(("run", config), tmp_path, "held up", patience=1.0))
    assert code == 130
    assert re.search(
        r"error: the program did not end within 1 s and is ended: .*bot\.py:14 holds it up", complaints
    )


def test_exit_in_a_hook_ends_the_hook_and_nothing_else(tmp_path: Path) -> None:
    config = bot(
        tmp_path,
        """
        async def on_start(self):
            raise SystemExit(7)
        async def on_stop(self):
            print("stopped in order")
        """,
    )
    code, said, complaints = asyncio.run(interrupted(("run", config), tmp_path, "Ctrl-C ends the call"))
    assert code == 0
    assert "stopped in order" in said
    assert "hook on_start failed at bot.py:13" in complaints


WRONG = {
    "signature": ("async def on_turn(self): pass", r"Bot\.on_turn does not take the arguments of this hook"),
    "extra argument": ("async def on_stop(self, why): pass", r"Bot\.on_stop does not take the arguments"),
    "not async": ("def on_turn(self, turn): pass", r"Bot\.on_turn must be a coroutine"),
    "dict": (
        "turns = {'owner': 'local'}",
        r"Bot\.turns is a dict: make it an object, `turns = TurnSettings\(",
    ),
    "class": ("hearing = AgentPipeline", r"Bot\.hearing is the class AgentPipeline"),
    "policy class": (
        "turns = TurnSettings(barge_in=(BargeInPolicy,))",
        r"BargeInPolicy.* is no policy: make one of it, `BargeInPolicy\(\)`",
    ),
    "policy arguments": (
        "class Mine(BargeInPolicy):\n    def allows(self): pass\nturns = TurnSettings(barge_in=(Mine(),))",
        r"Mine\.allows does not take its arguments, at bot\.py:12 .*write `def allows\(self, sound\)`",
    ),
    "fresh": (
        "class Mine(EndOfTurn):\n    def silence(self, pause): return 0.6\n    def fresh(self): pass\n"
        "turns = TurnSettings(end_of_turn=Mine())",
        r"Mine\.fresh returned None, at bot\.py:13: return",
    ),
    "property": (
        "@property\ndef turns(self):\n    raise KeyError('price')",
        r"bot:Bot cannot be checked: bot\.py:13: KeyError: 'price'",
    ),
    "nested dict": ("turns = TurnSettings(end_of_turn={})", r"end_of_turn.* (is no policy|is a dict)"),
    "instructions": (
        "async def instructions(self): return 'x'",
        r"Bot\.instructions is a method: make it a text",
    ),
    "greeting": ("greeting = 'hello.wav'", r"greeting is a text, but Parrot cannot speak given words"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_work_is_refused_by_every_command(tmp_path: Path, wrong: str) -> None:
    body, told = WRONG[wrong]
    config = bot(tmp_path, body)
    caller = ("--caller", FIXTURES / "alice_yes.wav", "--out", tmp_path / "out")
    for words in (("check", config), ("simulate", config, *caller, "--fast"), ("run", config)):
        result = command(*words, folder=tmp_path)
        assert result.returncode in (1, 2), (words, result.stdout)
        assert re.search(told, result.stderr), (words, result.stderr)
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("fast", [("--fast",), ()])
def test_a_policy_that_raises_is_the_users(tmp_path: Path, fast: tuple[str, ...]) -> None:
    config = bot(
        tmp_path,
        """
        turns = TurnSettings(end_of_turn=Mine())
        """,
        RAISING,
    )
    caller = ("--caller", FIXTURES / "alice_yes.wav", "--out", tmp_path / "out", "--seconds", 4)
    result = command("simulate", config, *caller, *fast, folder=tmp_path)
    assert result.returncode == 1
    assert re.search(
        r"error: a policy or detector of yours failed \(ZeroDivisionError.*raised at bot\.py:10\)",
        result.stderr,
    )
    assert "media server" not in result.stderr


@pytest.mark.parametrize("answer", ["None", "'soon'", "float('nan')"])
def test_a_policy_that_answers_nonsense_is_named_with_its_line(tmp_path: Path, answer: str) -> None:
    config = bot(tmp_path, "turns = TurnSettings(end_of_turn=Mine())", RETURNING.format(answer=answer))
    caller = ("--caller", FIXTURES / "alice_yes.wav", "--out", tmp_path / "out", "--fast")
    result = command("simulate", config, *caller, folder=tmp_path)
    assert result.returncode == 1
    assert re.search(r"Mine\.silence must return seconds as a number, .*, at bot\.py:9;", result.stderr)


def test_a_policy_of_interruptions_without_an_answer_is_named_with_its_line(tmp_path: Path) -> None:
    head = HEAD.replace(
        "    class Bot",
        """    class Mine(BargeInPolicy):
        def allows(self, sound):
            pass

    class Bot""",
    )
    config = bot(tmp_path, "turns = TurnSettings(barge_in=(Mine(),))", head)
    wav = FIXTURES / "alice_long.wav"
    (tmp_path / "talk.yaml").write_text(
        f"callers: {{anna: {{lines: [{{wav: {wav}}}, {{wav: {wav}, at: 1 s after reply_first_audio}}]}}}}"
    )
    result = command("simulate", config, tmp_path / "talk.yaml", "--fast", folder=tmp_path)
    assert result.returncode == 1, result.stdout
    assert re.search(r"Mine\.allows must return True or False, .* None, at bot\.py:9;", result.stderr)


@pytest.mark.parametrize("fast", [("--fast",), ()])
def test_a_hook_that_swallows_ctrl_c_does_not_make_simulate_immortal(
    tmp_path: Path, fast: tuple[str, ...]
) -> None:
    config = bot(
        tmp_path,
        """
        async def on_start(self):
            while True:
                try:
                    print("held up", flush=True)
                    time.sleep(600)
                except BaseException:
                    pass
        """,
    )
    caller = ("--caller", FIXTURES / "alice_yes.wav", "--out", tmp_path / "out")
    words = ("simulate", config, *caller, *fast)
    code, _, complaints = asyncio.run(interrupted(words, tmp_path, "held up", patience=1.0))
    assert code == 130
    assert re.search(r"did not end within 1 s and is ended: .*bot\.py:\d\d holds it up", complaints)


@pytest.mark.parametrize("hook", ["on_turn", "on_stop"])
@pytest.mark.parametrize("raised", ["KeyError('price')", "SystemExit(0)"])
def test_a_simulation_in_which_a_hook_raises_has_failed(tmp_path: Path, hook: str, raised: str) -> None:
    config = bot(
        tmp_path,
        f"""
        async def {hook}(self, *about):
            raise {raised}
        """,
    )
    caller = ("--caller", FIXTURES / "alice_yes.wav", "--out", tmp_path / "out", "--fast")
    result = command("simulate", config, *caller, folder=tmp_path)
    assert result.returncode == 1
    assert re.search(rf"{hook}.*raised at bot\.py:13", result.stdout)

"""A program that runs commands against an emulated service: variables, exit codes, signals, nothing left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TOY = """
import sys
from contextlib import asynccontextmanager
from fishjam_agents.testing.emulator import run_emulator
from fishjam_agents.testing import emulator

@asynccontextmanager
async def toy(options):
    if options.broken:
        raise OSError(98, "Address already in use")
    yield {"TOY_URL": "http://127.0.0.1:1", "TOY_WORDS": "two words"}
    print("the service is over", flush=True)

def options(parser):
    parser.add_argument("--broken", action="store_true")
    parser.add_argument("--port", type=emulator.port)

emulator.GRACE = 0.5
sys.exit(run_emulator(toy, module="toy.emulator", what="Toy", options=options))
"""
WAITS = "import os, time; print('ready', os.getpid(), flush=True); time.sleep(60)"
COUNTS = (
    "import signal, sys, time\n"
    "came = []\n"
    "signal.signal(signal.SIGINT, lambda *_: came.append(1) or print('interrupted', flush=True))\n"
    "print('ready', flush=True)\n"
    "while not came: time.sleep(0.01)\n"
    "time.sleep(0.2)\n"
    "sys.exit(len(came))\n"
)
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITS
TIDY = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGINT, lambda *_: (print('tidied up', flush=True), sys.exit(5)))\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.fixture
def toy(tmp_path: Path) -> list[str]:
    program = tmp_path / "toy.py"
    program.write_text(TOY)
    return [sys.executable, str(program)]


def finished(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)


@contextmanager
def running(words: list[str], ready: str) -> Iterator[subprocess.Popen[str]]:
    """Started without a terminal, in a session of its own, and so far that it has said that it is ready."""
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline().startswith(ready)
            yield program
        finally:
            program.kill()


def test_the_command_has_the_variables_and_its_exit_code_is_passed_on(toy: list[str]) -> None:
    code = "import os, sys; print(os.environ['TOY_URL'], sys.argv[1:]); sys.exit(3)"
    result = finished([*toy, sys.executable, "-c", code, "--broken", "--out", "x"])
    assert result.stdout == "http://127.0.0.1:1 ['--broken', '--out', 'x']\nthe service is over\n"
    assert result.returncode == 3
    assert finished([*toy, "--", sys.executable, "-c", code]).returncode == 3


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["no-such-program"], 127, "error: cannot run no-such-program (No such file or directory): give a"),
        (["/"], 126, "error: cannot run / (Permission denied): give a program with its arguments"),
        (["--broken", "true"], 1, "error: Toy cannot be emulated (Address already in use): use another port"),
        (["--brokn", "true"], 2, "unrecognized arguments: --brokn"),
        (["--port", "99999", "true"], 2, "--port: 99999 is no port: give a number from 0 to 65535"),
        (["--port", "-1", "true"], 2, "--port: -1 is no port"),
    ],
)
def test_what_cannot_be_run_is_told_in_a_sentence(
    toy: list[str], words: list[str], code: int, says: str
) -> None:
    result = finished([*toy, *words])
    assert result.returncode == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_command_that_a_signal_ended_has_the_code_that_shells_give_it(toy: list[str]) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert finished([*toy, sys.executable, "-c", code]).returncode == 128 + signal.SIGKILL


def test_ctrl_c_reaches_the_command_which_may_tidy_up_before_the_service_goes(toy: list[str]) -> None:
    with running([*toy, sys.executable, "-c", TIDY], "ready") as program:
        program.send_signal(signal.SIGINT)
        out, _ = program.communicate(timeout=20)
    assert out == "tidied up\nthe service is over\n"
    assert program.returncode == 5


def test_a_ctrl_c_at_the_terminal_reaches_the_command_once(toy: list[str]) -> None:
    """The terminal tells every program in its foreground: it must not be passed on as well."""
    termios, fcntl = pytest.importorskip("termios"), pytest.importorskip("fcntl")
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [*toy, sys.executable, "-c", COUNTS],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as program:
        os.close(theirs)
        said = b""
        while b"over" not in said:
            said += os.read(ours, 1024)
            if b"ready" in said and b"^C" not in said:
                os.write(ours, b"\x03")
                said += b"^C"
        assert program.wait(timeout=20) == 1
    os.close(ours)
    assert said.count(b"interrupted") == 1


@pytest.mark.parametrize(
    ("code", "ended_by"), [(WAITS, signal.SIGTERM), (STUBBORN, signal.SIGKILL)], ids=["heeds", "ignores"]
)
def test_a_command_is_never_left_behind(toy: list[str], code: str, ended_by: int) -> None:
    with subprocess.Popen(
        [*toy, sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as program:
        assert program.stdout is not None
        process = int(program.stdout.readline().split()[1])
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=20) == 128 + ended_by
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_without_a_command_the_variables_are_printed_until_ctrl_c(toy: list[str]) -> None:
    with running(toy, "export TOY_URL=http://127.0.0.1:1") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "export TOY_WORDS='two words'\n"
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=20)
    assert (out, program.returncode) == ("the service is over\n", 0)
    assert err == "Toy is emulated until Ctrl-C; these variables lead a program there\n"


def test_help_says_how_it_is_used(toy: list[str]) -> None:
    text = " ".join(finished([*toy, "--help"]).stdout.split())
    assert text.startswith("usage: python -m toy.emulator [options] COMMAND...")
    assert "python -m toy.emulator python -m fishjam_agents run config.yaml" in text


def test_the_program_of_the_backends_page_runs(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "backends.md").read_text()
    (code,) = [
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "run_emulator" in block
    ]
    folder = tmp_path / "acme" / "emulator"
    folder.mkdir(parents=True)
    (folder / "__main__.py").write_text(code)
    (folder / "__init__.py").write_text(
        "class AcmeEmulator:\n"
        "    url = 'http://127.0.0.1:1'\n"
        "    async def __aenter__(self):\n        return self\n"
        "    async def __aexit__(self, *error):\n        pass\n"
    )
    words = [
        sys.executable,
        "-m",
        "acme.emulator",
        sys.executable,
        "-c",
        "import os; print(os.environ['ACME_URL'])",
    ]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert (result.stdout, result.returncode) == ("http://127.0.0.1:1\n", 0)

"""The systemd unit: what systemd says of it, and its command, which runs here without systemd."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fishjam_agents.errors import ConfigError

from .files import DEPLOY, config, program_environ, unit
from .services import answers, served

UNIT = unit()
PROGRAM = Path(sys.executable).parent / "fishjam-agents"
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60)


def installed(folder: Path, **changes: str) -> Path:
    """The unit with the program of this environment, and settings changed."""
    text = (DEPLOY / "fishjam-agents.service").read_text()
    text = text.replace("/opt/fishjam-agents/bin/fishjam-agents", str(PROGRAM))
    for name, value in changes.items():
        text, count = re.subn(rf"^{name}=.*$", value, text, flags=re.MULTILINE)
        assert count == 1
    unit = folder / "fishjam-agents.service"
    unit.write_text(text)
    return unit


@needs_systemd
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    done = analyze("verify", str(installed(tmp_path)))
    assert (done.returncode, done.stderr) == (0, "")
    wrong = analyze("verify", str(installed(tmp_path, KillMode="KillMood=mixed", Restart="Restart=often")))
    assert "KillMood" in wrong.stderr
    assert "often" in wrong.stderr


@needs_systemd
def test_the_unit_is_hardened(tmp_path: Path) -> None:
    done = analyze("security", "--offline=true", "--threshold=20", str(installed(tmp_path)))
    assert done.returncode == 0, done.stdout


def test_the_unit_speaks_of_the_program_as_it_is() -> None:
    settings = config({})
    assert int(UNIT["TimeoutStopSec"][0]) >= settings.workers.drain + 30
    assert UNIT["KillSignal"] == ["SIGTERM"]
    # The processes of `workers: N` are told by the program.
    assert UNIT["KillMode"] == ["mixed"]
    assert UNIT["RestartPreventExitStatus"] == [str(ConfigError.exit_code)]
    state = dict(re.findall(r"(\w+)=(\S+)", UNIT["Environment"][0]))["XDG_STATE_HOME"]
    assert settings.journal is not None
    assert settings.journal.path == Path(state) / UNIT["StateDirectory"][0] / "journal.db"


@pytest.mark.timeout(240)
def test_its_commands_run_reload_and_end(tmp_path: Path) -> None:
    program, *words = shlex.split(UNIT["ExecStart"][0])
    assert Path(program).name == PROGRAM.name
    words[-1] = str(DEPLOY / Path(words[-1]).name)
    environ = program_environ(**dict(re.findall(r"(\w+)=(\S+)", UNIT["Environment"][0])))
    environ["XDG_STATE_HOME"] = str(tmp_path)
    with served([str(PROGRAM), *words], environ) as service:
        assert answers(service, "/readyz", 200)
        kill, number, pid = shlex.split(UNIT["ExecReload"][0])
        assert pid == "$MAINPID"
        subprocess.run([kill, number, str(service.process.pid)], check=True)
        end = time.monotonic() + 60
        while "was read again" not in service.log.read_text() and time.monotonic() < end:
            time.sleep(0.05)
        assert "was read again" in service.log.read_text()
        service.process.send_signal(getattr(signal, UNIT["KillSignal"][0]))
        assert service.process.wait(int(UNIT["TimeoutStopSec"][0])) == 0


def test_a_mistake_ends_with_the_status_that_is_not_started_again(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text((DEPLOY / "config.yaml").read_text().replace("drain: 60", "drain: soon"))
    environ = program_environ(FISHJAM_ID="http://127.0.0.1:1", FISHJAM_MANAGEMENT_TOKEN="t", API_TOKEN="t")
    done = subprocess.run(
        [PROGRAM, "run", file], env=environ, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert str(done.returncode) == UNIT["RestartPreventExitStatus"][0]
    assert "workers.drain must be a number" in done.stderr

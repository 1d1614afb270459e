"""The command line, as a program: what it prints where, and what it exits with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fishjam_agents
from fishjam_agents import cli
from fishjam_agents.audio import compiled
from fishjam_agents.cli import check as check_module
from fishjam_agents.errors import FishjamAgentsError, install_extra

from .command import command

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_fishjam_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    monkeypatch.delenv("FISHJAM_MANAGEMENT_TOKEN", raising=False)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys, "--version") == (
        0,
        f"fishjam-agents {fishjam_agents.__version__}\ncompiled: {compiled.describe()}\n",
        "",
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["chek", "x"], "No such command 'chek'."),
        (["check"], "Missing argument"),
        (["--loud"], "No such option: --loud"),
        (["server", "--port", "many"], "Invalid value for '--port'"),
        (["server", "--port", "70000"], "Invalid value for '--port'"),
    ],
)
def test_a_wrong_command_line_exits_2_without_boxes(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    code, out, err = command(capsys, *words)
    assert (code, out) == (2, "")
    assert told in err
    assert "Usage: fishjam-agents" in err
    assert err.isascii()


def test_check_prints_the_resolved_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = command(capsys, "check", str(ROOT / "examples/parrot/config.yaml"))
    assert (code, err) == (0, "")
    assert "parrot 24000 Hz -> track 24000 Hz -> Fishjam" in out
    assert f"compiled  {compiled.describe()}" in out.splitlines()


def test_check_prints_every_mistake_and_exits_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("agent: {backend: {type: parrot}}\nlog: {level: loud}\nlimit: {}\n")
    assert command(capsys, "check", str(path)) == (
        2,
        "",
        f"error: {path}:2: log.level must be debug, info, warning or error, not 'loud'\n"
        f"error: {path}:3: limit is not a setting: did you mean limits?\n",
    )


def test_check_says_when_the_embedded_server_is_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def found(name: str) -> object:
        return None if name == "starlette" else object()

    monkeypatch.setattr(check_module, "find_spec", found)
    path = tmp_path / "config.yaml"
    path.write_text("agent: {backend: {type: parrot}}\n")
    assert command(capsys, "check", str(path)) == (
        2,
        "",
        "error: the embedded Fishjam server (fishjam.id is local) needs the extra 'server': "
        f"{install_extra('server')}\n",
    )
    path.write_text("fishjam: {id: abc, management_token: x}\nagent: {backend: {type: parrot}}\n")
    assert command(capsys, "check", str(path))[0] == 0


@pytest.mark.parametrize("verb", ["check", "run"])
def test_tracing_without_its_extra_is_told_before_anything_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    path = tmp_path / "config.yaml"
    path.write_text("agent: {backend: {type: parrot}}\nrooms: every\nworkers: 2\nobserve: {tracing: {}}\n")
    code, out, error = command(capsys, verb, str(path))
    assert (code, out) == (2, "")
    assert error.startswith("error: observe.tracing needs the extra 'otel'")


@pytest.mark.parametrize("limits", ["{calls: 5}", "{calls: 9, reconnects_per_second: 7}", None])
def test_check_names_bots_with_different_limits_of_one_account(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], limits: str | None
) -> None:
    backend = "type: openai_realtime, model: m, api_key: sk-of-both"
    other = "" if limits is None else f", limits: {limits}"
    path = tmp_path / "config.yaml"
    path.write_text(
        f"bots:\n  front: {{backend: {{{backend}, limits: {{calls: 5}}}}}}\n"
        f"  back: {{backend: {{{backend}{other}}}}}\n"
        "rooms: [{type: conference, bot: front}, {type: livestream, bot: back}]\n"
    )
    code, out, _ = command(capsys, "check", str(path))
    assert code == 0
    notes = [line for line in out.splitlines() if line.startswith("note ")]
    if limits is None or limits == "{calls: 5}":
        assert not notes
    else:
        (note,) = notes
        assert "front: 5 calls at once; back: 9 calls at once, 7 reconnects a second" in note
        assert note.endswith("those of the bot that asked last count, so give all the same")
    assert "sk-of-both" not in out


@pytest.mark.parametrize("limits", [5, 9])
def test_check_names_a_bot_that_takes_over_with_different_limits_of_one_account(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], limits: int
) -> None:
    backend = "type: openai_realtime, model: m, api_key: sk-of-both, limits: {calls: "
    path = tmp_path / "config.yaml"
    path.write_text(
        f"agent:\n  backend: {{{backend}5}}}}\n  tools: hand_over\n"
        f"  handoffs: {{billing: {{backend: {{{backend}{limits}}}}}}}}}\n"
    )
    code, out, _ = command(capsys, "check", str(path))
    assert code == 0
    notes = [line for line in out.splitlines() if line.startswith("note ")]
    assert len(notes) == (limits != 5)
    if notes:
        assert "agent: 5 calls at once; agent, billing: 9 calls at once" in notes[0]


def test_check_finds_what_only_the_parts_together_show(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("agent: {backend: {type: wav, file: missing.wav}}\n")
    code, _, err = command(capsys, "check", str(path))
    assert code == 2
    assert err.startswith(f"error: {path}:1: cannot read {tmp_path}/missing.wav")
    assert err.count("\n") == 1


def test_a_failure_exits_1_and_a_bug_keeps_its_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: Exception) -> None:
        def check() -> None:
            raise error

        monkeypatch.setattr(check_module, "check", check)

    fail(FishjamAgentsError("the server is gone: start it"))
    assert command(capsys, "check") == (1, "", "error: the server is gone: start it\n")
    fail(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["check"])


def test_the_program_starts_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fishjam_agents", "check", "no.yaml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no.yaml: there is no such file: check the path\n"


def test_the_server_says_where_it_is_and_leaves_on_ctrl_c() -> None:
    words = [sys.executable, "-m", "fishjam_agents", "server", "--port", "0", "--token", "hunter2"]
    words += ["--webhook-url", "http://127.0.0.1:1/hook", "--webhook-secret", "s3cret"]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environ
    ) as program:
        assert program.stdout is not None
        lines = [program.stdout.readline() for _ in range(5)]
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=20)
    assert (program.returncode, out, err) == (0, "goodbye\n", "")
    url = lines[1].split("=")[1].strip()
    assert lines == [
        f"Fishjam runs at {url}. Point a client at it:\n",
        f"  export FISHJAM_ID={url}\n",
        "  export FISHJAM_MANAGEMENT_TOKEN=hunter2\n",
        "Webhooks go to http://127.0.0.1:1/hook, signed with s3cret\n",
        "Ctrl-C ends it.\n",
    ]
    assert url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--token", ""], "--token is no token"),
        (["--token", "two words"], "--token is no token"),
        (
            ["--webhook-url", "localhost:80"],
            "--webhook-url localhost:80 is no webhook: give a URL with a path",
        ),
        (["--allow-host", "http://bot.example"], "--allow-host must be names like bot.example"),
        (["--allow-origin", "*"], "--allow-origin must be origins like http://localhost:5173"),
        (["--certificate", "a.pem"], "--certificate and --key belong together: give both of them"),
        (["--certificate", "a", "--key", "b", "--tls", "off"], "--tls off needs no --certificate"),
        (["--certificate", "none.pem", "--key", "none.pem"], "cannot read the certificate none.pem"),
        (["--host", "0.0.0.0"], "--host 0.0.0.0 can be reached from other machines: give a --token, too"),
    ],
)
def test_a_server_that_everybody_could_use_is_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    code, out, err = command(capsys, "server", "--port", "0", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {told}")
    assert err.count("\n") == 1


def test_importing_the_package_loads_nothing() -> None:
    code = (
        "import sys, fishjam_agents; heavy = {'numpy', 'pydantic', 'yaml', 'asyncio', 'httpx', 'typer'};"
        "print(sorted(heavy & sys.modules.keys()), fishjam_agents.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=30
    )
    assert done.stdout == f"[] {fishjam_agents.__version__}\n"


def test_ctrl_c_while_the_program_loads_says_nothing() -> None:
    code = (
        "import sys\nclass CtrlC:\n    def find_spec(self, name, *rest):\n"
        "        if name == 'typer':\n            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, CtrlC())\nfrom fishjam_agents.cli import main\nmain(['check'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_reader_who_has_had_enough_is_no_failure() -> None:
    words = [sys.executable, "-m", "fishjam_agents", "check", "examples/parrot/config.yaml"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as program:
        assert program.stdout is not None
        program.stdout.close()
        assert program.stderr is not None
        complaints = program.stderr.read()
        assert program.wait(timeout=20) == 0
    assert complaints == b""


def test_check_loads_neither_the_rest_client_nor_the_server() -> None:
    heavy = {"httpx", "websockets", "betterproto", "starlette", "uvicorn", "rich"}
    code = (
        "import sys\nfrom fishjam_agents.cli import main\n"
        "try:\n    main(['check', 'examples/parrot/config.yaml'])\n"
        f"finally:\n    print(sorted({heavy!r} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=30
    )
    assert done.stdout.endswith("\n[]\n")


def test_every_name_the_package_offers_can_be_had() -> None:
    for name in fishjam_agents.__all__:
        assert getattr(fishjam_agents, name) is not None
        assert name in dir(fishjam_agents)
    with pytest.raises(AttributeError, match="has no attribute 'Bot'"):
        _ = fishjam_agents.Bot

"""`top` over a real API: what it shows, and what it says when there is none."""

from __future__ import annotations

import asyncio
import io
import re
import socket
import sys
from pathlib import Path

import pytest
from rich.console import Console

from fishjam_agents.cli.top import TOKEN_VARIABLE, table
from fishjam_agents.server import EmbeddedServer

from .command import command
from .programs import all_served, occupied, running, until


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_it_shows_the_calls_of_a_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    async def scenario() -> None:
        async with EmbeddedServer() as server, running(config, server, tmp_path / "state") as program:
            await program.says("Ctrl-C ends the calls.")
            url = re.findall(r"^  API      (\S+)$", program.said, re.M)[0]
            rooms = await occupied(server, 2)
            await until(lambda: all_served(rooms))
            monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
            code, _, complaint = await asyncio.to_thread(command, capsys, "top", url, "--once")
            assert (code, complaint) == (
                1,
                "error: the API refuses the token: set FISHJAM_AGENTS_API_TOKEN to what `api.token` is\n",
            )
            monkeypatch.setenv(TOKEN_VARIABLE, "s3cret-token")
            printed = ""
            while "2 running; takes new rooms" not in printed:
                code, printed, complaint = await asyncio.to_thread(command, capsys, "top", url, "--once")
                assert (code, complaint) == (0, "")
            assert all(room.id in printed for room in rooms)
            assert re.search(r"^\w{8} +\S{36} +agent +running +0:\d\d", printed, re.M)

    config = tmp_path / "config.yaml"
    config.write_text("agent: {backend: {type: parrot}}\nrooms: every\napi: {port: 0, token: s3cret-token}\n")
    asyncio.run(scenario())


def test_an_address_where_nothing_answers_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    code, printed, complaint = command(capsys, "top", f"http://me:s3cret@127.0.0.1:{port}")
    assert (code, printed) == (1, "")
    assert complaint.startswith("error: no program answers at http://")
    assert f"127.0.0.1:{port}" in complaint
    assert "s3cret" not in complaint
    assert complaint.endswith("is `api` in its file, and is that its address?\n")


@pytest.mark.parametrize("url", ["http://[::1", "localhost:8081", "http://127.0.0.1:70000", ""])
def test_what_is_no_address_is_refused(capsys: pytest.CaptureFixture[str], url: str) -> None:
    code, printed, complaint = command(capsys, "top", url)
    assert (code, printed) == (2, "")
    assert complaint == f"error: {url} is no address of a program: give its URL, as http://127.0.0.1:8081\n"


def call(status: str, **values: object) -> dict[str, object]:
    return {
        "id": "0123456789abcdef",
        "room": "r1",
        "bot": "clerk",
        "status": status,
        "started": 1000.0,
        "ended": None,
        "reason": None,
        "process": "",
        **values,
    }


def test_running_calls_come_first_and_nobody_moves_the_cursor() -> None:
    calls = [
        call("ended", ended=1010.0, room="gone"),
        call("parked", reason="the key \x1b[2J was refused", process="w1"),
        call("running", started=1000.0 - 3700, process="w0"),
    ]
    out = io.StringIO()
    Console(file=out, width=120).print(
        table(calls, "no new rooms are taken: it is draining", 1000.0, ended=False)
    )
    lines = out.getvalue().splitlines()
    assert lines[0] == "1 running, 1 parked, 1 ended; no new rooms are taken: it is draining"
    assert lines[2].split() == ["call", "room", "bot", "status", "for", "process", "reason"]
    assert lines[3].split() == ["01234567", "r1", "clerk", "running", "1:01:40", "w0"]
    assert "parked" in lines[4]
    assert "\x1b" not in out.getvalue()
    assert "gone" not in out.getvalue()

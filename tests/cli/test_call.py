"""`call`: what it is given, what it says and writes, and its exit codes."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.server import EmbeddedServer
from tests.cli.command import command
from tests.simulation.test_remote_calls import parrot_room, until

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
ALICE = FIXTURES / "alice_yes.wav"
DEADLINE = 250.0

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FISHJAM_ID", "FISHJAM_MANAGEMENT_TOKEN", "FISHJAM_PEER_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_a_call_is_told_and_written_down(tmp_path: Path) -> None:
    async def scenario() -> tuple[int | None, str, str]:
        async with asyncio.timeout(DEADLINE), parrot_room() as (server, room_id, _):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fishjam_agents", "call", room_id, "--server", server.url),
                *("--token", server.token, "--caller", str(ALICE), "--out", str(tmp_path / "out")),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await process.communicate()
            return process.returncode, out.decode(), err.decode()

    code, out, err = asyncio.run(scenario())
    assert (code, err) == (0, "")
    assert "  alice_yes speaks\n" in out
    assert out.endswith(f"s of call in {tmp_path / 'out/heard.wav'}, {tmp_path / 'out/room.wav'}\n")
    assert read_wav(tmp_path / "out/heard.wav").seconds > 1


@pytest.mark.parametrize("begins", [True, False])
def test_ctrl_c_hangs_up_keeps_the_recordings_and_leaves_no_peer(tmp_path: Path, begins: bool) -> None:
    async def scenario() -> tuple[int | None, str, str, int]:
        async with asyncio.timeout(DEADLINE), AsyncExitStack() as stack:
            if begins:
                server, room_id, _ = await stack.enter_async_context(parrot_room())
            else:
                server = await stack.enter_async_context(EmbeddedServer())
                room_id = server.rooms.create().id
            peers = server.rooms.get(room_id).peers
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fishjam_agents", "call", room_id, "--server", server.url),
                *("--token", server.token, "--caller", str(FIXTURES / "alice_long.wav")),
                *("--out", str(tmp_path / "out")),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            assert process.stdout is not None
            if begins:
                await process.stdout.readuntil(b"alice_long speaks\n")
            else:
                await until(lambda: any(peer.connected for peer in peers.values()))
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
            return process.returncode, out.decode(), err.decode(), len(peers)

    code, out, err, left = asyncio.run(scenario())
    assert code == 130
    # The bot's own.
    assert left == begins
    if begins:
        assert err == ""
        assert out.endswith(f"s of call in {tmp_path / 'out/heard.wav'}, {tmp_path / 'out/room.wav'}\n")
        assert np.abs(read_wav(tmp_path / "out/room.wav").samples).max() > 500
    else:
        assert err == "the call was stopped before it began: run it again\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["room"], "which server is not said: give --server URL, or set FISHJAM_ID"),
        (["--server", "http://127.0.0.1:9"], "which room is not said: give its id, or a --peer-token"),
        (["room", "--server", "http://127.0.0.1:9"], "there is no token: give the server's management token"),
        (["--server", "127.0.0.1:9", "--peer-token", "x"], "the Fishjam ID '127.0.0.1:9' is neither"),
        (
            ["--server", "http://127.0.0.1:9", "--peer-token", "x", "--caller", str(ALICE)],
            "a peer token is one caller's: give one --caller, or the management token",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    code, out, err = command(capsys, "call", *words, "--caller", ALICE)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {told}")
    assert err.count("\n") == 1


def test_a_server_that_is_not_there_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("call", "room", "--server", "http://127.0.0.1:9", "--token", "x", "--caller", ALICE)
    code, out, err = command(capsys, *words)
    assert (code, out) == (1, "")
    assert err.startswith("error: cannot reach http://127.0.0.1:9: is the server running?")
    assert err.count("\n") == 1

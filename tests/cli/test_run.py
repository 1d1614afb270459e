"""`run` as a process of its own: what it says, how it leaves, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fishjam_agents import cli
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.cli.welcome import can_take_browsers, program
from fishjam_agents.errors import install_extra
from fishjam_agents.server import EmbeddedServer

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
PARROT = "agent: {backend: {type: parrot}}\n"
LAST_LINE = "Ctrl-C ends the call."

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


class Run:
    """A running `run`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def says(self, text: str) -> None:
        """Wait until it has printed a line with `text`."""
        assert self.process.stdout is not None
        while text not in self.said:
            line = await self.process.stdout.readline()
            assert line, f"{text!r} never came: {self.said}{await self.complaints()}"
            self.said += line.decode()

    async def logs(self, text: str) -> None:
        """Wait until it has logged a line with `text`."""
        assert self.process.stderr is not None
        while text not in (line := await self.process.stderr.readline()).decode():
            assert line, f"{text!r} never came"

    async def complaints(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    def interrupt(self, number: int = signal.SIGINT) -> None:
        # `send_signal` looks whether the process has ended, which takes its exit code from who waits for it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    async def exits(self) -> tuple[int, str]:
        """Its exit code and what it printed to standard error that was not read yet."""
        assert self.process.stdout is not None
        self.said += (await self.process.stdout.read()).decode()
        complaints = await self.complaints()
        return await self.process.wait(), complaints


@asynccontextmanager
async def running(config: Path, *words: object, **variables: str) -> AsyncIterator[Run]:
    hidden = ("FISHJAM_ID", "FISHJAM_MANAGEMENT_TOKEN", "UV")
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fishjam_agents", "run", str(config), *(str(word) for word in words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environ, "XDG_STATE_HOME": str(config.parent / "state"), **variables},
    )
    try:
        async with asyncio.timeout(30):
            yield Run(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def elsewhere(folder: Path, server: EmbeddedServer, token: str | None = None) -> Path:
    """A configuration for a Fishjam that another process runs."""
    fishjam = f"fishjam: {{id: '{server.url}', management_token: '{token or server.token}'}}\n"
    return written(folder, fishjam + PARROT)


def test_it_says_how_to_hear_the_bot_and_leaves_when_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(config) as run:
            await run.says(LAST_LINE)
            run.interrupt()
            assert await run.exits() == (0, "")
            block = run.said
        assert re.search(r"^  Fishjam  http://127\.0\.0\.1:\d+$", block, re.MULTILINE)
        assert re.search(r"^  Room     [0-9a-f-]{36}$", block, re.MULTILINE)
        assert f"python -m fishjam_agents simulate {config} --caller" in block
        if can_take_browsers():
            assert re.search(r"^Talk to it: http://127\.0\.0\.1:\d+/#call=[\w-]{32}$", block, re.MULTILINE)
        else:
            assert "[webrtc]" in block
        assert block.endswith(f"{LAST_LINE}\ngoodbye\n")

    config = written(tmp_path, PARROT + "fishjam: {port: 0}\n")
    asyncio.run(scenario())


@pytest.mark.skipif(not can_take_browsers(), reason="the extra webrtc is not installed")
def test_it_opens_the_page_in_the_browser(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(config, "--open", BROWSER=f"{sys.executable} {browser} %s") as run:
            await run.says(LAST_LINE)
            while not opened.exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)
            run.interrupt()
            assert await run.exits() == (0, "")
            assert f"Talk to it: {opened.read_text()}\n" in run.said

    config = written(tmp_path, PARROT + "fishjam: {port: 0}\n")
    opened, browser = tmp_path / "opened", tmp_path / "browser.py"
    browser.write_text(
        "import pathlib, sys\n"
        f"written = pathlib.Path({str(opened)!r})\n"
        "written.with_suffix('.part').write_text(sys.argv[1])\n"
        "written.with_suffix('.part').rename(written)\n"
    )
    asyncio.run(scenario())


@pytest.mark.skipif(not can_take_browsers(), reason="the extra webrtc is not installed")
def test_a_server_that_others_reach_prints_links_for_them_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(config) as run:
            await run.says(LAST_LINE)
            run.interrupt()
            assert await run.exits() == (0, "")
        links = re.findall(r"https?://[^ ]+/#call=\S+", run.said)
        assert links[0].startswith("http://127.0.0.1:")
        assert all(link.startswith("https://") for link in links[1:])
        assert len({link.partition("#")[2] for link in links}) == 1
        assert ("whoever has the link" in run.said) is (len(links) > 1)

    config = written(tmp_path, PARROT + "fishjam: {host: 0.0.0.0, port: 0, management_token: of-my-own}\n")
    asyncio.run(scenario())


def test_without_the_extra_it_says_how_to_install_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(config, PYTHONPATH=str(tmp_path)) as run:
            await run.says(LAST_LINE)
            run.interrupt()
            assert await run.exits() == (0, "")
        assert "Talk to it" not in run.said
        assert install_extra("webrtc") in run.said

    # What `find_spec` does not find is not installed.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'aiortc' else found(name, *more)\n"
    )
    config = written(tmp_path, PARROT + "fishjam: {port: 0}\n")
    asyncio.run(scenario())


def test_open_is_for_a_fishjam_on_this_machine(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, running(elsewhere(tmp_path, server), "--open") as run:
            assert await run.exits() == (
                2,
                "error: --open needs a Fishjam on this machine: set fishjam.id to local\n",
            )

    asyncio.run(scenario())


def test_the_agent_and_its_room_are_deleted_on_the_way_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, running(elsewhere(tmp_path, server), "--peer-token") as run:
            await run.says("A person joins with this peer token")
            [room] = server.rooms
            assert room.id in run.said
            assert sorted(peer.type.value for peer in room.peers.values()) == ["agent", "webrtc"]
            run.interrupt(signal.SIGTERM)
            assert await run.exits() == (0, "")
            assert len(server.rooms) == 0
        assert not os.listdir(tmp_path / "state" / "fishjam-agents")

    asyncio.run(scenario())


def test_a_closed_terminal_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, running(elsewhere(tmp_path, server)) as run:
            await run.says(LAST_LINE)
            run.interrupt(signal.SIGHUP)
            assert await run.exits() == (0, "")
            assert len(server.rooms) == 0

    asyncio.run(scenario())


def test_a_server_that_stays_away_is_one_sentence(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            config = elsewhere(tmp_path, server)
            config.write_text(config.read_text() + "limits: {reconnect: 0.5}\n")
            async with running(config) as run:
                await run.says("start the bot with:\n  python -m fishjam_agents run")
                await run.says(LAST_LINE)
                await server.stop()
                code, complaints = await run.exits()
        assert code == 1
        assert re.search(
            r"^error: the agent session was lost .*: is the server still running\?$", complaints, re.M
        )
        assert "Traceback" not in complaints

    asyncio.run(scenario())


def test_a_rejected_token_is_one_sentence(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, running(elsewhere(tmp_path, server, "wrong")) as run:
            assert await run.exits() == (
                2,
                "error: Fishjam rejected the management token: set fishjam.management_token "
                "or FISHJAM_MANAGEMENT_TOKEN to the token of this Fishjam\n",
            )

    asyncio.run(scenario())


def thoughtful(folder: Path) -> Path:
    """A bot that takes its time to say goodbye."""
    (folder / "slow.py").write_text(
        "import asyncio\n"
        "from fishjam_agents.backends.parrot import Parrot\n"
        "from fishjam_agents.pipeline import AgentPipeline\n"
        "class Bot(AgentPipeline):\n"
        "    backend = Parrot()\n"
        "    async def on_stop(self):\n"
        "        print('thinking about it', flush=True)\n"
        "        await asyncio.sleep(0.8)\n"
        "        print('still thinking', flush=True)\n"
        "        await asyncio.sleep(1.2)\n"
        "        print('thought about it', flush=True)\n"
    )
    return written(folder, "agent: {pipeline: 'slow:Bot'}\nfishjam: {port: 0}\n")


def test_what_runs_on_this_machine_is_loaded_before_anybody_can_join(tmp_path: Path) -> None:
    (tmp_path / "heavy.py").write_text(
        "from dataclasses import dataclass\n"
        "from fishjam_agents.backends.parrot import Parrot\n"
        "from fishjam_agents.pipeline import AgentPipeline\n"
        "@dataclass(frozen=True, slots=True)\n"
        "class Heavy(Parrot):\n"
        "    def preload(self):\n"
        "        print('loaded', flush=True)\n"
        "class Bot(AgentPipeline):\n"
        "    backend = Heavy()\n"
    )

    async def scenario() -> None:
        config = written(tmp_path, "agent: {pipeline: 'heavy:Bot'}\nfishjam: {port: 0}\n")
        async with running(config) as run:
            await run.says(LAST_LINE)
            assert run.said.count("loaded") == 1
            assert run.said.index("loaded") < run.said.index("Talk to it")
            run.interrupt()
            assert (await run.exits())[0] == 0

    asyncio.run(scenario())


def test_the_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(thoughtful(tmp_path)) as run:
            await run.says(LAST_LINE)
            run.interrupt()
            await run.says("goodbye")
            await run.says("still thinking")
            run.interrupt()
            assert await run.exits() == (130, "")
            assert "thought about it" not in run.said

    asyncio.run(scenario())


def test_an_interrupt_that_a_launcher_passes_on_again_is_still_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(thoughtful(tmp_path)) as run:
            await run.says(LAST_LINE)
            run.interrupt()
            await run.says("goodbye")
            run.interrupt()
            assert await run.exits() == (0, "")
            assert "thought about it" in run.said

    asyncio.run(scenario())


def test_its_echo_may_come_at_any_moment_until_the_program_is_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(config) as run:
            await run.says(LAST_LINE)
            run.interrupt()
            await run.says("goodbye")
            for _ in range(40):
                await asyncio.sleep(0.01)
                if run.process.returncode is not None:
                    break
                run.interrupt()
            assert await run.exits() == (0, "")

    config = written(tmp_path, PARROT + "fishjam: {port: 0}\n")
    asyncio.run(scenario())


def test_a_caller_speaks_and_what_it_heard_is_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        words = ["--caller", FIXTURES / "alice_yes.wav", "--listen", tmp_path / "heard.wav"]
        async with running(written(tmp_path, PARROT + "fishjam: {port: 0}\n"), *words) as run:
            await run.says("1 caller will speak to it.")
            await run.logs("finished a turn")
            await run.logs("the bot replies")
            run.interrupt()
            code, _ = await run.exits()
        assert code == 0
        assert f"{tmp_path / 'heard.wav'} is what the first of them heard" in run.said

    asyncio.run(scenario())
    heard = read_wav(tmp_path / "heard.wav")
    assert heard.sample_rate == 16000
    assert heard.seconds > 1.0


def test_a_port_in_use_is_one_sentence_that_says_how_to_choose_another(tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        config = written(tmp_path, PARROT + f"fishjam: {{port: {port}}}\n")
        async with running(config) as run:
            code, complaints = await run.exits()
        assert code == 1
        assert complaints == (
            f"error: port {port} on 127.0.0.1 is in use: stop what uses it, or write "
            f"`fishjam: {{port: 0}}` in {config} to take a free one\n"
        )

    with socket.create_server(("127.0.0.1", 0)) as taken:
        asyncio.run(scenario(taken.getsockname()[1]))


CLOUD = "fishjam: {id: abc, management_token: x}\n" + PARROT


@pytest.mark.parametrize(
    ("text", "words", "told", "code"),
    [
        (PARROT, ["--listen", "x.wav"], "--listen writes what a caller heard: add --caller", 2),
        (PARROT, ["--caller", "nowhere.wav"], "cannot read nowhere.wav", 2),
        (
            CLOUD,
            ["--caller", "x.wav"],
            "--caller needs a Fishjam on this machine: set fishjam.id to local",
            2,
        ),
        (
            PARROT,
            ["--caller", str(FIXTURES / "silence.wav"), "--listen", "/nowhere/x.wav"],
            "cannot write /nowhere/x.wav",
            1,
        ),
    ],
)
def test_options_that_cannot_work_are_said_before_anything_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, words: list[str], told: str, code: int
) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main(["run", str(written(tmp_path, text)), *words])
    printed = capsys.readouterr()
    assert exited.value.code == code
    assert printed.err.startswith(f"error: {told}")
    assert printed.out == ""


def test_the_next_command_is_started_like_this_one() -> None:
    assert program(["/x/fishjam_agents/__main__.py"], {}) == ["python", "-m", "fishjam_agents"]
    assert program(["/usr/bin/fishjam-agents"], {}) == ["fishjam-agents"]
    assert program(["/x/__main__.py"], {"UV": "/bin/uv"}) == ["uv", "run", "python", "-m", "fishjam_agents"]

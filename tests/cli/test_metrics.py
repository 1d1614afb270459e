"""Metrics where operators find them: at the port of `run`, and at the API of a program for many rooms."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from pathlib import Path

import httpx
import pytest

from fishjam_agents.server import EmbeddedServer

from .command import command
from .programs import all_served, occupied, until
from .programs import running as serving
from .test_run import LAST_LINE, PARROT, running, written

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


async def fetched(url: str) -> str:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


def test_run_serves_the_metrics_of_its_call_on_this_machine(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(config, "--caller", FIXTURES / "alice_yes.wav") as run:
            await run.says(LAST_LINE)
            (url,) = re.findall(
                r"^Prometheus finds its metrics at (http://127\.0\.0\.1:\d+/metrics)$", run.said, re.M
            )
            while 'replies_total{bot="agent",outcome="played"} 1.0' not in (text := await fetched(url)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            assert 'fishjam_agents_bots{bot="agent"} 1.0' in text
            assert 'fishjam_agents_response_seconds_count{backend="Parrot",bot="agent"} 1.0' in text
            assert re.search(r"^fishjam_agents_loop_lag_seconds \d", text, re.M)
            run.interrupt()
            assert (await run.exits())[0] == 0

    config = written(tmp_path, PARROT + "fishjam: {port: 0}\nobserve: {metrics: {port: 0}}\n")
    asyncio.run(scenario())


def test_a_port_in_use_is_told_before_the_bot_joins(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(config) as run:
            code, complaint = await run.exits()
        assert code == 1
        assert complaint == (
            f"error: observe.metrics cannot listen on 127.0.0.1:{port} (Address already in use): "
            "name another port\n"
        )

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = written(tmp_path, PARROT + f"fishjam: {{port: 0}}\nobserve: {{metrics: {{port: {port}}}}}\n")
        asyncio.run(scenario())


def test_a_file_about_many_rooms_has_them_at_its_api(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = written(tmp_path, PARROT + "fishjam: {port: 0}\nrooms: every\nobserve: {metrics: {}}\n")
    code, _, complaint = command(capsys, "run", config)
    assert code == 2
    assert complaint == (
        f"error: {config}:4: observe.metrics is for a file about one room: "
        "this one serves /metrics at `api`\n"
    )


@pytest.mark.parametrize("processes", [1, 2])
def test_the_api_tells_the_metrics_of_the_calls_of_all_processes(tmp_path: Path, processes: int) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, serving(config, server, tmp_path / "state") as program:
            await program.says("Ctrl-C ends the calls.")
            url = re.findall(r"^  API      (\S+)$", program.said, re.M)[0]
            rooms = await occupied(server, 6)
            await until(lambda: all_served(rooms))
            count = re.compile(r'^fishjam_agents_bots\{bot="agent".*\} (\d+)', re.M)
            while sum(map(int, count.findall(text := await fetched(f"{url}/metrics")))) < 6:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            # A process that no room fell to has no metrics of calls.
            assert 1 <= len(count.findall(text)) <= processes
            assert len(re.findall(r"^fishjam_agents_ready\S* 1$", text, re.M)) == processes
            if processes > 1:
                assert re.search(r'^fishjam_agents_bots\{bot="agent",process="w\d"\}', text, re.M)
            # Every family stands there once, as the format wants it.
            kinds = re.findall(r"^# TYPE (\S+)", text, re.M)
            assert len(kinds) == len(set(kinds))
            assert "fishjam_agents_calls_started_total" in kinds

    config = tmp_path / "config.yaml"
    workers = f"workers: {processes}\n" if processes > 1 else ""
    config.write_text(PARROT + f"rooms: every\napi: {{port: 0}}\n{workers}limits: {{empty_room: 60}}\n")
    asyncio.run(scenario())

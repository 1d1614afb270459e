"""HTTP requests that drip in, come by the thousand or never end, and a process with no room for more."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap

import pytest

from fishjam_agents.protocol import encode_track_chunk

from .conftest import Client, Serve, closing


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents.server.rest.http.REQUEST_SECONDS", 0.2)
    monkeypatch.setattr("fishjam_agents.server.rest.http.ANSWER_SECONDS", 0.4)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"GET /validate HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /room HTTP/1.1\r\nHost: [::1]\r\nAuthorization: Bearer TOKEN\r\nContent-Length: 9\r\n\r\n{",
        b"POST /room HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
    ],
    ids=["nothing", "a byte", "headers", "body", "body of a stranger"],
)
def test_a_request_that_drips_in_comes_to_an_end(
    serve: Serve, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(client: Client) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
        writer.write(sent.replace(b"TOKEN", client.server.token.encode()))
        answer = await reader.read()
        assert b" 408 " in answer or b" 401 " in answer
        writer.close()
        assert (await client.http.get("/validate")).status_code == 200
        assert len(client.server.rooms) == 0

    serve(scenario)
    assert not caplog.records


@pytest.mark.usefixtures("short")
def test_deadlines_are_of_each_request_and_spare_open_sockets(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        _, token = await client.peer(await client.room(), "agent")
        async with client.agent(token) as agent:
            for _ in range(8):
                await asyncio.sleep(0.1)
                assert (await client.http.get("/validate")).status_code == 200
            await agent.send(encode_track_chunk("0" * 32, b""))
            assert (await closing(agent))[0] == 1011

    serve(scenario)


def test_a_client_that_leaves_in_mid_body_prints_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(client: Client) -> None:
        for path, kind in (("/room", "application/json"), ("/recordings", "multipart/form-data; boundary=x")):
            _, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
            head = (
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {client.server.token}\r\n"
                f"Content-Type: {kind}\r\nContent-Length: 900\r\n\r\n{{"
            )
            writer.write(head.encode())
            await asyncio.sleep(0.1)
            writer.transport.abort()
        await asyncio.sleep(0.1)
        assert (await client.http.get("/room")).json() == {"data": []}

    serve(scenario)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_full_server_lets_the_others_wait_and_goes_on(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fishjam_agents.server.listener.MAX_CONNECTIONS", 5)

    async def scenario(client: Client) -> None:
        crowd = [await asyncio.open_connection("127.0.0.1", client.server.port) for _ in range(12)]
        waiting = asyncio.create_task(client.http.get("/validate"))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        for _, writer in crowd:
            writer.close()
        assert (await waiting).status_code == 200

    serve(scenario)
    assert [record.message for record in caplog.records if "is full" in record.message] == [
        "the embedded server is full: 5 connections are open, more wait until some are closed"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of open files to lower")
def test_a_full_table_of_files_is_said_once_and_survived() -> None:
    program = """
        import asyncio, resource, sys
        from fishjam_agents.server import EmbeddedServer

        async def main():
            async with EmbeddedServer() as server:
                files = []
                resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
                try:
                    while True:
                        files.append(open("/dev/null"))
                except OSError:
                    pass
                # Room for the clients' ends, none for the server's.
                for file in files[-8:]:
                    file.close()
                del files[-8:]
                crowd = []
                try:
                    while True:
                        crowd.append(await asyncio.open_connection("127.0.0.1", server.port))
                except OSError:
                    pass
                await asyncio.sleep(2.5)
                for _, writer in crowd:
                    writer.close()
                for file in files:
                    file.close()
                async with asyncio.timeout(5):
                    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                    writer.write(b"GET /validate HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
                    print((await reader.readline()).decode().strip())
                    writer.close()

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "HTTP/1.1 404 Not Found\n", done.stderr
    assert done.stderr.count("takes no connection") <= 1
    assert len(done.stderr) < 1000


@pytest.mark.parametrize("before", [b"", b"GET /validate HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_a_request_of_thousands_of_headers_is_refused(serve: Serve, before: bytes) -> None:
    async def scenario(client: Client) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
        writer.write(before + b"GET /validate HTTP/1.1\r\nHost: localhost\r\n" + b"a:b\r\n" * 2000 + b"\r\n")
        answers = await reader.read()
        assert answers.count(b"HTTP/1.1 404") == (1 if before else 0)
        assert answers.count(b"HTTP/1.1 431") == 1
        writer.close()
        # A body may have as many lines as it likes.
        answer = await client.http.post("/room", content=b"{" + b"\n" * 5000 + b"}")
        assert answer.status_code == 201

    serve(scenario)

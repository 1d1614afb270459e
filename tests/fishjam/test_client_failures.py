"""Both clients over real sockets when something is wrong: refusals, lost answers, old versions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from fishjam_agents.errors import ProtocolError
from fishjam_agents.fishjam import (
    AsyncFishjamClient,
    CompositionSource,
    FishjamClient,
    InternalServerError,
    InvalidFishjamCredentialsError,
    NotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
    UnreachableError,
)
from fishjam_agents.server import EmbeddedServer

from .clients import EMPTY_LIST, Kind, against_stub, ask, both, client_of, script
from .stubs import Answer, http_server


async def called_here(client: FishjamClient | AsyncFishjamClient, call: Callable[[], Any]) -> Any:
    """Call a method of either client so that its caller is in this file, for warnings that name it."""
    return await (asyncio.to_thread(call) if isinstance(client, FishjamClient) else call())


@both
def test_a_wrong_token_is_said_to_be_wrong(kind: Kind) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, client_of(kind, server.url, "wrong") as client:
            with pytest.raises(InvalidFishjamCredentialsError, match="check the Fishjam ID"):
                await ask(client.check_credentials)
            with pytest.raises(InvalidFishjamCredentialsError):
                await ask(kind.create_and_verify, fishjam_id=server.url, management_token="wrong")
            with pytest.raises(UnauthorizedError):
                await ask(client.create_room)
            good = await ask(kind.create_and_verify, fishjam_id=server.url, management_token=server.token)
            assert await ask(good.get_all_rooms) == []
            await ask(good.close if isinstance(good, FishjamClient) else good.aclose)

    asyncio.run(scenario())


@both
@pytest.mark.parametrize("trouble", [(503, b""), None], ids=["503", "broken connection"])
def test_what_can_be_repeated_is_tried_again(kind: Kind, trouble: Answer) -> None:
    respond, asked = script(trouble, trouble, EMPTY_LIST)

    async def scenario(client: Any) -> None:
        assert await ask(client.get_all_rooms) == []

    against_stub(kind, respond, scenario)
    assert asked == ["GET /room"] * 3


@both
def test_trying_again_has_an_end(kind: Kind) -> None:
    respond, asked = script((503, b'{"errors": "busy"}'))

    async def scenario(client: Any) -> None:
        with pytest.raises(ServiceUnavailableError, match="busy"):
            await ask(client.get_all_rooms)

    against_stub(kind, respond, scenario, retries=1)
    assert asked == ["GET /room"] * 2


@both
@pytest.mark.parametrize("trouble", [(503, b""), None], ids=["503", "broken connection"])
def test_what_would_be_made_twice_is_asked_for_once(kind: Kind, trouble: Answer) -> None:
    respond, asked = script(trouble)

    async def scenario(client: Any) -> None:
        with pytest.raises((ServiceUnavailableError, UnreachableError)):
            await ask(client.create_room)

    against_stub(kind, respond, scenario)
    assert asked == ["POST /room"]


@both
def test_an_error_that_does_not_pass_is_not_tried_again(kind: Kind) -> None:
    respond, asked = script((500, b"oops"))

    async def scenario(client: Any) -> None:
        with pytest.raises(InternalServerError, match="oops"):
            await ask(client.get_all_rooms)

    against_stub(kind, respond, scenario)
    assert len(asked) == 1


@both
def test_a_deletion_whose_answer_got_lost_is_done(kind: Kind) -> None:
    respond, asked = script(None, (404, b'{"errors": "gone"}'))

    async def scenario(client: Any) -> None:
        await ask(client.delete_room, "r")

    against_stub(kind, respond, scenario)
    assert asked == ["DELETE /room/r"] * 2


@both
def test_a_deletion_that_was_put_off_and_finds_nothing_says_so(kind: Kind) -> None:
    respond, _ = script((503, b""), (404, b'{"errors": "gone"}'))

    async def scenario(client: Any) -> None:
        with pytest.raises(NotFoundError):
            await ask(client.delete_room, "r")

    against_stub(kind, respond, scenario)


@both
def test_the_old_name_of_a_recording_warns_its_caller(kind: Kind) -> None:
    recording = {"id": "r", "source": {"compositionURL": "c", "outputId": "o"}, "status": "active"}

    async def scenario(client: Any) -> None:
        source = CompositionSource("c", "o")
        with pytest.warns(DeprecationWarning, match="create_composition_recording") as caught:
            await called_here(client, lambda: client.create_recording(source))
        assert caught[0].filename == __file__

    against_stub(kind, lambda *_: (201, json.dumps({"data": recording}).encode()), scenario)


@both
@pytest.mark.parametrize(
    ("status", "category"), [("deprecated", DeprecationWarning), ("unsupported", UserWarning)]
)
def test_an_old_version_is_warned_of_once(kind: Kind, status: str, category: type[Warning]) -> None:
    header = {"x-fishjam-api-deprecated": json.dumps({"status": status, "message": "update soon"})}

    async def scenario(client: Any) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                await called_here(client, lambda: client.get_all_rooms())
        assert [(item.category, str(item.message)) for item in caught] == [(category, "update soon")]
        assert caught[0].filename == __file__

    against_stub(kind, lambda *_: (*EMPTY_LIST, header), scenario)


@both
def test_a_server_that_is_not_there_is_named(kind: Kind) -> None:
    async def scenario() -> None:
        async with http_server(lambda *_: (200, b"")) as url:
            pass
        async with client_of(kind, url) as client:
            with pytest.raises(UnreachableError, match=f"cannot reach {url}: is the server running"):
                await ask(client.get_all_rooms)

    asyncio.run(scenario())


@both
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"])
def test_a_server_that_never_ends_its_answer_is_given_up(kind: Kind, answer: bytes) -> None:
    async def scenario() -> None:
        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            # A client that hangs up in the middle of an answer resets the connection.
            with contextlib.suppress(ConnectionError):
                while not reader.at_eof():
                    if answer:
                        writer.write(b" ")
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.02):
                            await reader.read(1000)
            writer.close()
            gone.set()

        gone = asyncio.Event()
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, client_of(kind, url, deadline=0.2) as client:
            with pytest.raises(UnreachableError, match=r"did not answer GET /room within 0.2 s"):
                await ask(client.get_all_rooms)
            await asyncio.wait_for(gone.wait(), 5)

    asyncio.run(scenario())


@both
@pytest.mark.parametrize(
    "answer", [(200, b"<html>"), (200, b"{}", {"content-encoding": "gzip"})], ids=["html", "false gzip"]
)
def test_what_is_no_fishjam_is_said_to_be_none(kind: Kind, answer: Answer) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(ProtocolError, match="is it a Fishjam server"):
            await ask(client.get_all_rooms)

    against_stub(kind, lambda *_: answer, scenario)

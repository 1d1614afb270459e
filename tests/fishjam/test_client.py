"""Both clients over real sockets: the embedded server, and stubs for what it never does."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import json
import pickle
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.errors import ConfigError, ProtocolError
from fishjam_agents.fishjam import (
    AgentOptions,
    AgentOutputOptions,
    AsyncFishjamClient,
    BadRequestError,
    CompositionSource,
    ConflictError,
    FishjamClient,
    InternalServerError,
    InvalidFishjamCredentialsError,
    NotFoundError,
    PeerOptions,
    PeerOptionsVapi,
    RoomOptions,
    ServiceUnavailableError,
    TemplateSource,
    UnauthorizedError,
    UnreachableError,
)
from fishjam_agents.server import EmbeddedServer

from .stubs import Answer, Respond, http_server

AnyClient = FishjamClient | AsyncFishjamClient
Kind = type[FishjamClient] | type[AsyncFishjamClient]

both = pytest.mark.parametrize("kind", [FishjamClient, AsyncFishjamClient])

EMPTY_LIST = (200, b'{"data": []}')


async def ask(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a method of either client."""
    if inspect.iscoroutinefunction(method):
        return await method(*args, **kwargs)
    return await asyncio.to_thread(method, *args, **kwargs)


async def called_here(client: AnyClient, call: Callable[[], Any]) -> Any:
    """Call a method of either client so that its caller is in this file, for warnings that name it."""
    return await (asyncio.to_thread(call) if isinstance(client, FishjamClient) else call())


@asynccontextmanager
async def client_of(kind: Kind, url: str, token: str = "token", **settings: Any) -> AsyncIterator[Any]:
    client = kind(url, token, **settings)
    try:
        yield client
    finally:
        if isinstance(client, FishjamClient):
            client.close()
        else:
            await client.aclose()


def against_server(kind: Kind, scenario: Callable[[EmbeddedServer, Any], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(20),
            EmbeddedServer() as server,
            client_of(kind, server.url, server.token) as client,
        ):
            await scenario(server, client)

    asyncio.run(run())


def against_stub(
    kind: Kind, respond: Respond, scenario: Callable[[Any], Awaitable[None]], **settings: Any
) -> None:
    async def run() -> None:
        async with http_server(respond) as url, client_of(kind, url, **settings) as client:
            await scenario(client)

    asyncio.run(run())


@both
def test_rooms_and_peers_are_made_and_removed(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        await ask(client.check_credentials)
        room = await ask(client.create_room, RoomOptions(max_peers=3))
        assert room.config.max_peers == 3
        assert await ask(client.get_room, room.id) == room
        assert room in await ask(client.get_all_rooms)

        peer, token = await ask(client.create_peer, room.id, PeerOptions(metadata={"name": "Ann"}))
        assert peer.metadata == {"peer": {}, "server": {"name": "Ann"}}
        assert await ask(client.refresh_peer_token, room.id, peer.id) not in ("", token)
        agent = await ask(
            client.create_agent,
            room_id=room.id,
            options=AgentOptions(AgentOutputOptions(audio_sample_rate=24000)),
        )
        assert agent.room_id == room.id
        vapi = await ask(client.create_vapi_agent, room.id, PeerOptionsVapi("key", "call-1"))
        assert [(p.id, p.type) for p in (await ask(client.get_room, room.id)).peers] == [
            (peer.id, "webrtc"),
            (agent.id, "agent"),
            (vapi.id, "vapi"),
        ]
        with pytest.raises(ConflictError, match="max_peers"):
            await ask(client.create_peer, room.id)

        await ask(client.delete_peer, room.id, peer.id)
        with pytest.raises(NotFoundError):
            await ask(client.delete_peer, room.id, peer.id)
        await ask(client.delete_room, room.id)
        with pytest.raises(NotFoundError):
            await ask(client.get_room, room.id)

    against_server(kind, scenario)


@both
def test_an_agent_of_either_client_enters_its_room(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room)
        agent = await ask(client.create_agent, room.id)
        async with agent.connect():
            (peer,) = (await ask(client.get_room, room.id)).peers
            assert peer.status == "connected"

    against_server(kind, scenario)


@both
def test_a_manual_peer_is_subscribed(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room)
        agent = await ask(client.create_agent, room.id, AgentOptions(subscribe_mode="manual"))
        caller = await server.add_caller(room.id)
        track = caller.microphone.track.id
        await ask(client.subscribe_peer, room.id, agent.id, caller.id)
        await ask(client.subscribe_tracks, room.id, agent.id, [track])
        (shown, _) = (await ask(client.get_room, room.id)).peers
        assert shown.subscribe_mode == "manual"
        assert (shown.subscriptions.peers, shown.subscriptions.tracks) == ([caller.id], [track])

    against_server(kind, scenario)


@both
def test_livestreams_have_tokens_and_addresses(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room, RoomOptions(room_type="livestream", public=True))
        assert room.config.public
        assert await ask(client.create_livestream_viewer_token, room.id)
        assert await ask(client.create_livestream_streamer_token, room.id)
        assert client.livestream_whip_url() == f"{server.url}/api/v1/live/api/whip"
        assert client.livestream_whep_url() == f"{server.url}/api/v1/live/api/whep"
        conference = await ask(client.create_room)
        with pytest.raises(NotFoundError):
            await ask(client.create_livestream_viewer_token, conference.id)

    against_server(kind, scenario)


@both
def test_moq_access_is_given(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        access = await ask(client.create_moq_access, publish_path="out", ttl=60)
        assert access.connection_url.endswith(f"jwt={access.token}")
        assert await ask(client.create_moq_token, subscribe_path="in")
        with pytest.raises(BadRequestError):
            await ask(client.create_moq_access)

    against_server(kind, scenario)


@both
def test_recordings_are_made_found_stopped_and_deleted(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        composition = "https://rtc.fishjam.io/api/composition/c"
        room = await ask(client.create_room)
        await ask(client.forward_room_tracks, room.id, composition)
        assert (await ask(client.get_room, room.id)).composition_info.composition_url == composition

        source = CompositionSource(composition, "out")
        labels = {"env": "prod", "deep": {"n": 1}}
        recording = await ask(client.create_composition_recording, source, labels)
        assert (recording.status, recording.source, recording.metadata) == ("active", source, labels)
        other = await ask(client.create_template_recording, TemplateSource(composition), b"render()")
        assert {item.id for item in await ask(client.get_all_recordings)} == {recording.id, other.id}
        assert [item.id for item in await ask(client.get_all_recordings, {"deep": {"n": 1}})] == [
            recording.id
        ]
        with pytest.raises(ConflictError, match="stop a recording"):
            await ask(client.delete_recording, recording.id)
        await ask(client.stop_recording, recording.id)
        async with asyncio.timeout(10):
            while (await ask(client.get_recording, recording.id)).status != "available":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await ask(client.get_recording, recording.id)).files
        await ask(client.delete_recording, recording.id)
        await ask(client.stop_recording, other.id)
        with pytest.raises(NotFoundError):
            await ask(client.get_recording, recording.id)

    against_server(kind, scenario)


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
def test_a_template_travels_as_a_form(kind: Kind) -> None:
    seen: list[tuple[dict[str, str], bytes]] = []

    def respond(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        seen.append((headers, body))
        return 400, b""

    async def scenario(client: Any) -> None:
        with pytest.raises(BadRequestError):
            await ask(client.create_template_recording, TemplateSource("http://c"), b"render()", {"a": 1})

    against_stub(kind, respond, scenario)
    ((headers, body),) = seen
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="config"\r\nContent-Type: application/json' in body
    assert b'"metadata": {"a": 1}' in body
    assert b'name="template"; filename="template.js"' in body
    assert b"render()" in body


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
def test_requests_carry_the_token_and_keep_encoded_ids_and_the_path_of_the_url(kind: Kind) -> None:
    seen: list[Any] = []

    def respond(*request: object) -> Answer:
        seen.append(request)
        return 200, json.dumps({"data": {"token": "t"}}).encode()

    async def scenario() -> None:
        async with (
            http_server(respond) as url,
            client_of(kind, f"{url}/api/v1/connect/me/", "secret") as client,
        ):
            await ask(client.refresh_peer_token, "a/b", "p")
            assert "secret" not in repr(client)

    asyncio.run(scenario())
    (method, path, headers, body) = seen[0]
    assert (method, path) == ("POST", "/api/v1/connect/me/room/a%2Fb/peer/p/refresh_token")
    assert headers["authorization"] == "bearer secret"
    assert headers["x-fishjam-api-client"].startswith("fishjam-agents/")
    assert body == b""


def script(*answers: Answer) -> tuple[Respond, list[str]]:
    """Gives the answers one after the other, the last one for ever; and what was asked."""
    asked: list[str] = []

    def respond(method: str, path: str, *_: object) -> Answer:
        asked.append(f"{method} {path}")
        return answers[min(len(asked), len(answers)) - 1]

    return respond, asked


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


@both
def test_an_id_without_a_scheme_is_refused_before_anything_is_sent(kind: Kind) -> None:
    with pytest.raises(ConfigError, match="write http://localhost:5002"):
        kind("localhost:5002", "token")


@both
def test_both_clients_have_the_signatures_of_the_endpoints(kind: Kind) -> None:
    signature = inspect.signature(kind.create_agent)
    assert list(signature.parameters) == ["self", "room_id", "options"]
    assert signature.return_annotation == "Agent"
    assert str(inspect.signature(kind.get_room)) == "(self, room_id: 'str') -> 'Room'"
    assert inspect.iscoroutinefunction(kind.get_room) == (kind is AsyncFishjamClient)
    assert (kind.get_room.__doc__ or "").startswith("The room as it is now")


def test_the_blocking_client_works_without_a_context_and_leaves_no_connection() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:

            def program() -> None:
                client = FishjamClient(server.url, server.token)
                room = client.create_room()
                client.close()
                assert client.get_room(room.id) == room
                with FishjamClient(server.url, server.token) as other:
                    assert other.get_all_rooms() == [room]

            await asyncio.to_thread(program)
            # A socket that is left to the collector would warn, and a warning fails the test.
            gc.collect()

    asyncio.run(scenario())


def test_threads_share_the_blocking_client() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        def program() -> set[str]:
            with ThreadPoolExecutor(8) as pool:
                return {room.id for room in pool.map(lambda _: client.create_room(), range(40))}

        assert await asyncio.to_thread(program) == {room.id for room in await ask(client.get_all_rooms)}

    against_server(FishjamClient, scenario)


@both
def test_a_pickled_client_opens_connections_of_its_own(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room)
        copy = pickle.loads(pickle.dumps(client))
        assert await ask(copy.get_all_rooms) == [room]
        await ask(copy.close if isinstance(copy, FishjamClient) else copy.aclose)

    against_server(kind, scenario)


def test_the_package_loads_nothing_until_it_is_used() -> None:
    code = (
        "import sys, fishjam_agents.fishjam as fishjam;"
        "assert not {'httpx', 'websockets', 'betterproto'} & set(sys.modules);"
        "fishjam.Agent; assert 'httpx' not in sys.modules;"
        "[getattr(fishjam, name) for name in fishjam.__all__]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_rest_alone_loads_no_websockets() -> None:
    code = (
        "import sys; from fishjam_agents.fishjam import FishjamClient;"
        "FishjamClient('http://127.0.0.1:1', 'token');"
        "assert not {'websockets', 'betterproto', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@both
@given(
    st.text(max_size=20)
    | st.text(max_size=12).map("http://".__add__)
    | st.from_regex(r"http://[a-z.\-:@\[\]% ]{0,12}(/[a-z% ]{0,4})?", fullmatch=True)
)
def test_any_id_is_usable_or_refused_at_once(kind: Kind, fishjam_id: str) -> None:
    try:
        client = kind(fishjam_id, "token")
    except ConfigError as error:
        assert str(error)  # noqa: PT017
    else:
        httpx.Request("GET", client.url + "/room")

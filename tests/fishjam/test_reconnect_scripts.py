"""An agent that comes back to a server that follows a script: refusals, goodbyes, fresh tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import AudioError, ProtocolError, SessionError
from fishjam_agents.fishjam import (
    Agent,
    AgentAuthError,
    AgentSession,
    AsyncFishjamClient,
    Reconnected,
    SessionClosedError,
)
from fishjam_agents.protocol import (
    AddTrack,
    AuthRequest,
    TrackChunk,
    decode_agent_request,
    encode_authenticated,
)
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.testing import FaultProxy, Reset

from .stubs import QUICK, Script, websocket_server


def with_agent(
    scripts: list[Script], scenario: Callable[[AgentSession, list[str]], Awaitable[None]], **options: Any
) -> None:
    """Run `scenario` with a session of a server that follows one script per connection."""
    tokens: list[str] = []

    async def serve(socket: ServerConnection) -> None:
        request = decode_agent_request(await socket.recv(decode=False))
        assert isinstance(request, AuthRequest)
        tokens.append(request.token)
        await scripts[min(len(tokens), len(scripts)) - 1](socket)

    async def run() -> None:
        async with asyncio.timeout(10), websocket_server(serve) as url:
            agent = Agent("agent", "room", "token", url)
            async with agent.connect(reconnect=True, **{"backoff": QUICK, **options}) as session:
                await scenario(session, tokens)

    asyncio.run(run())


def closing(code: int, reason: str, admitted: bool = True) -> Script:
    async def script(socket: ServerConnection) -> None:
        if admitted:
            await socket.send(encode_authenticated())
        await socket.close(code, reason)

    return script


async def until_the_end(session: AgentSession) -> list[Any]:
    return [frame async for frame in session.receive()]


async def leave_at_once(socket: ServerConnection) -> None:
    await socket.send(encode_authenticated())
    await socket.wait_closed()


def test_a_refused_token_is_fatal() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        with pytest.raises(AgentAuthError, match="peer not found"):
            await until_the_end(session)
        assert len(tokens) == 2

    with_agent([closing(1011, "crash"), closing(1000, "peer not found", admitted=False)], scenario)


def test_a_token_that_is_a_day_old_by_now_is_refreshed() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        assert isinstance(await anext(session.receive()), Reconnected)
        assert tokens == ["token", "token", "fresh"]

    expired = closing(1000, "expired token", admitted=False)
    with_agent([closing(1011, "crash"), expired, leave_at_once], scenario, refresh=lambda: "fresh")


async def closing_without_a_word(socket: ServerConnection) -> None:
    """A close frame without a code (1005)."""
    async with socket.send_context():
        socket.protocol.send_close()


def test_a_close_without_a_code_in_place_of_an_answer_is_no_refusal() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        assert isinstance(await anext(session.receive()), Reconnected)
        assert tokens == ["token"] * 4

    scripts = [closing(1011, "crash"), closing_without_a_word, closing_without_a_word, leave_at_once]
    with_agent(scripts, scenario)


def test_a_fresh_token_that_is_refused_is_fatal() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        with pytest.raises(AgentAuthError, match="expired token"):
            await until_the_end(session)
        assert tokens == ["token", "token", "fresh"]

    expired = closing(1000, "expired token", admitted=False)
    with_agent([closing(1011, "crash"), expired, expired], scenario, refresh=lambda: "fresh")


def test_a_refused_agent_that_is_not_wanted_any_more_ends_with_the_refusal() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        with pytest.raises(AgentAuthError, match="peer not found"):
            await until_the_end(session)

    gone = closing(1000, "peer not found", admitted=False)
    with_agent([closing(1011, "crash"), gone], scenario, refresh=lambda: None)


def test_a_call_older_than_its_token_survives_a_blip() -> None:
    wall = 0.0

    async def scenario() -> None:
        nonlocal wall
        async with (
            asyncio.timeout(10),
            EmbeddedServer(now=lambda: wall) as server,
            FaultProxy(server.url) as between,
            AsyncFishjamClient(server.url, server.token) as client,
        ):
            room = await client.create_room()
            made = await client.create_agent(room.id)
            agent = Agent(made.id, room.id, made._token, between.url)
            async with agent.connect(
                reconnect=True, backoff=QUICK, refresh=lambda: client.refresh_peer_token(room.id, made.id)
            ) as session:
                received = session.receive()
                for _ in range(2):
                    wall += 25 * 3600.0
                    between.inject(Reset())
                    assert isinstance(await anext(received), Reconnected)

    asyncio.run(scenario())


def test_a_place_that_a_half_open_socket_still_holds_is_waited_for() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        frame = await anext(session.receive())
        assert isinstance(frame, Reconnected)
        assert frame.attempts == 3

    taken = closing(1000, "peer already connected", admitted=False)
    with_agent([closing(1011, "crash"), taken, taken, leave_at_once], scenario)


def test_a_refused_token_is_asked_for_without_a_pause() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        frame = await anext(session.receive())
        assert isinstance(frame, Reconnected)
        assert tokens == ["token", "token", "fresh"]

    expired = closing(1000, "expired token", admitted=False)
    # The pause after the second failure would be longer than the test may take.
    with_agent(
        [closing(1011, "crash"), expired, leave_at_once],
        scenario,
        refresh=lambda: "fresh",
        backoff=Backoff(first=600, longest=600),
    )


def test_a_pause_ends_when_the_server_is_known_to_be_back() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        received = asyncio.create_task(anext(session.receive()))
        while len(tokens) < 2:  # noqa: ASYNC110 - the script has no event to wait for
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert not received.done()
        session.hurry()
        assert isinstance(await received, Reconnected)
        assert len(tokens) == 3

    with_agent(
        [closing(1011, "crash"), closing_without_a_word, leave_at_once],
        scenario,
        backoff=Backoff(first=600, longest=600),
    )


def test_a_goodbye_without_anybody_to_ask_is_the_end() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        with pytest.raises(SessionClosedError, match="Peer removed"):
            await until_the_end(session)
        assert len(tokens) == 1

    with_agent([closing(1000, "Peer removed")], scenario)


def test_a_session_taken_over_by_another_does_not_fight_for_the_room() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        with pytest.raises(SessionClosedError, match="already connected"):
            await until_the_end(session)
        assert len(tokens) == 1

    with_agent([closing(1000, "peer already connected")], scenario, refresh=lambda: "fresh")


def test_after_a_goodbye_the_fresh_token_is_used_and_kept() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        received = session.receive()
        for _ in range(2):
            assert isinstance(await anext(received), Reconnected)
        assert tokens == ["token", "fresh", "fresh"]

    with_agent(
        [closing(1000, "bye"), closing(1011, "crash"), leave_at_once], scenario, refresh=lambda: "fresh"
    )


def test_an_agent_that_is_not_wanted_any_more_ends() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        with pytest.raises(SessionClosedError, match="bye"):
            await until_the_end(session)

    with_agent([closing(1000, "bye")], scenario, refresh=lambda: None)


def test_a_mistake_in_refresh_is_raised_and_not_tried_again() -> None:
    def refresh() -> str:
        raise ZeroDivisionError("a mistake")

    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        with pytest.raises(ZeroDivisionError):
            await until_the_end(session)
        with pytest.raises(ZeroDivisionError):
            await session.capture_image("video")

    with_agent([closing(1000, "bye")], scenario, refresh=refresh)


def test_no_chunk_precedes_its_track() -> None:
    requests: asyncio.Queue[Any] = asyncio.Queue()

    async def record(socket: ServerConnection) -> None:
        await socket.send(encode_authenticated())
        async for message in socket:
            assert isinstance(message, bytes)
            requests.put_nowait(decode_agent_request(message))

    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        track = await session.add_track()
        with pytest.raises(AudioError, match="too long"):
            await track.send_chunk(bytes(2 << 20))

        async def talk() -> None:
            while True:
                await track.send_chunk(bytes(320))
                await asyncio.sleep(0)

        talking = asyncio.create_task(talk())
        await anext(session.receive())
        first = await requests.get()
        assert isinstance(first, AddTrack)
        assert await requests.get() == TrackChunk(first.track.id, bytes(320))
        talking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talking

    with_agent([closing(1011, "crash"), record], scenario)


def test_the_first_connection_is_not_tried_twice() -> None:
    async def scenario() -> None:
        async with websocket_server(closing(1011, "crash", admitted=False)) as url:
            with pytest.raises(SessionError):
                async with Agent("agent", "room", "token", url).connect(reconnect=True):
                    raise AssertionError("connected")

    asyncio.run(scenario())


async def damaged(socket: ServerConnection) -> None:
    await socket.send(encode_authenticated())
    await socket.send(b"\x00 is no message")
    await socket.wait_closed()


@pytest.mark.parametrize("listens", [False, True])
def test_a_damaged_message_costs_a_connection_and_one_that_follows_at_once_the_session(listens: bool) -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        heard: list[Any] = []

        async def receive() -> None:
            async for frame in session.receive():
                heard.append(frame)  # noqa: PERF401 - it raises

        with pytest.raises(ProtocolError, match="no AgentResponse"):
            await (session.listen(heard.append) if listens else receive())
        assert [type(frame) for frame in heard] == [Reconnected]
        assert len(tokens) == 2

    with_agent([damaged, damaged, leave_at_once], scenario)


def test_a_session_goes_on_after_a_damaged_message() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        track = await session.add_track()
        before = track.id
        received = session.receive()
        assert isinstance(await anext(received), Reconnected)
        assert track.id != before
        await track.send_chunk(bytes(320))
        await session.disconnect()
        assert [frame async for frame in received] == []

    with_agent([damaged, leave_at_once], scenario)

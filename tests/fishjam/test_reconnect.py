"""An agent's session that outlives its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from fishjam_agents.errors import AudioError, SessionError
from fishjam_agents.fishjam import (
    Agent,
    AgentAuthError,
    AgentSession,
    AsyncFishjamClient,
    Backoff,
    NotFoundError,
    Reconnected,
    SessionClosedError,
    SessionLostError,
)
from fishjam_agents.protocol import (
    AddTrack,
    AuthRequest,
    TrackChunk,
    decode_agent_request,
    encode_authenticated,
)
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.peer import Peer
from fishjam_agents.session import OutgoingAudioTrackOptions

from .proxy import Proxy, proxy
from .stubs import Script, websocket_server

QUICK = Backoff(first=0.02, longest=0.05)


class Call:
    """An agent in a room behind a proxy, and what its session yields."""

    def __init__(self, server: EmbeddedServer, between: Proxy, peer: Peer, session: AgentSession) -> None:
        self.server = server
        self.between = between
        self.peer = peer
        self.session = session
        self.frames: asyncio.Queue[Any] = asyncio.Queue()
        self.receiving = asyncio.create_task(self._receive())

    async def _receive(self) -> None:
        async for frame in self.session.receive():
            self.frames.put_nowait(frame)

    async def holds(self, condition: Callable[[], bool]) -> None:
        # The server tells nobody but its sockets.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def a_call(**options: Any) -> AsyncIterator[Call]:
    async with (
        asyncio.timeout(10),
        EmbeddedServer() as server,
        proxy(server.url) as between,
        AsyncFishjamClient(server.url, server.token) as client,
    ):
        room = await client.create_room()
        made = await client.create_agent(room.id)
        agent = Agent(made.id, room.id, made._token, between.url)
        options = {"reconnect": True, "backoff": QUICK, **options}
        async with agent.connect(**options) as session:
            call = Call(server, between, server.rooms.get(room.id).peer(made.id), session)
            try:
                yield call
            finally:
                call.receiving.cancel()
                await asyncio.gather(call.receiving, return_exceptions=True)


def test_a_lost_connection_comes_back_with_its_tracks_under_new_ids_behind_the_same_handle() -> None:
    async def scenario() -> None:
        async with a_call() as call:
            options = OutgoingAudioTrackOptions(sample_rate=24000, metadata={"type": "microphone"})
            tracks = [await call.session.add_track(options) for _ in range(2)]
            gone = await call.session.add_track(options)
            await call.holds(lambda: len(call.peer.sources) == 3)
            await call.session.remove_track(gone)
            before = [track.id for track in tracks]
            call.between.cut()
            back = await call.frames.get()
            assert isinstance(back, Reconnected)
            assert back.attempts == 1
            assert back.outage > 0
            after = [track.id for track in tracks]
            assert not set(before) & set(after)
            await call.holds(lambda: list(call.peer.sources) == after)
            assert {source.track.metadata for source in call.peer.sources.values()} == {
                '{"type": "microphone"}'
            }
            await tracks[0].send_chunk(b"\x01\x00" * 480)
            await tracks[0].interrupt()
            await call.session.remove_track(tracks[0])
            await call.holds(lambda: list(call.peer.sources) == after[1:])

    asyncio.run(scenario())


def test_audio_sent_during_an_outage_is_dropped_and_tracks_added_then_are_published_after_it() -> None:
    async def scenario() -> None:
        async with a_call() as call:
            first = await call.session.add_track()
            await call.holds(lambda: len(call.peer.sources) == 1)
            call.between.refusing = True
            call.between.cut()
            await call.holds(lambda: not call.peer.connected)
            await call.holds(lambda: call.between.accepted > 2)
            await first.send_chunk(bytes(960))
            await first.interrupt()
            await call.session.capture_image("video")
            second = await call.session.add_track()
            third = await call.session.add_track()
            await call.session.remove_track(third)
            call.between.refusing = False
            back = await call.frames.get()
            assert back.attempts > 1
            await call.holds(lambda: list(call.peer.sources) == [first.id, second.id])

    asyncio.run(scenario())


def test_a_session_that_is_only_sent_to_comes_back_too() -> None:
    async def scenario() -> None:
        async with a_call() as call:
            call.receiving.cancel()
            track = await call.session.add_track()
            seen = []
            for _ in range(3):
                await call.holds(lambda: track.id in call.peer.sources and track.id not in seen)
                seen.append(track.id)
                call.between.cut()

    asyncio.run(scenario())


def test_what_is_listened_to_comes_back_too() -> None:
    async def scenario() -> None:
        async with a_call() as call:
            call.receiving.cancel()
            heard: asyncio.Queue[Any] = asyncio.Queue()
            listening = asyncio.create_task(call.session.listen(heard.put_nowait))
            for _ in range(2):
                await asyncio.sleep(0)
                call.between.cut()
                assert isinstance(await heard.get(), Reconnected)
            await call.session.disconnect()
            await listening

    asyncio.run(scenario())


def test_a_connection_that_does_not_come_back_is_given_up_with_a_sentence() -> None:
    async def scenario() -> None:
        async with a_call(give_up_after=0.2) as call:
            track = await call.session.add_track()
            call.between.refusing = True
            call.between.cut()
            with pytest.raises(SessionLostError, match=r"lost and did not come back within 0\.2 s .*running"):
                await call.receiving
            with pytest.raises(SessionLostError):
                await track.send_chunk(bytes(2))

    asyncio.run(scenario())


def test_leaving_during_an_outage_ends_receiving() -> None:
    async def scenario() -> None:
        async with a_call() as call:
            call.between.refusing = True
            call.between.cut()
            await call.holds(lambda: call.between.accepted > 2)
            await call.session.disconnect()
            await call.receiving

    asyncio.run(scenario())


def test_a_deleted_agent_does_not_come_back() -> None:
    async def scenario() -> None:
        asked: list[int] = []

        async def refresh() -> str:
            asked.append(1)
            return await client.refresh_peer_token(call.session.agent.room_id, call.session.agent.id)

        async with a_call(refresh=refresh) as call:
            room = call.server.rooms.get(call.session.agent.room_id)
            async with AsyncFishjamClient(call.server.url, call.server.token) as client:
                room.remove_peer(call.peer)
                with pytest.raises(SessionClosedError, match="was removed") as caught:
                    await call.receiving
            assert asked == [1]
            assert isinstance(caught.value.__cause__, NotFoundError)

    asyncio.run(scenario())


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
            async with agent.connect(reconnect=True, backoff=QUICK, **options) as session:
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
            proxy(server.url) as between,
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
                    between.cut()
                    assert isinstance(await anext(received), Reconnected)

    asyncio.run(scenario())


def test_a_place_that_a_half_open_socket_still_holds_is_waited_for() -> None:
    async def scenario(session: AgentSession, tokens: list[str]) -> None:
        frame = await anext(session.receive())
        assert isinstance(frame, Reconnected)
        assert frame.attempts == 3

    taken = closing(1000, "peer already connected", admitted=False)
    with_agent([closing(1011, "crash"), taken, taken, leave_at_once], scenario)


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

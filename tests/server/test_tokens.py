"""Tokens: whom they open a door for, and everything else they are refused for."""

from __future__ import annotations

import hashlib
import hmac
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.protocol import encode_auth_request
from fishjam_agents.server.rooms import Rooms
from fishjam_agents.server.settings import PeerConfig, RoomConfig
from fishjam_agents.server.tokens import LIFETIME_SECONDS, Claim, TokenError, Tokens, url_text
from fishjam_agents.session import PeerType

from .conftest import Client, Serve, closing
from .sockets import peer_auth

CLAIM = Claim("room", "peer")


def refusal(rooms: Rooms, token: str) -> str:
    with pytest.raises(TokenError) as caught:
        rooms.admit(token)
    return str(caught.value)


TOKENS = Tokens(lambda: 0.0)
TOKEN = TOKENS.issue(CLAIM)


@given(st.data())
def test_a_token_of_which_one_character_was_changed_is_invalid(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, 60))
    changed = TOKEN[:at] + data.draw(st.characters(exclude_characters=TOKEN[at])) + TOKEN[at + 1 :]
    for garbled in (changed, TOKEN[:at], TOKEN[:-1], TOKEN + "=", TOKEN + "A"):
        with pytest.raises(TokenError, match="token"):
            TOKENS.read(garbled)


@given(st.text())
def test_text_is_no_token(text: str) -> None:
    assert refusal(Rooms(), text) == ("invalid token" if text else "missing token")


def test_a_token_signed_with_another_key_or_none_is_invalid() -> None:
    rooms = Rooms()
    room = rooms.create()
    peer = room.add_peer(PeerConfig(PeerType.AGENT))
    payload = url_text(json.dumps([room.id, peer.id, "peer", time.monotonic() + 60, "x"]).encode())
    for key in (b"", b"development", bytes(32)):
        forged = payload + "." + url_text(hmac.digest(key, payload.encode(), hashlib.sha256))
        assert refusal(rooms, forged) == "invalid token"
    for forged in (payload, payload + ".", "." + payload):
        assert refusal(rooms, forged) == "invalid token"


def test_a_token_of_another_run_of_the_server_is_invalid() -> None:
    assert refusal(Rooms(), Rooms().tokens.issue(CLAIM)) == "invalid token"


def test_a_livestreams_token_opens_neither_a_peer_nor_the_other_side_of_the_stream() -> None:
    rooms = Rooms()
    room = rooms.create(RoomConfig("audio_only_livestream"))
    livestream = room.livestream
    assert livestream is not None
    streamer, viewer = livestream.new_token("streamer"), livestream.new_token("viewer")
    assert refusal(rooms, streamer) == refusal(rooms, viewer) == "invalid token"
    assert rooms.admit_to_stream(streamer, "streamer")[0] is room
    assert rooms.admit_to_stream(viewer, "viewer")[0] is room
    conference = rooms.create()
    peers = rooms.token(conference, conference.add_peer(PeerConfig(PeerType.WEBRTC)))
    for token in (viewer, peers):
        with pytest.raises(TokenError, match="invalid token"):
            rooms.admit_to_stream(token, "streamer")
    for token in (streamer, peers):
        with pytest.raises(TokenError, match="invalid token"):
            rooms.admit_to_stream(token, "viewer")


def test_a_removed_streamer_or_viewer_is_refused_and_the_others_are_not() -> None:
    rooms = Rooms()
    room = rooms.create(RoomConfig("livestream"))
    livestream = room.livestream
    assert livestream is not None
    removed, kept = livestream.add_viewer(), livestream.add_viewer()
    streamer = livestream.add_streamer()
    livestream.remove_viewer(removed["id"])
    livestream.remove_streamer(streamer["id"])
    with pytest.raises(TokenError, match="invalid token"):
        rooms.admit_to_stream(removed["token"], "viewer")
    with pytest.raises(TokenError, match="invalid token"):
        rooms.admit_to_stream(streamer["token"], "streamer")
    assert rooms.admit_to_stream(kept["token"], "viewer")[2] == kept["id"]
    rooms.delete(room.id)
    with pytest.raises(TokenError, match="room not found"):
        rooms.admit_to_stream(kept["token"], "viewer")


def test_the_wall_clock_may_jump_and_no_token_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens()
    token = tokens.issue(CLAIM)
    for jump in (10 * LIFETIME_SECONDS, -10 * LIFETIME_SECONDS):
        now = time.time() + jump
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert tokens.read(token) == CLAIM


def test_a_token_expires_to_the_second() -> None:
    now = 100.0
    tokens = Tokens(lambda: now)
    token = tokens.issue(CLAIM)
    now += LIFETIME_SECONDS - 0.001
    assert tokens.read(token) == CLAIM
    now += 0.001
    with pytest.raises(TokenError, match="expired token"):
        tokens.read(token)


def test_a_token_opens_the_socket_of_its_own_kind_only(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, agent = await client.peer(room_id, "agent")
        _, browser = await client.peer(room_id)
        stream = await client.room(roomType="audio_only_livestream")
        viewer = (await client.http.post(f"/room/{stream}/viewer")).json()["token"]
        streamer = (await client.http.post(f"/room/{stream}/streamer")).json()["token"]
        for name, auth, refused in (
            ("agent", encode_auth_request, (browser, viewer, streamer, client.server.token)),
            ("peer", peer_auth, (agent, viewer, streamer, client.server.token)),
        ):
            for token in refused:
                async with client.socket(name) as socket:
                    await socket.send(auth(token))
                    assert await closing(socket) == (1000, "invalid token")
        for token in (agent, browser, viewer, streamer):
            answer = await client.http.get("/room", headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 401

    serve(scenario)

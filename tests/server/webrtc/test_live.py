"""Livestreams over WHIP and WHEP, with aiortc for the streamer and the viewers."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import weakref
from collections.abc import AsyncIterator

import httpx
import pytest
from aiortc import RTCSessionDescription

from fishjam_agents.server import livestream as livestream_module
from fishjam_agents.server.webrtc import broadcast
from fishjam_agents.server.webrtc.broadcast import only

from ..conftest import Client, Serve
from ..sockets import until
from .browser import pitch
from .livestream import BASE, hears, stream, streamer, token, until_taken, viewer


def test_viewers_hear_the_streamer_whoever_came_first(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await stream(client)
        async with viewer(client) as early, viewer(client) as late, streamer(client, video=True) as sender:
            assert (await early.post("/whep", await token(client, room_id, "viewer"))).status_code == 201
            assert (await sender.post("/whip", await token(client, room_id, "streamer"))).status_code == 201
            await hears(early, 440)
            assert (await late.post("/whep", await token(client, room_id, "viewer"))).status_code == 201
            await hears(late, 440)
            # Only the sound is taken.
            directions = {t.kind: t.currentDirection for t in sender.pc.getTransceivers()}
            assert directions == {"video": "inactive", "audio": "sendonly"}
            assert await late.request("DELETE") == 200
            assert await late.request("DELETE") == 404
            assert await sender.request("DELETE") == 200
            await until(lambda: sender.pc.connectionState == "closed")
            async with streamer(client, 880) as next_sender:
                token_ = await token(client, room_id, "streamer")
                assert (await next_sender.post("/whip", token_)).status_code == 201
                heard = early.heard
                assert heard is not None
                await until(lambda: abs(pitch(heard.samples[-9600:]) - 880) < 20)

    serve(scenario)


def test_a_second_streamer_is_refused_until_the_first_has_gone(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await stream(client)
        async with streamer(client) as first, streamer(client) as second:
            assert (await first.post("/whip", await token(client, room_id, "streamer"))).status_code == 201
            other = await token(client, room_id, "streamer")
            answer = await second.post("/whip", other)
            assert (answer.status_code, answer.json()) == (409, {"errors": "Streamer already connected"})
            await first.pc.close()
            await until_taken(lambda: second.post("/whip", other))

    serve(scenario)


def test_who_may_watch_and_who_may_not(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        private, public = await stream(client), await stream(client, public=True)
        conference = await client.room()
        _, peer_token = await client.peer(conference)
        gone = await stream(client)
        gone_token = await token(client, gone, "viewer")
        await client.http.delete(f"/room/{gone}")
        streamers = await token(client, private, "streamer")
        for path, given, status in (
            ("/whep", None, 401),
            ("/whep", "nonsense", 401),
            ("/whep", peer_token, 401),
            ("/whep", streamers, 401),
            ("/whep", client.server.token, 401),
            ("/whep", gone_token, 404),
            (f"/whep/{private}", None, 401),
            (f"/whep/{conference}", None, 404),
            (f"/whep/{gone}", None, 404),
            ("/whep/..%2F..", None, 404),
            ("/whip", None, 401),
            ("/whip", await token(client, private, "viewer"), 401),
            (f"/whep/{public}", None, 201),
            (f"/whep/{public}", "whatever", 201),
        ):
            async with viewer(client) as peer:
                answer = await peer.post(path, given)
                assert answer.status_code == status, (path, given)
                assert status == 201 or list(answer.json()) == ["errors"]

    serve(scenario)


def test_an_expired_token_is_401(serve: Serve) -> None:
    late = 0.0

    async def scenario(client: Client) -> None:
        nonlocal late
        room_id = await stream(client)
        viewers = await token(client, room_id, "viewer")
        async with viewer(client) as peer, viewer(client) as other:
            assert (await peer.post("/whep", viewers)).status_code == 201
            late = 24 * 3600 + 1
            answer = await other.post("/whep", viewers)
            assert (answer.status_code, answer.json()) == (401, {"errors": "Expired token"})
            # Who watches may still end it.
            assert await peer.request("DELETE") == 200

    serve(scenario, now=lambda: late)


def test_a_connection_answers_to_its_own_token_only(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await stream(client)
        async with viewer(client) as peer:
            await peer.post("/whep", await token(client, room_id, "viewer"))
            location = peer.location
            for method in ("PATCH", "DELETE"):
                for headers in ({}, {"authorization": f"Bearer {await token(client, room_id, 'viewer')}"}):
                    async with httpx.AsyncClient(base_url=client.server.url) as http:
                        assert (await http.request(method, location, headers=headers)).status_code == 401
                        whip = location.replace("/whep/", "/whip/")
                        assert (await http.request(method, whip, headers=headers)).status_code == 404
            assert await peer.request("DELETE") == 200

    serve(scenario)


def test_candidates_may_trickle_and_ice_is_not_restarted(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await stream(client)
        async with streamer(client) as sender, viewer(client) as peer:
            await sender.post("/whip", await token(client, room_id, "streamer"))
            await peer.pc.setLocalDescription(await peer.pc.createOffer())
            offer = peer.pc.localDescription.sdp
            candidates = re.findall(r"a=candidate:[^\r\n]+", offer)
            bare = re.sub(r"a=(candidate:[^\r\n]+|end-of-candidates)\r\n", "", offer)
            headers = {"authorization": f"Bearer {await token(client, room_id, 'viewer')}"}
            async with httpx.AsyncClient(base_url=client.server.url, headers=headers) as http:
                answer = await http.post(
                    f"{BASE}/whep", content=bare, headers={"content-type": "application/sdp"}
                )
                assert answer.status_code == 201
                location = answer.headers["location"]
                await peer.pc.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
                user = re.search(r"a=ice-ufrag:\S+", offer)
                assert user is not None
                garbage = "a=candidate:garbage\r\na=candidate:1 1 udp 1 x.local 9 typ host\r\n"
                media = "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
                fragment = f"{user[0]}\r\n{media}{garbage}" + "\r\n".join(candidates)
                sdpfrag = {"content-type": "application/trickle-ice-sdpfrag"}
                for text, status in (
                    (fragment, 204),
                    ("", 204),
                    ("nonsense", 204),
                    ("a=ice-ufrag:another\r\n", 501),
                    ("x" * 300_000, 413),
                ):
                    assert (await http.patch(location, content=text, headers=sdpfrag)).status_code == status
            await hears(peer, 440)

    serve(scenario)


def test_bad_offers_are_refused_and_leave_the_place_free(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await stream(client)
        streamers = await token(client, room_id, "streamer")
        headers = {"authorization": f"Bearer {streamers}"}
        async with streamer(client) as sender, viewer(client) as watching:
            await sender.pc.setLocalDescription(await sender.pc.createOffer())
            good = sender.pc.localDescription.sdp
            await watching.pc.setLocalDescription(await watching.pc.createOffer())
            receiving = watching.pc.localDescription.sdp
            async with httpx.AsyncClient(base_url=client.server.url, headers=headers) as http:
                for kind, offer, status in (
                    ("text/plain", good, 415),
                    ("", good, 415),
                    ("application/sdp", "", 422),
                    ("application/sdp", "hello", 422),
                    ("application/sdp", "v=0\r\n", 422),
                    ("application/sdp", receiving, 422),
                    ("application/sdp", good.replace("opus", "speex"), 422),
                    ("application/sdp", re.sub(r"a=mid:\S+\r\n", "", good), 422),
                    ("application/sdp", re.sub(r"a=ice-pwd:[^\r\n]+\r\n", "", good), 422),
                    ("application/sdp", re.sub(r"a=fingerprint:[^\r\n]+\r\n", "", good), 422),
                    ("application/sdp", good.replace("a=rtpmap:", "a=rtpmap:x"), 422),
                    ("application/sdp", good + "x" * 300_000, 413),
                    ("application/sdp; charset=utf-8", good, 201),
                ):
                    answer = await http.post(f"{BASE}/whip", content=offer, headers={"content-type": kind})
                    assert answer.status_code == status, (kind, offer[:60], answer.text)
                    assert status == 201 or list(answer.json()) == ["errors"]
                assert (await http.delete(answer.headers["location"])).status_code == 200

    serve(scenario)


def test_an_offer_that_comes_after_the_end_is_refused(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        made = (await client.http.post("/livestream", json={"audioOnly": True})).json()["data"]
        path = f"/livestream/{made['id']}"
        viewers = [(await client.http.post(f"{path}/viewer")).json()["data"] for _ in range(2)]
        async with viewer(client) as peer:
            await peer.pc.setLocalDescription(await peer.pc.createOffer())
            offer = peer.pc.localDescription.sdp.encode()
            for deleted, status in ((f"{path}/viewer/{viewers[0]['id']}", 401), (path, 404)):
                told = asyncio.Event()

                async def slowly(told: asyncio.Event = told) -> AsyncIterator[bytes]:
                    yield offer[:100]
                    await told.wait()
                    yield offer[100:]

                headers = {
                    "content-type": "application/sdp",
                    "authorization": f"Bearer {viewers[status == 404]['token']}",
                }
                async with httpx.AsyncClient(base_url=client.server.url, headers=headers) as http:
                    asking = asyncio.create_task(http.post(f"{BASE}/whep", content=slowly()))
                    # Long enough to be let in, and not answered before the rest of the offer.
                    await asyncio.sleep(0.2)
                    assert (await client.http.delete(deleted)).status_code == 204
                    told.set()
                    assert (await asking).status_code == status

    serve(scenario)


def test_the_end_of_room_token_or_server_ends_the_connection(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        answer = await client.http.post("/livestream", json={"audioOnly": True})
        stream_id = answer.json()["data"]["id"]
        path = f"/livestream/{stream_id}"
        made = (await client.http.post(f"{path}/streamer")).json()["data"]
        watching = (await client.http.post(f"{path}/viewer")).json()["data"]
        async with client.notifications() as told, streamer(client) as sender, viewer(client) as peer:
            await sender.post("/whip", made["token"])
            await peer.post("/whep", watching["token"])
            await hears(peer, 440)
            shown = (await client.http.get(path)).json()["data"]
            assert shown["streamers"] == [{**made, "status": "connected"}]
            await client.http.delete(f"{path}/viewer/{watching['id']}")
            await until(lambda: peer.pc.connectionState == "closed")
            assert await peer.request("DELETE") == 404
            await client.http.delete(path)
            await until(lambda: sender.pc.connectionState == "closed")
            events = [await anext(told) for _ in range(5)]
        whose = [getattr(event, "streamer_id", getattr(event, "viewer_id", "")) for _, event in events]
        assert list(zip([name for name, _ in events], whose, strict=True)) == [
            ("streamer_connected", made["id"]),
            ("viewer_connected", watching["id"]),
            ("viewer_disconnected", watching["id"]),
            ("streamer_disconnected", made["id"]),
            ("room_deleted", ""),
        ]
        async with streamer(client) as last, viewer(client) as listening:
            room_id = await stream(client)
            await last.post("/whip", await token(client, room_id, "streamer"))
            await listening.post("/whep", await token(client, room_id, "viewer"))
            # Sound has come through: the server takes them for connected, too, and tells them of its end.
            await hears(listening, 440)
            await client.server.stop()
            await until(lambda: last.pc.connectionState == listening.pc.connectionState == "closed")

    serve(scenario)


def test_who_never_connects_gives_the_place_back(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "CONNECT_SECONDS", 0.2)

    async def scenario(client: Client) -> None:
        room_id = await stream(client)
        async with streamer(client) as sender:
            await sender.pc.setLocalDescription(await sender.pc.createOffer())
            streamers = await token(client, room_id, "streamer")
            headers = {"content-type": "application/sdp", "authorization": f"Bearer {streamers}"}
            async with httpx.AsyncClient(base_url=client.server.url, headers=headers) as http:
                offer = sender.pc.localDescription.sdp
                assert (await http.post(f"{BASE}/whip", content=offer)).status_code == 201
                assert (await http.post(f"{BASE}/whip", content=offer)).status_code == 409
                await until_taken(lambda: http.post(f"{BASE}/whip", content=offer))

    serve(scenario)


def test_viewers_are_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livestream_module, "MAX_VIEWERS", 2)

    async def scenario(client: Client) -> None:
        room_id = await stream(client, public=True)
        async with viewer(client) as a, viewer(client) as b, viewer(client) as c:
            assert (await a.post(f"/whep/{room_id}", None)).status_code == 201
            assert (await b.post(f"/whep/{room_id}", None)).status_code == 201
            answer = await c.post(f"/whep/{room_id}", None)
            assert (answer.status_code, answer.json()) == (503, {"errors": "Reached the limit of 2 viewers"})

    serve(scenario)


def test_who_comes_and_goes_leaves_nothing(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        tasks = descriptors = 0
        for number in range(12):
            room_id = await stream(client)
            livestream = weakref.ref(client.server.rooms.get(room_id).livestream)
            async with viewer(client) as peer, streamer(client) as sender:
                await peer.post("/whep", await token(client, room_id, "viewer"))
                await sender.post("/whip", await token(client, room_id, "streamer"))
                await until(lambda peer=peer: peer.pc.connectionState == "connected")
                if number % 2:
                    await peer.request("DELETE")
                    await sender.request("DELETE")
            await client.http.delete(f"/room/{room_id}")
            if number == 1:
                tasks, descriptors = await settled()
        assert await settled() == (tasks, descriptors)
        gc.collect()
        assert livestream() is None

    serve(scenario)


async def settled() -> tuple[int, int]:
    """Tasks and open files of this process, once they are as few as they become."""
    fewest = (10**6, 10**6)
    for _ in range(20):
        await asyncio.sleep(0.05)
        fewest = min(fewest, (len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))))
    return fewest


def test_of_an_offer_only_the_sound_is_left() -> None:
    head = "v=0\r\n"
    video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=sendonly\r\n"
    audio = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=sendonly\r\n"
    more = audio.replace("mid:1", "mid:2")
    left = only(head + video + audio + more, "1")
    assert left == head + video.replace("sendonly", "inactive") + audio + more.replace("sendonly", "inactive")

"""The calls API over real sockets: a worker, its API and a Fishjam."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from fishjam_agents import Overload
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.cli.api_server import api_server
from fishjam_agents.fishjam import FishjamNotifier
from fishjam_agents.journal.journal import Journals
from fishjam_agents.journal.redis_store import RedisJournals
from fishjam_agents.journal.store import CallPlace
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.process_load import ProcessLoad
from fishjam_agents.protocol.generated import notifications as n
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.room import Room
from fishjam_agents.server.settings import RoomConfig
from fishjam_agents.session import PeerType
from fishjam_agents.signed_post import SIGNATURE
from fishjam_agents.testing.memory_journals import MemoryJournals
from fishjam_agents.worker import (
    ApiSettings,
    Bots,
    LimitSettings,
    MultiRoomWorker,
    RoomRule,
    RoomSnapshot,
    WorkersSettings,
)
from fishjam_agents.worker.load import LoadMonitor
from fishjam_agents.worker.worker_calls import WorkerCalls

from .programs import until

TOKEN = "secret"
UNLIMITED = WorkersSettings(max_loop_lag=None, max_cpu=None)


class Bot(AgentPipeline):
    backend = Parrot()
    instructions = "Greet {peer.metadata.name:-whoever comes}."
    said: list[str | None] = []  # noqa: RUF012 - what bots were told, of all calls

    told: list[str] = []  # noqa: RUF012 - and of the load of their process

    async def on_start(self) -> None:
        self.said.append(self.instructions)

    async def on_overload(self, overload: Overload) -> None:
        self.told.append(overload.state)


class Parts:
    """What a test works with."""

    def __init__(self, server: EmbeddedServer, worker: MultiRoomWorker, http: httpx.AsyncClient) -> None:
        self.server = server
        self.worker = worker
        self.http = http

    async def post(self, body: Any, **headers: str) -> httpx.Response:
        return await self.http.post("/calls", json=body, headers=headers)

    async def becomes(self, id: str, status: str) -> dict[str, Any]:
        while True:
            record: dict[str, Any] = (await self.http.get(f"/calls/{id}")).json()
            if record["status"] == status:
                return record
            await asyncio.sleep(0.02)


@asynccontextmanager
async def parts(
    token: str | None = TOKEN,
    max_calls: int | None = None,
    journals: Journals | None = None,
    webhook_secret: str | None = None,
    rules: Sequence[RoomRule] = (),
    limits: WorkersSettings = UNLIMITED,
) -> AsyncIterator[Parts]:
    Bot.said, Bot.told = [], []
    monitor = LoadMonitor(limits)
    async with asyncio.timeout(60), EmbeddedServer(webhook_secret="of Fishjam") as server:

        def make(room: RoomSnapshot) -> AgentPipeline:
            return Bot()

        worker = MultiRoomWorker(
            Bots(rules, {"poet": make, "clerk": make}),
            fishjam_id=server.url,
            management_token=server.token,
            limits=LimitSettings(empty_room=0.3),
            max_calls=max_calls,
            overload=monitor.overload,
            journals=journals,
        )
        calls = WorkerCalls(worker, monitor, token)
        store = None if journals is None else journals.store
        settings = ApiSettings(port=0, token=token, webhook_secret=webhook_secret)
        async with api_server(settings, calls, store) as url:
            server.webhook_url = f"{url}/webhooks/fishjam"
            headers = {"authorization": f"Bearer {token}"} if token else {}
            async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
                running = asyncio.create_task(worker.run(calls.close))
                measuring = asyncio.create_task(monitor.run())
                try:
                    while (await http.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - as a probe does
                        await asyncio.sleep(0.02)
                    yield Parts(server, worker, http)
                finally:
                    worker.stop()
                    measuring.cancel()
                    await asyncio.gather(running, measuring, return_exceptions=True)
                    running.result()


def play(scenario: Callable[[Parts], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with parts(**options) as found:
            await scenario(found)

    asyncio.run(run())


def bots(room: Room) -> list[str]:
    return [peer.id for peer in room.peers.values() if peer.type is PeerType.AGENT and peer.connected]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents.worker.rooms_follower.SHORTEST_INTERVAL", 0.05)


def test_a_call_in_a_room_of_its_own() -> None:
    async def scenario(found: Parts) -> None:
        answer = await found.post(
            {"bot": "poet", "instructions": "Sell {variables.what}.", "variables": {"what": "tea"}}
        )
        assert answer.status_code == 201
        record = answer.json()
        assert record["status"] == "starting"
        assert answer.headers["location"] == f"/calls/{record['id']}"
        [room] = found.server.rooms
        assert record["room"] == room.id
        await found.becomes(record["id"], "running")
        assert bots(room)
        # A call waits for nobody, but not for ever: the room is empty, and so it ends.
        over = await found.becomes(record["id"], "ended")
        assert over["reason"] == "nobody was left in the room"
        assert over["ended"] >= over["started"]
        while len(found.server.rooms):  # noqa: ASYNC110 - the server has no event to wait for
            await asyncio.sleep(0.02)
        assert Bot.said == ["Sell tea."]

    play(scenario)


def test_a_call_in_a_room_with_people_is_ended_by_a_delete() -> None:
    async def scenario(found: Parts) -> None:
        room = found.server.rooms.create()
        ann = await found.server.add_caller(room.id, metadata={"name": "Ann"})
        record = (await found.post({"bot": "poet", "room": room.id})).json()
        await found.becomes(record["id"], "running")
        while not Bot.said:  # noqa: ASYNC110 - hooks run beside the call
            await asyncio.sleep(0.02)
        assert Bot.said == ["Greet Ann."]
        second = await found.post({"bot": "clerk", "room": room.id})
        assert (second.status_code, second.json()["error"]) == (
            409,
            f"the room has a call already: {record['id']}",
        )
        assert [call["id"] for call in (await found.http.get("/calls")).json()["calls"]] == [record["id"]]
        assert (await found.http.delete(f"/calls/{record['id']}")).status_code == 204
        over = await found.becomes(record["id"], "ended")
        assert over["reason"] == "it was stopped"
        assert set(room.peers) == {ann.id}
        # Somebody else's room stays, and can have the next call.
        assert (await found.post({"bot": "clerk", "room": room.id})).status_code == 201

    play(scenario)


def test_what_is_written_down_of_a_call_is_deleted_while_it_goes_on() -> None:
    store = MemoryJournals()

    async def scenario(found: Parts) -> None:
        room = found.server.rooms.create()
        await found.server.add_caller(room.id)
        record = (await found.post({"bot": "poet", "room": room.id})).json()
        record = await found.becomes(record["id"], "running")
        (call,) = await store.calls()
        assert record["journal"] == call.call
        path = f"/calls/{record['id']}/journal"
        async with httpx.AsyncClient(base_url=found.http.base_url, trust_env=False) as stranger:
            assert (await stranger.delete(path)).status_code == 401
        assert (await found.http.delete(path)).status_code == 204
        assert await store.calls() == []
        # The call goes on, and whoever comes is not written down any more.
        await found.server.add_caller(room.id)
        await asyncio.sleep(0.5)
        assert (await found.http.get(f"/calls/{record['id']}")).json()["status"] == "running"
        assert await store.read(call.call) == []
        again = await found.http.delete(path)
        assert (again.status_code, again.json()) == (404, {"error": "nothing is written down of such a call"})
        # A call that this program has forgotten is deleted by the id of its journal.
        old = await store.open(CallPlace("f", "r", "b"), 1, 60)
        assert (await found.http.delete(f"/calls/{old.key.call}/journal")).status_code == 204

    async def run() -> None:
        async with Journals(store, 60, 3600) as journals, parts(journals=journals) as found:
            await scenario(found)

    asyncio.run(run())


def test_without_a_journal_there_is_nothing_to_delete() -> None:
    async def scenario(found: Parts) -> None:
        answer = await found.http.delete("/calls/x/journal")
        assert (answer.status_code, "has no journal" in answer.json()["error"]) == (404, True)

    play(scenario)


def test_a_journal_whose_store_is_away_is_deleted_later() -> None:
    pytest.importorskip("redis")
    store = RedisJournals("redis://127.0.0.1:1/0", 3600)

    async def run() -> None:
        async with Journals(store, 60, 3600) as journals, parts(journals=journals) as found:
            answer = await found.http.delete("/calls/x/journal")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "cannot be used" in answer.json()["error"]

    asyncio.run(run())


def test_the_same_idempotency_key_makes_one_call() -> None:
    async def scenario(found: Parts) -> None:
        answers = await asyncio.gather(
            *(found.post({"bot": "poet"}, **{"idempotency-key": "k1"}) for _ in range(5))
        )
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len(found.server.rooms) == 1
        other = await found.post({"bot": "clerk"}, **{"idempotency-key": "k1"})
        assert other.status_code == 422
        # What was refused may be asked for again.
        missing = {"bot": "poet", "room": "none"}
        for _ in range(2):
            assert (await found.post(missing, **{"idempotency-key": "k2"})).status_code == 404

    play(scenario)


REFUSED: dict[str, tuple[Any, int]] = {
    "bot is missing: use one of poet, clerk": ({}, 400),
    "there is no bot 'pet': use one of poet, clerk": ({"bot": "pet"}, 400),
    "there is no room 'x'": ({"bot": "poet", "room": "x"}, 404),
    "'rom' is no field: use bot, instructions, keys, room, variables, voice, webhook": ({"rom": "x"}, 400),
    "Parrot has no voice to choose": ({"bot": "poet", "voice": "Puck"}, 400),
    "keys must be an object": ({"bot": "poet", "keys": "x"}, 400),
    "room must be text": ({"bot": "poet", "room": 7}, 400),
    "variables.a must be text, a number, true, false or null": ({"bot": "poet", "variables": {"a": []}}, 400),
    "webhook must be an http or https URL": ({"bot": "poet", "webhook": "file:///etc/passwd"}, 400),
    "the body must be a JSON object": ([], 400),
}


def test_what_cannot_be_made_is_refused_in_one_sentence() -> None:
    async def scenario(found: Parts) -> None:
        for sentence, (body, status) in REFUSED.items():
            answer = await found.post(body)
            assert (answer.status_code, answer.json()) == (status, {"error": sentence})
        plain = await found.http.post("/calls", content="{}", headers={"content-type": "text/plain"})
        assert plain.status_code == 415
        for url in ("http://[::1", "http://127.0.0.1/\x01", "http://127.0.0.1:70000/", "http:///done"):
            answer = await found.post({"bot": "poet", "webhook": url})
            assert (answer.status_code, url) == (400, url)
        for field in ("room", "instructions", "webhook"):
            answer = await found.http.post(
                "/calls",
                content=json.dumps({"bot": "poet", field: "http://half\ud800"}),
                headers={"content-type": "application/json"},
            )
            assert (answer.status_code, "is no JSON" in answer.json()["error"]) == (400, True)
        huge = await found.post({"instructions": "x" * 300_000})
        assert huge.status_code == 413
        assert (await found.http.get("/calls/none")).status_code == 404
        assert (await found.http.delete("/calls/none")).status_code == 404
        assert not found.worker.calls
        assert not len(found.server.rooms)

    play(scenario)


def test_calls_need_the_token_and_probes_do_not() -> None:
    async def scenario(found: Parts) -> None:
        for headers in ({"authorization": "Bearer wrong"}, {"authorization": ""}):
            answer = await found.http.get("/calls", headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            for path in ("/healthz", "/readyz", "/metrics"):
                assert (await found.http.get(path, headers=headers)).status_code == 200
        assert (await found.http.get("/calls", headers={"origin": "http://evil.example"})).status_code == 403

    play(scenario)


def test_without_a_token_only_this_machine_is_served_and_no_page() -> None:
    async def scenario(found: Parts) -> None:
        assert (await found.http.get("/calls")).status_code == 200
        assert (await found.http.get("/calls", headers={"host": "evil.example"})).status_code == 403
        assert (await found.http.get("/calls", headers={"origin": "http://localhost"})).status_code == 403

    play(scenario, token=None)


def test_readiness_and_metrics_tell_of_limits() -> None:
    async def scenario(found: Parts) -> None:
        record = (await found.post({"bot": "poet"})).json()
        ready = await found.http.get("/readyz")
        assert ready.status_code == 503
        assert ready.text == "no new rooms are taken: it has 1 calls, and workers.max_calls is 1\n"
        full = await found.post({"bot": "poet"})
        assert (full.status_code, full.headers["retry-after"]) == (503, "5")
        metrics = (await found.http.get("/metrics")).text
        assert "# TYPE fishjam_agents_calls gauge\nfishjam_agents_calls 1\n" in metrics
        assert "fishjam_agents_calls_started_total 1\n" in metrics
        assert "fishjam_agents_ready 0\n" in metrics
        await found.becomes(record["id"], "ended")
        assert (await found.http.get("/readyz")).text == "ready\n"
        assert "fishjam_agents_calls_ended_total 1\n" in (await found.http.get("/metrics")).text

    play(scenario, max_calls=1)


def test_an_overloaded_process_says_so_and_takes_calls_again_when_it_is_relieved() -> None:
    async def scenario(found: Parts) -> None:
        process, share = ProcessLoad.shared(), [1.0]
        seems = [time.monotonic(), 0.0]

        def used() -> tuple[float, float]:
            """A core that is used by what the test says."""
            now = time.monotonic()
            seems[1] += share[0] * (now - seems[0])
            seems[0] = now
            return seems[1], seems[1]

        process.used = used
        room = found.server.rooms.create()
        await found.server.add_caller(room.id)
        record = (await found.post({"bot": "poet", "room": room.id})).json()
        await found.becomes(record["id"], "running")
        while (ready := await found.http.get("/readyz")).status_code != 503:  # noqa: ASYNC110 - as a probe does
            await asyncio.sleep(0.02)
        assert ready.text.startswith("no new rooms are taken: it uses ")
        assert ready.text.endswith("of a core, and workers.max_cpu is 0.9\n")
        refused = await found.post({"bot": "poet"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        metrics = (await found.http.get("/metrics")).text
        assert "\nfishjam_agents_overload 2\n" in metrics
        assert "\nfishjam_agents_overloads_total 1\n" in metrics
        assert "\nfishjam_agents_calls 1\n" in metrics

        share[0] = 0.1
        while (await found.http.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - as a probe does
            await asyncio.sleep(0.02)
        assert (await found.post({"bot": "poet"})).status_code == 201
        assert (await found.http.get(f"/calls/{record['id']}")).json()["status"] == "running"
        assert "overloaded" in Bot.told

    play(scenario, limits=WorkersSettings(max_loop_lag=None))


def test_the_result_is_posted_signed_and_again_until_it_is_taken(tmp_path: Path) -> None:
    got: list[tuple[bytes, str]] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
        body = await reader.readexactly(int(fields["content-length"]))
        got.append((body, fields[SIGNATURE]))
        status = b"503 Later" if len(got) == 1 else b"204 No Content"
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scenario(found: Parts) -> None:
        listening = await asyncio.start_server(receive, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        record = (await found.post({"bot": "poet", "webhook": f"http://127.0.0.1:{port}/done"})).json()
        while len(got) < 2:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)
        listening.close()
        for body, signature in got:
            assert json.loads(body)["id"] == record["id"]
            assert json.loads(body)["status"] == "ended"
            expected = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
            assert signature == f"sha256={expected}"

    play(scenario)


# --- Fishjam's webhooks ---

EVERY = (RoomRule("poet", every=True),)
HOOK = "/webhooks/fishjam"


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is told nothing by the notification socket, and whose next listing is far away."""
    subscribe = FishjamNotifier.subscribe

    def only_calls(self: FishjamNotifier, notified: Any, room_id: str | None = None) -> Any:
        return subscribe(self, (lambda event: None) if room_id is None else notified, room_id)

    monkeypatch.setattr(FishjamNotifier, "subscribe", only_calls)
    monkeypatch.setattr("fishjam_agents.worker.rooms_follower.LISTING_INTERVAL", 1000.0)


@pytest.mark.parametrize("batched", [False, True])
def test_webhooks_bring_a_bot_where_notifications_are_lost(deaf: None, batched: bool) -> None:
    async def scenario(found: Parts) -> None:
        room = found.server.rooms.create(RoomConfig(batch_webhook_notifications=batched))
        await found.server.add_caller(room.id)
        await until(lambda: bots(room))

    play(scenario, webhook_secret="of Fishjam", rules=EVERY)


def test_a_worker_that_takes_no_webhooks_hears_of_nothing_then(deaf: None) -> None:
    async def scenario(found: Parts) -> None:
        # What it begins with is a listing.
        await until(lambda: found.worker.looks)
        await asyncio.sleep(0.5)
        room = found.server.rooms.create()
        await found.server.add_caller(room.id)
        await asyncio.sleep(1)
        assert not bots(room)
        assert (await found.http.post(HOOK, content=b"")).status_code == 404

    play(scenario, rules=EVERY)


def test_a_webhook_that_fishjam_did_not_sign_is_refused() -> None:
    def signed(body: bytes, secret: str = "of Fishjam") -> dict[str, str]:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return {"x-fishjam-signature-256": f"sha256={digest}"}

    async def scenario(found: Parts) -> None:
        told = bytes(n.ServerMessage(peer_connected=n.ServerMessagePeerConnected("no-room", "ann")))
        looks = found.worker.looks
        for body, headers, status in (
            (told, {}, 401),
            (told, signed(told, "guessed"), 401),
            (told + b" ", signed(told), 401),
            (b"no notification", signed(b"no notification"), 400),
            (b"x" * 300_000, signed(b"x" * 300_000), 413),
            (b"", signed(b""), 204),
        ):
            assert (await found.http.post(HOOK, content=body, headers=headers)).status_code == status
        await asyncio.sleep(0.3)
        assert found.worker.looks == looks
        # What it tells is only a hint: there is no such room.
        assert (await found.http.post(HOOK, content=told, headers=signed(told))).status_code == 204
        await until(lambda: found.worker.looks > looks)
        assert not found.worker.rooms

    play(scenario, webhook_secret="of Fishjam", rules=EVERY)

"""Journals in a Redis that is away, hangs, forgets and comes back; more is in `test_stores.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fishjam_agents.journal.entries import BotSaid, JournalEntry, ToolIntended, UserSaid
from fishjam_agents.journal.journal import Journals
from fishjam_agents.journal.redis_store import RedisJournals
from fishjam_agents.journal.store import CallKey, CallPlace, JournalError
from fishjam_agents.journal.writer import JournalWriter
from fishjam_agents.testing.redis_server import RedisServer

from .stores import WEEK, RedisStores, redis_server

PLACE = CallPlace("http://fishjam", "room", "agent")
VERSION_1 = Path(__file__).parent / "version_1.redis"


def play(
    folder: Path,
    scenario: Callable[[RedisServer, RedisStores], Awaitable[None]],
    *,
    keeps: bool = True,
) -> None:
    with redis_server(folder / "redis", keeps=keeps) as server:
        asyncio.run(asyncio.wait_for(scenario(server, RedisStores(server.url)), 60))


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            holds = condition()
            if holds is True or (not isinstance(holds, bool) and await holds):
                return
            await asyncio.sleep(0.05)


def said(entries: object) -> list[str]:
    assert isinstance(entries, list)
    return [entry.text for _, entry in entries if isinstance(entry, BotSaid)]


def test_entries_wait_in_order_while_redis_is_away_and_are_written_once(tmp_path: Path) -> None:
    async def scenario(server: RedisServer, stores: RedisStores) -> None:
        store = stores.store()
        key = (await store.open(PLACE, now=1, resume=60)).key
        writer = JournalWriter(store)
        for number in range(900):
            writer.put(key, BotSaid(1.0, "r", str(number)))
            if number == 300:
                assert await writer.written(20)
                server.kill()
        assert not await writer.written(0.5)
        await until(lambda: writer.is_failing)
        await asyncio.to_thread(server.start)
        writer.put(key, BotSaid(1.0, "r", "900"))
        assert await writer.written(20)
        assert not writer.is_failing
        assert said(await store.read(key.call)) == [str(number) for number in range(901)]
        await writer.close()
        await store.close()

    play(tmp_path, scenario)


class _Cut:
    """Hands connections on to Redis, and cuts each when it has taken what a client wrote, answer or not."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cuts = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while data := await reader.read(1 << 20):
                far.write(data)
                await far.drain()
                answer = await far_reader.read(1 << 20)
                if self.cuts and b":batch:" in data:
                    self.cuts -= 1
                    return
                writer.write(answer)
                await writer.drain()
        finally:
            far.close()
            writer.close()


def test_a_batch_whose_answer_was_lost_is_written_once(tmp_path: Path) -> None:
    async def scenario(server: RedisServer, stores: RedisStores) -> None:
        cut = _Cut(int(server.url.split(":")[2].split("/")[0]))
        proxy = await asyncio.start_server(cut.serve, "127.0.0.1", 0)
        port = proxy.sockets[0].getsockname()[1]
        store = RedisJournals(f"redis://127.0.0.1:{port}/0", WEEK)
        key = (await store.open(PLACE, now=1, resume=60)).key
        entries: list[tuple[CallKey, JournalEntry]] = [
            (key, BotSaid(1.0, "r", str(number))) for number in range(10)
        ]
        assert await store.append(entries[:2]) == set()
        # Both attempts at it are cut after Redis has written it.
        cut.cuts = 2
        with pytest.raises(JournalError, match=r"the journal in redis://127\.0\.0\.1:\d+/0 cannot be used"):
            await store.append(entries[2:5])
        assert cut.cuts == 0
        # More has come meanwhile, and the first of those that waited were dropped.
        assert await store.append(entries[3:]) == set()
        assert said(await store.read(key.call)) == [str(number) for number in range(10)]
        await store.close()
        proxy.close()
        await proxy.wait_closed()

    play(tmp_path, scenario)


def test_a_redis_that_hangs_costs_the_journal_and_not_the_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(server: RedisServer, stores: RedisStores) -> None:
        loop = asyncio.get_running_loop()
        async with Journals(stores.store(), 60, 3600) as journals:
            journal = await journals.open(PLACE)
            assert journal is not None
            server.freeze()
            begun = loop.time()
            journal.put(ToolIntended(1.0, "c1", "book"))
            assert not await journal.written()
            assert await journals.open(PLACE) is None
            assert loop.time() - begun < 15
            assert "the call has no journal: its store does not answer" in caplog.text
            server.thaw()
            await until(journal.written)

    play(tmp_path, scenario)


def test_a_redis_that_forgot_everything_takes_new_calls(tmp_path: Path) -> None:
    async def scenario(server: RedisServer, stores: RedisStores) -> None:
        store = stores.store()
        key = (await store.open(PLACE, now=1, resume=60)).key
        server.kill()
        await asyncio.to_thread(server.start)
        # Its scripts are gone, too.
        assert await store.append([(key, UserSaid(1, "x"))]) == {key}
        again = await store.open(PLACE, now=2, resume=60)
        assert again.key != key
        assert await store.append([(again.key, UserSaid(2, "y"))]) == set()
        await store.close()

    play(tmp_path, scenario, keeps=False)


def test_redis_deletes_by_itself_what_is_kept_no_longer(tmp_path: Path) -> None:
    async def scenario(server: RedisServer, stores: RedisStores) -> None:
        store = stores.store(keep=0.3)
        old = (await store.open(PLACE, now=1, resume=60)).key
        assert await store.append([(old, UserSaid(1, "xyzzy-secret"))]) == set()

        async def is_gone() -> bool:
            return not await store.read(old.call)

        await until(is_gone)
        assert await store.append([(old, UserSaid(1, "late"))]) == {old}
        assert await store.calls() == []
        assert b"xyzzy" not in stores.everything()
        assert (await store.open(PLACE, now=2, resume=60)).key.call != old.call
        assert await store.purge(10) == 1
        await store.close()

    play(tmp_path, scenario)


def test_a_newer_format_a_wrong_password_and_no_memory_are_told(tmp_path: Path) -> None:
    async def scenario(server: RedisServer, stores: RedisStores) -> None:
        from redis import Redis

        store = stores.store()
        key = (await store.open(PLACE, now=1, resume=60)).key
        with Redis.from_url(server.url) as redis:
            redis.config_set("maxmemory", 1)
            with pytest.raises(JournalError, match="maxmemory"):
                await store.append([(key, UserSaid(1, "x"))])
            redis.config_set("maxmemory", 0)
            assert await store.append([(key, UserSaid(1, "x"))]) == set()
            redis.set("{fishjam-agents}:journal:format", 99)
            with pytest.raises(JournalError, match="is of format 99, newer than this program"):
                await store.open(PLACE, now=1, resume=60)
            redis.config_set("requirepass", "right")
        wrong = RedisJournals(server.url.replace("//", "//:wrong-password@"), WEEK)
        with pytest.raises(JournalError, match=r"redis://.*@127.*password.*: see that Redis") as told:
            await wrong.calls()
        assert "wrong-password" not in str(told.value)
        await wrong.close()
        await store.close()

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    "option", ["decode_responses=true", "encoding=utf-16", "protocol=3", "socket_timeout=0.000001", "retry=3"]
)
def test_no_option_of_the_url_changes_what_answers_are_read_as(tmp_path: Path, option: str) -> None:
    async def scenario(server: RedisServer, stores: RedisStores) -> None:
        store = RedisJournals(f"{server.url}?{option}", WEEK)
        key = (await store.open(PLACE, now=1, resume=60)).key
        assert await store.append([(key, BotSaid(1.0, "r", "Grüezi"))]) == set()
        assert said(await store.read(key.call)) == ["Grüezi"]
        await store.close()

    play(tmp_path, scenario)


def test_an_option_that_there_is_not_is_told_before_anything_is_asked() -> None:
    with pytest.raises(JournalError, match=r"journal\.url cannot be used: .*option .*'colour'"):
        RedisJournals("redis://127.0.0.1:1/0?colour=red", WEEK)


def test_keys_of_version_1_are_read_and_gone_on_with(tmp_path: Path) -> None:
    async def scenario(server: RedisServer, stores: RedisStores) -> None:
        from redis import Redis

        with Redis.from_url(server.url) as redis:
            for line in VERSION_1.read_text().splitlines():
                redis.execute_command(*line.split("\t"))
        store = stores.store()
        opened = await store.open(CallPlace("http://127.0.0.1:5002", "room-1", "agent"), 1764393610, 60)
        assert opened.key == CallKey("c0ffee", 3)
        assert [(epoch, entry.kind) for epoch, entry in opened.entries] == [
            (1, "call_began"),
            (1, "user_said"),
            (2, "instructions_changed"),
        ]
        assert opened.entries[1][1] == UserSaid(1764393603.0, "Is there a table for two?", "alice")
        assert await store.append([(opened.key, UserSaid(1764393611, "more"))]) == set()
        await store.close()

    play(tmp_path, scenario)

"""Every store of journals: the same tests for a SQLite file and for a Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from fishjam_agents.journal.entries import BotSaid, CallEnded, JournalEntry, PeerCame, UserSaid
from fishjam_agents.journal.journal import Journals
from fishjam_agents.journal.store import CallKey, CallPlace, JournalError, JournalStore

from .stores import RedisStores, SqliteStores, Stores, redis_server

PLACE = CallPlace("http://fishjam", "room", "agent")


@pytest.fixture(params=["sqlite", "redis"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    if request.param == "sqlite":
        (tmp_path / "files").mkdir()
        yield SqliteStores(tmp_path / "files" / "j.db")
        return
    with redis_server(tmp_path / "redis") as server:
        yield RedisStores(server.url)


def play(
    stores: Stores, scenario: Callable[[JournalStore], Awaitable[None]], keys: str | None = None
) -> None:
    async def run() -> None:
        async with stores.opened(keys) as store:
            await scenario(store)

    asyncio.run(run())


def test_another_process_goes_on_and_the_one_before_may_write_no_more(stores: Stores) -> None:
    async def scenario(first: JournalStore) -> None:
        begun = await first.open(PLACE, now=100, resume=60)
        assert (begun.key.epoch, list(begun.entries)) == (1, [])
        assert not await first.append([(begun.key, UserSaid(101, "Hello", "p"))])
        async with stores.opened() as second:
            taken = await second.open(PLACE, now=110, resume=60)
            assert taken.key == CallKey(begun.key.call, 2)
            assert taken.entries == [(1, UserSaid(101, "Hello", "p"))]
            # It was only stopped: what it writes now is not part of the call.
            late = [(begun.key, BotSaid(111, "r", "late")), (taken.key, BotSaid(112, "r", "Hi"))]
            assert await first.append(late) == {begun.key}
            assert await second.read(begun.key.call) == [
                (1, UserSaid(101, "Hello", "p")),
                (2, BotSaid(112, "r", "Hi")),
            ]

    play(stores, scenario)


@pytest.mark.parametrize(
    ("entry", "now", "place"),
    [
        (CallEnded(101, "over"), 102, PLACE),
        (UserSaid(101, "x"), 200, PLACE),
        (UserSaid(101, "x"), 102, CallPlace("http://fishjam", "room", "other")),
        (UserSaid(101, "x"), 102, CallPlace("http://fishjam", "other", "agent")),
    ],
    ids=["it ended", "long ago", "another bot", "another room"],
)
def test_a_new_call_begins(stores: Stores, entry: JournalEntry, now: float, place: CallPlace) -> None:
    async def scenario(store: JournalStore) -> None:
        first = await store.open(PLACE, now=100, resume=60)
        await store.append([(first.key, entry)])
        second = await store.open(place, now=now, resume=60)
        assert second.key.call != first.key.call
        assert (second.key.epoch, list(second.entries)) == (1, [])

    play(stores, scenario)


def test_of_processes_that_open_a_call_at_once_one_has_the_right(stores: Stores) -> None:
    async def scenario(store: JournalStore) -> None:
        async with stores.opened() as other:
            opened = await asyncio.gather(
                *(each.open(PLACE, now=100, resume=60) for each in (store, other) * 5)
            )
            assert len({each.key.call for each in opened}) == 1
            assert sorted(each.key.epoch for each in opened) == list(range(1, 11))
            lost = await store.append([(each.key, UserSaid(101, "x")) for each in opened])
            assert sorted(key.epoch for key in lost) == list(range(1, 10))

    play(stores, scenario)


def test_entries_of_many_calls_keep_their_order_whatever_they_hold(stores: Stores) -> None:
    words = ["\x00", "Grüße", "\ud800 half of a pair", "x" * 100_000, '"quoted"\n']

    async def scenario(store: JournalStore) -> None:
        keys = [(await store.open(CallPlace("f", f"raum {n} ü", "b"), 100 + n, 60)).key for n in range(3)]
        batch = [(key, UserSaid(100 + n, word, None)) for n, word in enumerate(words * 20) for key in keys]
        assert await store.append(batch) == set()
        for key in keys:
            read = await store.read(key.call)
            assert [entry for _, entry in read] == [entry for to, entry in batch if to == key]
        summaries = await store.calls()
        assert [(each.call, each.entries, each.last) for each in summaries] == [
            (key.call, 100, 199) for key in keys
        ]
        assert [each.place.room for each in summaries] == ["raum 0 ü", "raum 1 ü", "raum 2 ü"]

    play(stores, scenario)


def test_a_list_says_what_became_of_calls(stores: Stores) -> None:
    async def scenario(store: JournalStore) -> None:
        first = (await store.open(PLACE, now=100, resume=60)).key
        await store.append([(first, UserSaid(130, "x")), (first, UserSaid(120, "y"))])
        again = (await store.open(PLACE, now=140, resume=60)).key
        await store.append([(again, CallEnded(150, "over"))])
        (summary,) = await store.calls()
        assert (summary.call, summary.place, summary.epochs) == (first.call, PLACE, 2)
        assert (summary.begun, summary.last, summary.ended, summary.entries) == (100, 150, True, 3)

    play(stores, scenario)


def test_a_stranger_is_not_told_what_was_said(stores: Stores) -> None:
    async def run() -> None:
        async with Journals(stores.store(), 60, 3600, lambda: 100.0) as journals:
            first = await journals.open(PLACE, {"alice"})
            assert first is not None
            first.put(PeerCame(100, "alice"))
            first.put(UserSaid(100, "my secret", "alice"))
            again = await journals.open(PLACE, {"alice", "bob"})
            assert again is not None
            assert again.earlier is not None
            assert again.call == first.call
            other = await journals.open(PLACE, {"mallory"})
            assert other is not None
            assert (other.earlier, other.call == first.call) == (None, False)

    asyncio.run(run())


def test_a_deleted_call_leaves_no_word_and_takes_no_more(stores: Stores) -> None:
    async def scenario(store: JournalStore) -> None:
        kept, gone = [
            (await store.open(CallPlace("f", room, "agent"), now=1, resume=0)).key for room in ("a", "b")
        ]
        await store.append([(kept, UserSaid(1, "stays here")), (gone, UserSaid(1, "xyzzy-secret"))])
        assert await store.delete(gone.call)
        assert not await store.delete(gone.call)
        assert [call.call for call in await store.calls()] == [kept.call]
        assert await store.append([(gone, UserSaid(2, "late"))]) == {gone}
        everything = stores.everything()
        assert b"stays here" in everything
        assert b"xyzzy-secret" not in everything
        assert b"late" not in everything
        assert (await store.open(CallPlace("f", "b", "agent"), now=2, resume=60)).key.call != gone.call

    play(stores, scenario)


def test_what_is_too_old_is_deleted(stores: Stores) -> None:
    async def scenario(store: JournalStore) -> None:
        old, new = [
            (await store.open(CallPlace("f", str(now), "agent"), now=now, resume=0)).key for now in (10, 20)
        ]
        await store.append([(old, UserSaid(10, "x")), (new, UserSaid(20, "y"))])
        assert await store.purge(15) == 1
        assert [(call.call, call.entries) for call in await store.calls()] == [(new.call, 1)]
        assert await store.read(old.call) == []

    play(stores, scenario)


def test_what_is_encrypted_tells_nothing_and_its_key_can_be_changed(stores: Stores) -> None:
    fernet = pytest.importorskip("cryptography.fernet").Fernet
    old, new = fernet.generate_key().decode(), fernet.generate_key().decode()
    key = CallKey("", 0)

    async def write(store: JournalStore) -> None:
        nonlocal key
        key = (await store.open(PLACE, now=1, resume=60)).key
        await store.append([(key, UserSaid(1, "xyzzy-secret"))])
        assert b"xyzzy" not in stores.everything()

    async def read(store: JournalStore) -> None:
        assert await store.read(key.call) == [(1, UserSaid(1, "xyzzy-secret"))]

    async def refuse(store: JournalStore) -> None:
        with pytest.raises(JournalError, match=r"entry 1 .* cannot be read .*: see that journal\.key"):
            await store.read(key.call)

    play(stores, write, old)
    play(stores, read, f"{new},{old}")
    play(stores, refuse, new)
    play(stores, refuse)


SCRIPT = """
import asyncio, os, signal
from pathlib import Path
from fishjam_agents.journal.entries import ToolIntended
from fishjam_agents.journal.settings import JournalSettings
from fishjam_agents.journal.store import CallPlace
from fishjam_agents.worker.shared_stores import open_journals

async def main():
    async with open_journals(SETTINGS) as journals:
        journal = await journals.open(CallPlace("f", "r", "b"))
        journal.put(ToolIntended(journal.now(), "c1", "book", {"seat": 1}))
        assert await journal.written()
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_what_was_written_is_there_after_the_process_was_killed(stores: Stores) -> None:
    if isinstance(stores, SqliteStores):
        settings = f"JournalSettings(path=Path({os.fspath(stores.path)!r}))"
    else:
        assert isinstance(stores, RedisStores)
        settings = f"JournalSettings(type='redis', url={stores.url!r})"
    script = [sys.executable, "-c", SCRIPT.replace("SETTINGS", settings)]
    assert subprocess.run(script, timeout=60, check=False).returncode == -signal.SIGKILL

    async def scenario(store: JournalStore) -> None:
        (call,) = await store.calls()
        ((_, entry),) = await store.read(call.call)
        assert entry.kind == "tool_intended"

    play(stores, scenario)

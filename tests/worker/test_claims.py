"""Claims of rooms in a SQLite file and in a Redis: the same tests for both."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fishjam_agents.testing import FaultProxy, Stall
from fishjam_agents.testing.redis_server import RedisServer
from fishjam_agents.worker.claims import Claimed, ClaimStoreError, HeldElsewhere, ProcessClaims
from fishjam_agents.worker.redis_claims import RedisClaims
from fishjam_agents.worker.shared_stores import claims_at
from fishjam_agents.worker.sqlite_claims import LIFETIME, SqliteClaims

from ..journal.stores import redis_server

SERVER = "http://fishjam"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


Opener: TypeAlias = Callable[[str, str, Callable[[], float]], ProcessClaims]
"""Opens the store for a server, an owner and a clock."""


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """A store that is empty."""
    if request.param == "sqlite":
        return lambda server, owner, clock: SqliteClaims(tmp_path / "claims.db", server, owner, clock=clock)
    redis_url = request.getfixturevalue("redis_url")
    return lambda server, owner, clock: RedisClaims(redis_url, server + str(tmp_path), owner, clock=clock)


class Processes:
    """Some processes that share a store."""

    def __init__(self, store: Opener) -> None:
        self.clock = Clock()
        self.ann, self.bob = (store(SERVER, name, self.clock) for name in ("ann", "bob"))


def play(store: Opener, scenario: Callable[[Processes], Awaitable[None]]) -> None:
    async def run() -> None:
        processes = Processes(store)
        try:
            await scenario(processes)
        finally:
            await processes.ann.close()
            await processes.bob.close()

    asyncio.run(run())


def test_a_room_is_held_by_one_process_until_it_gives_it_up(store: Opener) -> None:
    async def scenario(p: Processes) -> None:
        assert await p.ann.acquire("r") == Claimed()
        assert await p.ann.acquire("r") == Claimed()
        assert await p.bob.acquire("r") == HeldElsewhere(LIFETIME)
        assert await p.bob.acquire("s") == Claimed()
        await p.bob.release("r")
        assert await p.bob.acquire("r") == HeldElsewhere(LIFETIME)
        await p.ann.release("r")
        assert await p.bob.acquire("r") == Claimed()

    play(store, scenario)


def test_who_takes_a_room_over_is_told_of_the_agent_and_its_holder_loses_it(store: Opener) -> None:
    async def scenario(p: Processes) -> None:
        await p.ann.acquire("r")
        assert await p.ann.note_agent("r", "a1")
        p.clock.now += LIFETIME - 1
        assert await p.bob.acquire("r") == HeldElsewhere(1.0)
        assert await p.ann.renew() == {"r"}
        p.clock.now += LIFETIME
        assert await p.bob.acquire("r") == Claimed("a1")
        # Until the new holder notes its own, the agent is known to whoever comes after it.
        p.clock.now += LIFETIME
        assert await p.ann.acquire("r") == Claimed("a1")
        assert await p.ann.note_agent("r", "a2")
        assert not await p.bob.note_agent("r", "b1")
        assert await p.bob.renew() == set()

    play(store, scenario)


def test_what_nobody_took_is_still_ours_after_a_stall(store: Opener) -> None:
    async def scenario(p: Processes) -> None:
        await p.ann.acquire("r")
        p.clock.now += 100 * LIFETIME
        assert await p.ann.renew() == {"r"}
        assert await p.bob.acquire("r") == HeldElsewhere(LIFETIME)

    play(store, scenario)


def test_claims_of_an_earlier_boot_have_ended(store: Opener) -> None:
    async def scenario(p: Processes) -> None:
        await p.ann.acquire("r")
        # The machine's clock begins anew.
        p.clock.now = 5.0
        assert await p.bob.acquire("r") == Claimed()

    play(store, scenario)


def test_claims_that_ended_are_taken_together_and_each_once(store: Opener) -> None:
    async def scenario(p: Processes) -> None:
        for room in ("r", "s"):
            await p.ann.acquire(room)
        await p.ann.note_agent("r", "a1")
        assert await p.bob.take_expired() == []
        p.clock.now += LIFETIME
        assert sorted(await p.bob.take_expired()) == [("r", "a1"), ("s", None)]
        assert await p.ann.take_expired() == []
        await p.bob.expire("bob")
        assert len(await p.ann.take_expired()) == 2

    play(store, scenario)


def test_rooms_of_other_servers_are_other_rooms(store: Opener) -> None:
    async def scenario(p: Processes) -> None:
        other = store("http://other", "eve", p.clock)
        await p.ann.acquire("r")
        assert await other.acquire("r") == Claimed()
        p.clock.now += LIFETIME
        assert [room for room, _ in await p.bob.take_expired()] == ["r"]
        await other.close()

    play(store, scenario)


def test_closing_gives_up_what_is_clean_and_leaves_agents_to_be_found(store: Opener) -> None:
    async def scenario(p: Processes) -> None:
        await p.ann.acquire("r")
        await p.ann.note_agent("r", "a1")
        await p.ann.acquire("s")
        await p.ann.close()
        assert await p.bob.take_expired() == [("r", "a1")]
        assert await p.bob.acquire("s") == Claimed()
        p.ann = p.bob

    async def run() -> None:
        p = Processes(store)
        await scenario(p)
        await p.bob.close()

    asyncio.run(run())


EXAMPLES = itertools.count()
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "note", "release", "renew", "pass", "expired"]),
        st.sampled_from([0, 1, 2]),
        st.sampled_from(["r", "s"]),
    ),
    max_size=40,
)


@pytest.mark.timeout(180)
@given(steps=STEPS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_two_never_hold_a_room_whose_agent_may_connect(
    store: Opener, steps: list[tuple[str, int, str]]
) -> None:
    """Whoever notes an agent has the room, and knew of every agent that was noted there and not deleted."""

    async def run(server: str) -> None:
        clock = Clock()
        processes = [store(server, str(index), clock) for index in range(3)]
        agents: dict[str, tuple[int, str]] = {}
        for number, (step, who, room) in enumerate(steps):
            claims = processes[who]
            if step == "acquire":
                claim = await claims.acquire(room)
                if isinstance(claim, Claimed):
                    # Who gets it is told of the agent that may be there, if any, and deletes it.
                    _, agent = agents.pop(room, (who, claim.orphan))
                    assert agent == claim.orphan
            elif step == "note":
                agent = f"{who}-{number}"
                if await claims.note_agent(room, agent):
                    assert room not in agents or agents[room][0] == who
                    agents[room] = (who, agent)
            elif step == "release":
                # As a call does that has ended: its agent is deleted first.
                if agents.get(room, (None,))[0] == who:
                    del agents[room]
                    assert await claims.note_agent(room, None)
                await claims.release(room)
            elif step == "renew":
                held = await claims.renew()
                assert {id for id, (holder, _) in agents.items() if holder == who} <= held
            elif step == "expired":
                for id, orphan in await claims.take_expired():
                    assert agents.pop(id, (who, orphan))[1] == orphan
                    await claims.note_agent(id, None)
            else:
                clock.now += LIFETIME / 2
        for claims in processes:
            await claims.close()

    # Rooms of another server are others: each example has its own.
    asyncio.run(run(f"{SERVER}/{next(EXAMPLES)}"))


def test_a_redis_that_comes_back_empty_is_told_of_claims_unless_somebody_was_first(tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        ann, bob = (RedisClaims(server.url, SERVER, name) for name in ("ann", "bob"))
        for room in ("r", "s"):
            assert await ann.acquire(room) == Claimed()
            assert await ann.note_agent(room, f"agent in {room}")
        server.kill()
        with pytest.raises(ClaimStoreError, match=r"the claims in redis://127.* cannot be used .*: see that"):
            await ann.renew()
        await asyncio.to_thread(server.start)
        assert await bob.acquire("s") == Claimed()
        assert await ann.renew() == {"r"}
        assert isinstance(await bob.acquire("r"), HeldElsewhere)
        assert not await ann.note_agent("s", "another")
        await ann.expire("ann")
        assert await bob.acquire("r") == Claimed("agent in r")
        await ann.close()
        server.kill()
        # The end of a program is no failure: what it cannot give up ends by itself.
        await bob.close()

    with redis_server(tmp_path / "redis") as server:
        asyncio.run(scenario(server))


def test_claims_in_redis_end_by_its_clock(redis_url: str) -> None:
    async def run() -> None:
        ann, bob = (RedisClaims(redis_url, "http://clock", name, lifetime=0.5) for name in ("ann", "bob"))
        assert await ann.acquire("r") == Claimed()
        assert await ann.note_agent("r", "a1")
        held = await bob.acquire("r")
        assert isinstance(held, HeldElsewhere)
        assert 0 < held.seconds <= 0.5
        await asyncio.sleep(held.seconds + 0.05)
        assert await bob.acquire("r") == Claimed("a1")
        assert await ann.renew() == set()
        await ann.close()
        await bob.close()

    asyncio.run(run())


def test_a_release_is_not_undone_by_a_renewal_that_was_under_way(redis_url: str) -> None:
    async def run() -> None:
        async with FaultProxy(redis_url) as proxy:
            ann, bob = (RedisClaims(url, "http://order", url) for url in (proxy.url, redis_url))
            assert await ann.acquire("r") == Claimed()
            # The renewal comes late, on the connection that there is; a release would have another.
            proxy.inject(Stall(0.5, way="up"), "live")
            renewing = asyncio.create_task(ann.renew())
            await asyncio.sleep(0)
            await ann.release("r")
            await renewing
            assert await bob.acquire("r") == Claimed()
            await ann.close()
            await bob.close()

    asyncio.run(run())


def test_a_request_that_comes_after_its_process_has_closed_takes_nothing(redis_url: str) -> None:
    async def run() -> None:
        ann, late, bob = (RedisClaims(redis_url, "http://late", owner) for owner in ("ann", "ann", "bob"))
        assert await late.acquire("r") == Claimed()
        assert await ann.acquire("s") == Claimed()
        assert await ann.note_agent("s", "a1")
        await ann.close()
        # Another connection of the same process, on which all was slower.
        assert await late.renew() == set()
        assert isinstance(await late.acquire("t"), HeldElsewhere)
        assert not await late.note_agent("r", "a2")
        assert await late.take_expired() == []
        assert await bob.take_expired() == [("s", "a1")]
        assert await bob.acquire("r") == await bob.acquire("t") == Claimed()
        await late.close()
        await bob.close()

    asyncio.run(run())


def test_addresses_say_which_store_it_is(tmp_path: Path, redis_url: str) -> None:
    async def run() -> None:
        for address, kind in ((str(tmp_path / "c.db"), SqliteClaims), (redis_url, RedisClaims)):
            claims = claims_at(address, SERVER)
            assert isinstance(claims, kind)
            await claims.close()

    asyncio.run(run())


def test_a_file_that_cannot_be_used_is_told_in_one_sentence(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"no database " * 1000)
    newer = tmp_path / "newer.db"
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    (tmp_path / "file").touch()
    for path, reason in (
        (garbage, "file is not a database"),
        (newer, "it is of format 9, newer than this program"),
        (tmp_path / "file" / "claims.db", "File exists|Not a directory"),
    ):
        with pytest.raises(ClaimStoreError, match=f"cannot be used .*({reason}).*: see that the file"):
            SqliteClaims(path, SERVER)

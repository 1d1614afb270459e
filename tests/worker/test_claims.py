"""Claims of rooms in a SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.worker.claims import Claimed, ClaimStoreError, HeldElsewhere
from fishjam_agents.worker.sqlite_claims import LIFETIME, SqliteClaims

SERVER = "http://fishjam"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Processes:
    """Some processes that share a file."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.ann, self.bob = (SqliteClaims(path, SERVER, name, clock=self.clock) for name in ("ann", "bob"))


def play(path: Path, scenario: Callable[[Processes], Awaitable[None]]) -> None:
    async def run() -> None:
        processes = Processes(path)
        try:
            await scenario(processes)
        finally:
            await processes.ann.close()
            await processes.bob.close()

    asyncio.run(run())


def test_a_room_is_held_by_one_process_until_it_gives_it_up(tmp_path: Path) -> None:
    async def scenario(p: Processes) -> None:
        assert await p.ann.acquire("r") == Claimed()
        assert await p.ann.acquire("r") == Claimed()
        assert await p.bob.acquire("r") == HeldElsewhere(LIFETIME)
        assert await p.bob.acquire("s") == Claimed()
        await p.bob.release("r")
        assert await p.bob.acquire("r") == HeldElsewhere(LIFETIME)
        await p.ann.release("r")
        assert await p.bob.acquire("r") == Claimed()

    play(tmp_path / "claims.db", scenario)


def test_who_takes_a_room_over_is_told_of_the_agent_and_its_holder_loses_it(tmp_path: Path) -> None:
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

    play(tmp_path / "claims.db", scenario)


def test_what_nobody_took_is_still_ours_after_a_stall(tmp_path: Path) -> None:
    async def scenario(p: Processes) -> None:
        await p.ann.acquire("r")
        p.clock.now += 100 * LIFETIME
        assert await p.ann.renew() == {"r"}
        assert await p.bob.acquire("r") == HeldElsewhere(LIFETIME)

    play(tmp_path / "claims.db", scenario)


def test_claims_of_an_earlier_boot_have_ended(tmp_path: Path) -> None:
    async def scenario(p: Processes) -> None:
        await p.ann.acquire("r")
        # The machine's clock begins anew.
        p.clock.now = 5.0
        assert await p.bob.acquire("r") == Claimed()

    play(tmp_path / "claims.db", scenario)


def test_claims_that_ended_are_taken_together_and_each_once(tmp_path: Path) -> None:
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

    play(tmp_path / "claims.db", scenario)


def test_rooms_of_other_servers_are_other_rooms(tmp_path: Path) -> None:
    async def scenario(p: Processes) -> None:
        other = SqliteClaims(tmp_path / "claims.db", "http://other", "eve", clock=p.clock)
        await p.ann.acquire("r")
        assert await other.acquire("r") == Claimed()
        p.clock.now += LIFETIME
        assert [room for room, _ in await p.bob.take_expired()] == ["r"]
        await other.close()

    play(tmp_path / "claims.db", scenario)


def test_closing_gives_up_what_is_clean_and_leaves_agents_to_be_found(tmp_path: Path) -> None:
    async def scenario(p: Processes) -> None:
        await p.ann.acquire("r")
        await p.ann.note_agent("r", "a1")
        await p.ann.acquire("s")
        await p.ann.close()
        assert await p.bob.take_expired() == [("r", "a1")]
        assert await p.bob.acquire("s") == Claimed()
        p.ann = p.bob

    path = tmp_path / "claims.db"

    async def run() -> None:
        p = Processes(path)
        await scenario(p)
        await p.bob.close()

    asyncio.run(run())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "note", "release", "renew", "pass", "expired"]),
        st.sampled_from([0, 1, 2]),
        st.sampled_from(["r", "s"]),
    ),
    max_size=40,
)


@pytest.mark.timeout(180)
@given(STEPS)
def test_two_never_hold_a_room_whose_agent_may_connect(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str]]
) -> None:
    """Whoever notes an agent has the room, and knew of every agent that was noted there and not deleted."""

    async def run(path: Path) -> None:
        clock = Clock()
        processes = [SqliteClaims(path, SERVER, str(index), clock=clock) for index in range(3)]
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

    asyncio.run(run(tmp_path_factory.mktemp("claims") / "claims.db"))


def test_a_file_that_cannot_be_used_is_told_in_one_sentence(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"no database " * 1000)
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as connection:
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

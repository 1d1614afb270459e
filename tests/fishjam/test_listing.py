"""A listing that is read entry by entry is the listing that is read at once, also where it is broken."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.errors import ProtocolError
from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.fishjam.client import ROOMS_AT_ONCE
from fishjam_agents.fishjam.errors import UnauthorizedError
from fishjam_agents.fishjam.listing import all_rooms
from fishjam_agents.server import EmbeddedServer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(JSON), st.sampled_from([None, 2]), st.booleans(), st.booleans())
def test_entries_come_as_they_were_written(
    entries: list[Any], indent: int | None, ascii: bool, last: bool
) -> None:
    answer = {"data": entries, "more": [1]} if last else {"more": "]}", "data": entries}
    content = json.dumps(answer, indent=indent, ensure_ascii=ascii).encode(errors="surrogatepass")
    if not ascii:
        entries = json.loads(content.decode(errors="replace"))["data"]
    assert list(all_rooms().answer(200, content)) == entries


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"data": 1}',
        b'{"data": [',
        b'{"data": [{}',
        b'{"data": [{}]',
        b'{"data": [{},]}',
        b'{"data": [{} {}]}',
        b'{"data": [{"id": }]}',
        b'{"data": [' + b"[" * 100_000,
    ],
)
def test_what_is_no_listing_is_told(content: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(all_rooms().answer(200, content))


def test_a_refusal_is_a_refusal() -> None:
    with pytest.raises(UnauthorizedError):
        all_rooms().answer(401, b'{"errors": "Missing token"}')


def test_other_tasks_run_while_many_rooms_are_read() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            ids = {server.rooms.create().id for _ in range(10 * ROOMS_AT_ONCE)}
            async with AsyncFishjamClient(server.url, server.token) as client:
                turns, seen = 0, set()
                asked = asyncio.Event()

                async def count() -> None:
                    nonlocal turns
                    await asked.wait()
                    while True:
                        await asyncio.sleep(0)
                        turns += 1

                counting = asyncio.create_task(count())
                async for room in client.iter_all_rooms():
                    asked.set()
                    seen.add(room.id)
                counting.cancel()
            assert seen == ids
            assert turns >= 8

    asyncio.run(scenario())

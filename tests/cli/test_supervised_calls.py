"""Calls of the API as the program gives them to its processes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

import pytest

from fishjam_agents.cli import supervised_calls
from fishjam_agents.cli.supervised_calls import SupervisedCalls
from fishjam_agents.signed_post import SIGNATURE, signed_headers
from fishjam_agents.worker.call_record import CallRecord
from fishjam_agents.worker.call_service import CallRefusedError, CallRequest


class Processes:
    """A supervisor of processes that begin every call they are asked for.

    Args:
        states: By the names of processes: why they take no new room, and whether they take lost calls.
        quiet: Those that have not reported for a while.
    """

    def __init__(self, states: dict[str, tuple[str | None, bool]], quiet: Collection[str] = ()) -> None:
        self.heard: list[Any] = []
        self.died: list[Any] = []
        self.asked: list[str] = []
        self.ended: list[str] = []
        self.members = tuple(member for member, (reason, _) in states.items() if reason is None)
        self.workers = {
            member: SimpleNamespace(
                member=member,
                not_ready=reason,
                takes_lost_calls=takes,
                is_quiet=lambda now, member=member: member in quiet,
                channel=SimpleNamespace(
                    send=lambda kind, member=member, **data: self._sent(kind, member, data)
                ),
            )
            for member, (reason, takes) in states.items()
        }

    def kill(self, member: str, meanwhile: Callable[[], object]) -> None:
        """Have a process gone, and something happen before others hear of it."""
        worker = self.workers.pop(member)
        self.members = tuple(self.workers)
        meanwhile()
        for died in self.died:
            died(worker)

    def _sent(self, kind: str, member: str, data: dict[str, Any]) -> None:
        if kind == "end":
            self.ended.append(member)
            return
        self.asked.append(member)
        request = data["request"]
        record = CallRecord(
            id=request["id"], room=request["room"], bot="b", status="running", requested=True, started=0.0
        ).to_json()
        asyncio.get_running_loop().call_soon(
            lambda: [
                heard(self.workers[member], {"kind": "created", "record": record}) for heard in self.heard
            ]
        )


def create(
    states: dict[str, tuple[str | None, bool]], *, again: bool, quiet: Collection[str] = ()
) -> list[str]:
    """Processes that are asked for a call."""

    async def ask() -> list[str]:
        processes = Processes(states, quiet)
        calls = SupervisedCalls(processes)  # type: ignore[arg-type]
        await calls.create(CallRequest("c1", room="r1", again=again))
        return processes.asked

    return asyncio.run(ask())


LATE = ("its event loop is late", True)
DRAINS = ("it is draining", False)


def test_a_call_of_a_process_that_is_gone_goes_on_in_one_that_is_over_a_limit_of_load() -> None:
    assert create({"w1": DRAINS, "w2": LATE}, again=True) == ["w2"]


def test_a_loaded_process_that_stands_still_is_not_asked() -> None:
    assert create({"w1": LATE, "w2": LATE}, again=True, quiet={"w1"}) == ["w2"]
    assert create({"w1": LATE, "w2": LATE}, again=True, quiet={"w2"}) == ["w1"]


def test_one_that_takes_new_rooms_is_asked_first() -> None:
    assert create({"w1": LATE, "w2": (None, True)}, again=True) == ["w2"]


@pytest.mark.parametrize(("states", "again"), [({"w1": LATE}, False), ({"w1": DRAINS}, True)])
def test_new_calls_are_kept_from_a_loaded_process_and_all_from_one_that_drains(
    states: dict[str, tuple[str | None, bool]], again: bool
) -> None:
    with pytest.raises(CallRefusedError, match="no new rooms are taken"):
        create(states, again=again)


@pytest.mark.parametrize("early", [True, False])
def test_a_call_that_was_told_to_end_ends_in_the_process_that_has_it_next(early: bool) -> None:
    async def scenario() -> None:
        processes = Processes({"w1": (None, True), "w2": (None, True)})
        calls = SupervisedCalls(processes)  # type: ignore[arg-type]
        first = (await calls.create(CallRequest("c1", room="r1"))).process
        (second,) = {"w1", "w2"} - {first}
        processes.kill(first, lambda: early and calls.end("c1"))
        if not early:
            assert calls.end("c1")
        async with asyncio.timeout(5):
            while not processes.ended:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.01)
        assert processes.asked == [first, second]
        assert processes.ended == [second]

    asyncio.run(scenario())


def test_the_result_of_a_call_that_no_process_takes_again_is_posted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised_calls, "BEGIN_INTERVAL", 0.001)

    async def scenario() -> None:
        posted: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()

        async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            (length,) = re.findall(r"content-length: (\d+)", head)
            posted.set_result((head, await reader.readexactly(int(length))))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(receive, "127.0.0.1", 0) as receiver:
            port = receiver.sockets[0].getsockname()[1]
            processes = Processes({"w1": (None, True)})
            calls = SupervisedCalls(processes, "secret")  # type: ignore[arg-type]
            await calls.create(CallRequest("c1", room="r1", webhook=f"http://127.0.0.1:{port}/"))
            processes.kill("w1", lambda: None)
            async with asyncio.timeout(20):
                head, body = await posted
            await calls.close()
        told = json.loads(body)
        assert (told["id"], told["status"]) == ("c1", "ended")
        assert told["reason"].startswith("its process ended, and no new rooms are taken")
        assert signed_headers(body, "secret")[SIGNATURE] in head

    asyncio.run(scenario())


def test_a_call_that_was_not_told_to_end_goes_on() -> None:
    async def scenario() -> None:
        processes = Processes({"w1": (None, True), "w2": (None, True)})
        calls = SupervisedCalls(processes)  # type: ignore[arg-type]
        first = (await calls.create(CallRequest("c1", room="r1"))).process
        processes.kill(first, lambda: None)
        async with asyncio.timeout(5):
            while (record := calls.record("c1")) is None or record.status != "running":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert record.process != first
        assert processes.ended == []

    asyncio.run(scenario())

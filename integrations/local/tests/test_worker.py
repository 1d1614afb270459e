"""A thread that several calls share: turns, bounds, and nothing left behind."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack, aclosing
from typing import Any

import pytest
from fishjam_agents_local.worker import Job, ModelCall, ModelWorker

from fishjam_agents.errors import BackendError

LONG = 20.0


async def occupy(call: ModelCall, gate: threading.Event) -> asyncio.Task[None]:
    """Keep the model at work until the gate opens."""
    at_work = threading.Event()

    def work(job: Job[Any]) -> None:
        at_work.set()
        assert gate.wait(LONG)

    task = asyncio.create_task(call.run(work))
    await until(at_work.is_set)
    return task


async def until(holds: Any) -> None:
    async with asyncio.timeout(LONG):
        while not holds():  # noqa: ASYNC110 - threads set no events of a loop
            await asyncio.sleep(0.005)


def threads(what: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"model {what}"]


def test_calls_take_turns_and_urgent_jobs_go_first() -> None:
    async def scenario() -> list[str]:
        worker, gate, order = ModelWorker("turns"), threading.Event(), list[str]()
        with ExitStack() as held:
            calls = {name: held.enter_context(worker.call()) for name in "abc"}
            first = await occupy(calls["a"], gate)
            jobs = []
            for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
                jobs.append(asyncio.create_task(calls[name[0]].run(lambda _, name=name: order.append(name))))
                await until(lambda: worker.waiting == len(jobs))
            later = calls["c"].run(lambda _: order.append("later"), urgent=False)
            jobs.insert(0, asyncio.create_task(later))
            await until(lambda: worker.waiting == len(jobs))
            gate.set()
            await asyncio.gather(first, *jobs)
        return order

    assert asyncio.run(scenario()) == ["a1", "b1", "c1", "a2", "b2", "a3", "later"]


def test_a_job_that_has_no_turn_is_refused_in_time_and_does_not_run() -> None:
    async def scenario() -> None:
        worker, gate, ran = ModelWorker("busy"), threading.Event(), list[int]()
        with worker.call() as one, worker.call(wait=0.05) as other:
            first = await occupy(one, gate)
            with pytest.raises(BackendError, match=r"busy is busy with other calls, .* 0\.05 s: ") as refused:
                await other.run(lambda _: ran.append(1))
            assert refused.value.retryable
            gate.set()
            await first
            await other.run(lambda _: None)
        assert ran == []

    asyncio.run(scenario())


def test_pieces_come_in_order_and_whoever_closes_the_stream_stops_the_job() -> None:
    told = threading.Event()

    def endless(job: Job[int]) -> None:
        job.on_stop(told.set)
        count = 0
        while not job.stopped:
            job.put(count)
            count += 1

    async def scenario() -> None:
        worker = ModelWorker("stream")
        with worker.call() as call:
            async with aclosing(call.stream(endless)) as pieces:
                assert [await anext(pieces) for _ in range(5)] == [0, 1, 2, 3, 4]
            assert told.is_set()
            assert await call.run(lambda _: "free") == "free"
            assert [piece async for piece in call.stream(lambda job: job.put("only"))] == ["only"]

    asyncio.run(scenario())


def test_an_error_is_raised_where_the_answer_is_awaited() -> None:
    def fails(job: Job[Any]) -> None:
        job.put("a piece")
        raise ValueError("no such token")

    async def scenario() -> None:
        worker = ModelWorker("fails")
        with worker.call() as call:
            with pytest.raises(ValueError, match="no such token"):
                await call.run(fails)
            pieces = call.stream(fails)
            assert await anext(pieces) == "a piece"
            with pytest.raises(ValueError, match="no such token"):
                await anext(pieces)

    asyncio.run(scenario())


def test_who_is_cancelled_while_waiting_leaves_no_job() -> None:
    async def scenario() -> None:
        worker, gate, ran = ModelWorker("cancelled"), threading.Event(), list[int]()
        with worker.call() as one, worker.call() as other:
            first = await occupy(one, gate)
            second = asyncio.create_task(other.run(lambda _: ran.append(1)))
            await until(lambda: worker.waiting == 1)
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
            assert worker.waiting == 0
            gate.set()
            await first
        assert ran == []

    asyncio.run(scenario())


def test_a_thread_that_could_not_be_started_is_started_for_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        worker = ModelWorker("late")

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start"), worker.call():
                raise AssertionError("there is no thread")
        with worker.call(wait=LONG) as call:
            assert await call.run(lambda _: "works") == "works"
        await until(lambda: not threads("late"))

    asyncio.run(scenario())


def test_the_thread_is_there_only_while_calls_are() -> None:
    async def scenario() -> None:
        worker = ModelWorker("owned")
        assert not threads("owned")
        with worker.call() as one, worker.call() as other:
            await asyncio.gather(one.run(lambda _: 1), other.run(lambda _: 2))
            assert len(threads("owned")) == 1
        await until(lambda: not threads("owned"))
        with worker.call() as call:
            assert await call.run(lambda _: "again") == "again"
        await until(lambda: not threads("owned"))

    asyncio.run(scenario())

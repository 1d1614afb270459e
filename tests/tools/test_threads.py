"""Plain functions as tools: their threads, and what is done in them."""

from __future__ import annotations

import asyncio
import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from fishjam_agents import ToolContext, tool
from fishjam_agents.tools.threads import MAX_THREADS
from tests.tools.desk import Desk


def test_a_plain_function_runs_in_a_thread_and_a_hanging_one_does_not_keep_the_process() -> None:
    forever = threading.Event()
    where: list[threading.Thread] = []

    @tool(timeout=0.05)
    def hang(context: ToolContext) -> str:
        """Hang."""
        where.append(threading.current_thread())
        context.progress("from a thread")
        forever.wait()
        return "never"

    @tool
    def leave() -> str:
        """Leave."""
        raise SystemExit

    async def main() -> Desk:
        desk = Desk(hang, leave)
        desk.call("a", "hang")
        desk.call("b", "leave")
        async with asyncio.timeout(10):
            while len(desk.told) < 2:  # noqa: ASYNC110 - nothing tells a test
                await asyncio.sleep(0.01)
        await desk.runner.close()
        return desk

    desk = asyncio.run(main())
    forever.set()
    where[0].join(5)
    assert {entry.call: entry.error for entry in desk.entries} == {"a": True, "b": True}
    assert where[0] is not threading.current_thread()
    assert where[0].daemon


def answered(tool: Callable[..., Any], calls: int = 1, *, numbered: bool = False) -> Desk:
    """A tool called so often, one call after the other, on a real loop with real threads."""

    async def main() -> Desk:
        desk = Desk(tool)
        (name,) = desk.runner.tools
        for number in range(1, calls + 1):
            desk.call(f"call-{number}", name, **({"number": number} if numbered else {}))
            async with asyncio.timeout(10):
                while len(desk.told) < number:  # noqa: ASYNC110 - nothing tells a test
                    await asyncio.sleep(0.001)
        await desk.runner.close()
        return desk

    return asyncio.run(main())


def test_what_an_iterator_does_is_done_in_the_tools_own_thread() -> None:
    where: set[threading.Thread] = set()

    def numbers() -> Iterator[int]:
        """Count, without end."""

        def count() -> Iterator[int]:
            for number in itertools.count():
                where.add(threading.current_thread())
                yield number

        return count()

    desk = answered(tool(max_result=100)(numbers))
    assert desk.entries[0].result.startswith("[0,1,2,3,")
    assert desk.entries[0].result.endswith("[cut here: there is more]")
    assert threading.current_thread() not in where


def test_a_coroutine_behind_a_decorator_is_awaited() -> None:
    def hidden(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return call

    @hidden
    async def greet() -> str:
        """Greet."""
        return "hello"

    assert [entry.result for entry in answered(greet).entries] == ["hello"]


def test_a_report_that_is_no_json_fails_the_tool_in_its_thread() -> None:
    @tool(blocking=False)
    def tell(context: ToolContext) -> str:
        """Tell."""
        context.progress(object())
        return "never"

    assert [entry.result for entry in answered(tell).entries] == ["tell: a object is neither text nor JSON"]


def test_a_plain_function_that_always_hangs_is_called_no_more() -> None:
    forever = threading.Event()

    @tool(timeout=0.001)
    def hang(number: int) -> str:
        """Hang."""
        forever.wait()
        return "never"

    running = threading.active_count()
    desk = answered(hang, calls=MAX_THREADS + 2, numbered=True)
    assert threading.active_count() == running + MAX_THREADS
    forever.set()
    assert [entry.error for entry in desk.entries] == [True] * (MAX_THREADS + 2)
    assert desk.entries[-1].result == (
        f"hang: {MAX_THREADS} calls of it have not come back: do not call it again"
    )


def test_a_plain_function_that_is_late_is_not_run_again_and_what_it_did_is_told() -> None:
    gate = threading.Event()
    runs: list[int] = []

    @tool(timeout=0.05)
    def pay(amount: int) -> str:
        """Pay."""
        runs.append(amount)
        gate.wait(5)
        return "paid"

    async def main() -> Desk:
        desk = Desk(pay)
        desk.call("a", "pay", amount=5)
        async with asyncio.timeout(10):
            while not desk.entries:  # noqa: ASYNC110 - nothing tells a test
                await asyncio.sleep(0.01)
            desk.call("b", "pay", amount=5)
            while len(desk.entries) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            gate.set()
            while not desk.notes:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            desk.call("c", "pay", amount=5)
        await desk.runner.close()
        return desk

    desk = asyncio.run(main())
    assert runs == [5]
    late = "pay did not answer within 0.05 s and goes on: do not call it again, say that it takes long"
    assert [(entry.call, entry.result, entry.error) for entry in desk.entries[:2]] == [
        ("a", late, True),
        ("b", late, True),
    ]
    summary = 'pay({"amount":5}) was called before and not stopped; it answered: paid'
    assert [text for _, text in desk.notes] == [f"[{summary}]"]
    assert (desk.entries[2].call, desk.entries[2].error) == ("c", False)
    assert desk.entries[2].result.startswith(summary)
    assert desk.told == [("pay", "a", "timeout"), ("pay", "b", "repeated"), ("pay", "c", "repeated")]


def test_a_plain_function_is_not_told_as_cancelled_while_it_goes_on() -> None:
    gate = threading.Event()

    @tool
    def pay() -> str:
        """Pay."""
        gate.wait(5)
        return "paid"

    async def main() -> Desk:
        desk = Desk(pay)
        desk.call("a", "pay")
        await asyncio.sleep(0.05)
        desk.runner.cancel("a")
        assert desk.told == []
        closing = asyncio.create_task(desk.runner.close())
        await asyncio.sleep(0.05)
        assert desk.told == []
        gate.set()
        await closing
        return desk

    desk = asyncio.run(main())
    assert desk.told == [("pay", "a", "ok")]
    assert desk.entries == []

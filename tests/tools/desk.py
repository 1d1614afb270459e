"""A runner of tools without a call around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fishjam_agents import ToolContext, ToolError, tool
from fishjam_agents.backends import port as p
from fishjam_agents.testing import VirtualClock
from fishjam_agents.tools.collect import collect
from fishjam_agents.tools.runner import ToolRunner


class Desk:
    """A runner of some tools, and what came of its calls."""

    def __init__(
        self,
        *tools: Callable[..., Any],
        background: bool = True,
        put: Callable[[Any], None] | None = None,
    ) -> None:
        self.entries: list[p.ToolResultInput] = []
        self.started: list[tuple[str, str]] = []
        self.told: list[tuple[str, str, str]] = []
        self.times: dict[str, float] = {}
        self.warnings: list[str] = []
        self.notes: list[tuple[str, str]] = []
        self.errors: list[tuple[str, Exception]] = []
        self.runner = ToolRunner(
            put or self.entries.append,
            lambda call, made, take: ToolContext(call.call, made.name, None, "ann", take),  # type: ignore[arg-type]
            lambda call: self.started.append((call.name, call.call)),
            self._told,
            lambda name, error: self.errors.append((name, error)),
            self.warnings.append,
            lambda call, text: self.notes.append((call.call, text)),
            progress=background,
        )
        self.runner.tools = {made.name: made for made in collect(None, tools)}

    def _told(self, name: str, call: str, outcome: str, seconds: float, text: str) -> None:
        self.told.append((name, call, outcome))
        self.times[call] = seconds

    def call(self, call: str, name: str, **arguments: Any) -> None:
        self.runner.call(p.ToolCall(call, name, arguments))


@tool(timeout=5)
async def wait(seconds: float) -> str:
    """Take a while."""
    await asyncio.sleep(seconds)
    return f"waited {seconds:g}"


@tool(timeout=5)
async def stubborn(seconds: float) -> str:
    """Do not let go."""
    for _ in range(3):
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            continue
    return "late"


@tool(cancellable=True)
async def search(seconds: float) -> str:
    """Search."""
    await asyncio.sleep(seconds)
    return "found"


BOOKED: list[str] = []


@tool
async def book(table: str, seconds: float = 3.0) -> str:
    """Book a table."""
    BOOKED.append(table)
    await asyncio.sleep(seconds)
    return f"booked {table}"


@tool(blocking=False, scheduling="when_idle")
async def report(seconds: float, context: ToolContext) -> dict[str, int]:
    """Tell how far it is."""
    for part in range(3):
        context.progress({"part": part})
        await asyncio.sleep(seconds / 3)
    return {"parts": 3}


@tool
async def fail(kind: str) -> Any:
    """Fail."""
    if kind == "told":
        raise ToolError("the shop is closed")
    if kind == "cancelled":
        raise asyncio.CancelledError
    if kind == "exit":
        raise SystemExit(3)
    if kind == "timeout":
        raise TimeoutError
    if kind == "unspeakable":
        return object()
    raise ValueError(f"secret {kind}")


@tool(max_result=1000)
def large(characters: int) -> str:
    """Return much."""
    return "x" * characters


TOOLS = (wait, stubborn, search, book, report, fail, large)


def at_desk(clock: VirtualClock, script: Callable[[Desk], Any], **options: Any) -> Desk:
    async def main() -> Desk:
        desk = Desk(*TOOLS, **options)
        await script(desk)
        await desk.runner.close()
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        return desk

    return clock.run(main())

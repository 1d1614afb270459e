"""Parts that stand in for others, asked directly, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from fishjam_agents.backends.cascade.component_vendor import ComponentVendor
from fishjam_agents.backends.cascade.components import Component
from fishjam_agents.backends.cascade.fallback_component import RECOVERY, FallbackComponent
from fishjam_agents.backends.vendors import VendorEndpoint, Vendors, VendorUse
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import VirtualClock

ILL = BackendError("it is ill", retryable=True)
Step = str | float | Exception


@dataclass
class Scripted:
    """Answers as the script says, and as its last line from then on."""

    script: Sequence[Sequence[Step]]
    asked: list[float] = field(default_factory=list)
    open: int = 0

    async def answer(self) -> AsyncIterator[str]:
        self.asked.append(asyncio.get_running_loop().time())
        self.open += 1
        try:
            for step in self.script[min(len(self.asked), len(self.script)) - 1]:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.open -= 1


class Asking:
    def __init__(self, *parts: Scripted, vendors: Sequence[ComponentVendor] | None = None) -> None:
        self.warnings: list[str] = []
        self.parts = parts
        self.fallbacks = FallbackComponent("the part", parts, 10.0, self.warnings.append, 4.0, vendors)

    async def ask(self, *, restart: bool = False) -> tuple[list[str], float]:
        """What is answered, and how long that took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with aclosing(self.fallbacks.ask(Scripted.answer, restart=restart)) as pieces:
            found = [piece async for piece in pieces]
        return found, loop.time() - begun


def run(clock: VirtualClock, asking: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asking()
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"

    clock.run(main())


def test_patience_is_short_only_where_another_can_stand_in(virtual_clock: VirtualClock) -> None:
    async def main() -> None:
        slow = Scripted([[6.0, "late"]])
        assert await Asking(slow).ask() == (["late"], 6.0)
        assert await Asking(slow, Scripted([["here"]])).ask() == (["here"], 4.0)
        # Once it has begun it has as long as ever.
        assert await Asking(Scripted([["a", 6.0, "b"]]), Scripted([["here"]])).ask() == (["a", "b"], 6.0)
        assert slow.open == 0

    run(virtual_clock, main)


def test_a_part_that_is_still_ill_costs_nobody_time_and_is_tried_ever_more_rarely(
    virtual_clock: VirtualClock,
) -> None:
    async def main() -> None:
        ill = Scripted([[ILL], [60.0]])
        asking = Asking(ill, Scripted([["here"]]))
        for _ in range(1500):
            assert await asking.ask() == (["here"], 0.0)
            await asyncio.sleep(1.0)
        # At first, then after 30 s, 60 s, 120 s, 240 s, 480 s at most; each time 4 s until that is given up.
        assert [round(at) for at in ill.asked] == [0, 30, 94, 218, 462, 946, 1430]
        assert ill.open == 0

    run(virtual_clock, main)


def test_a_part_that_is_well_again_is_used_from_the_next_request_on(virtual_clock: VirtualClock) -> None:
    async def main() -> None:
        first = Scripted([[ILL], [1.0, "back", 60.0], ["back"]])
        asking = Asking(first, Scripted([["here"]]))
        assert (await asking.ask())[0] == ["here"]
        await asyncio.sleep(RECOVERY)
        assert await asking.ask() == (["here"], 0.0)
        await asyncio.sleep(1.5)
        # What was tried is closed at its first piece.
        assert first.open == 0
        assert await asking.ask() == (["back"], 0.0)
        assert asking.warnings == [
            "the part failed (it is ill): the next one stands in",
            "the part answers again: the part that failed is used from now on",
        ]

    run(virtual_clock, main)


def test_where_all_have_failed_all_are_asked_in_their_order(virtual_clock: VirtualClock) -> None:
    async def main() -> None:
        first, second = Scripted([[ILL]]), Scripted([[ILL], ["here"]])
        asking = Asking(first, second)
        with pytest.raises(BackendError, match="it is ill"):
            await asking.ask()
        assert (await asking.ask())[0] == ["here"]
        assert len(first.asked) == 2

    run(virtual_clock, main)


def test_one_that_breaks_off_is_replaced_only_where_nothing_has_come_of_it(
    virtual_clock: VirtualClock,
) -> None:
    async def main() -> None:
        parts = Scripted([["so", ILL]]), Scripted([["so far"]])
        with pytest.raises(BackendError):
            await Asking(*parts).ask()
        assert (await Asking(*parts).ask(restart=True))[0] == ["so", "so far"]

    run(virtual_clock, main)


def test_leaving_ends_what_is_being_tried(virtual_clock: VirtualClock) -> None:
    async def main() -> None:
        first = Scripted([[ILL], [60.0]])
        asking = Asking(first, Scripted([["here"]]))
        await asking.ask()
        await asyncio.sleep(RECOVERY)
        await asking.ask()
        await asyncio.sleep(0)
        assert first.open == 1
        await asking.fallbacks.close()
        assert first.open == 0

    run(virtual_clock, main)


@dataclass(frozen=True)
class AtVendor(Component):
    """Settings of a part that uses an account."""

    account: str

    @property
    def endpoint(self) -> VendorEndpoint:
        return VendorEndpoint(self.account, "https://example.com")


def test_a_call_holds_one_place_for_a_job_whichever_part_does_it(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        use = VendorUse()
        first, second, other = (ComponentVendor(AtVendor(name), use, lambda event: None) for name in "ABA")
        accounts = [Vendors.shared().account(AtVendor(name).endpoint) for name in "AB"]

        def places() -> list[int]:
            return [account.calls for account in accounts]

        asking = Asking(Scripted([[ILL], ["a"]]), Scripted([["b"]]), vendors=[first, second])
        assert (await asking.ask())[0] == ["b"]
        assert places() == [0, 1]
        # Another job of the call shares its place at an account, and keeps it.
        other.hold()
        await asyncio.sleep(RECOVERY + 1)
        # The first part is tried again beside the second, and then used.
        await asking.ask()
        await asyncio.sleep(1)
        assert (await asking.ask())[0] == ["a"]
        assert places() == [1, 0]
        await asking.fallbacks.close()
        first.release()
        assert places() == [1, 0]
        use.close()
        assert places() == [0, 0]

    run(virtual_clock, scenario)


def test_a_bug_of_a_part_that_is_tried_is_a_failure_of_it(virtual_clock: VirtualClock) -> None:
    async def main() -> None:
        asking = Asking(Scripted([[ILL], [ValueError("a bug")]]), Scripted([["here"]]))
        for _ in range(3):
            assert (await asking.ask())[0] == ["here"]
            await asyncio.sleep(RECOVERY + 1)

    run(virtual_clock, main)

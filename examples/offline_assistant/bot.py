"""Tools of the receptionist: tables, timers, the time. What it says stands in dialogue.yaml."""

from __future__ import annotations

import asyncio
import datetime
import itertools

from fishjam_agents import AgentPipeline, ToolError, tool

BOOKINGS: dict[int, str] = {}
"""Of all calls, by number; yours are in a database."""
NUMBERS = itertools.count(21)
MONDAY = 0


def spoken(seconds: int) -> str:
    """Return a duration as it is said: 1 minute and 30 seconds."""
    parts = []
    for name, unit in (("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, unit)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " and ".join(parts)


class Receptionist(AgentPipeline):
    """The receptionist of a small restaurant."""

    def __init__(self) -> None:
        super().__init__()
        self._timers: set[asyncio.Task[None]] = set()

    @tool
    async def current_time(self) -> str:
        """Return the time of day."""
        return f"{datetime.datetime.now():%-I:%M %p}"

    @tool
    async def current_day(self) -> str:
        """Return the day of the week and the date."""
        return f"{datetime.date.today():%A, %B %-d}"

    @tool
    async def set_timer(self, duration: int) -> str:
        """Speak up when some time is over.

        Args:
            duration: Seconds.
        """
        task = asyncio.create_task(self._ring(duration), name="a timer")
        self._timers.add(task)
        task.add_done_callback(self._timers.discard)
        return spoken(duration)

    @tool
    async def cancel_timer(self) -> str:
        """Stop all timers of the call."""
        if not self._timers:
            raise ToolError("there is no timer.")
        for task in self._timers:
            task.cancel()
        return "stopped"

    @tool
    async def book_table(self, people: int, day: datetime.date, time: datetime.time, name: str) -> int:
        """Book a table.

        Args:
            people: How many come.
            day: The day.
            time: The time of day.
            name: Whose it is.
        """
        if day.weekday() == MONDAY:
            raise ToolError("we are closed on Mondays.")
        number = next(NUMBERS)
        BOOKINGS[number] = f"{people} for {name}, {day} {time:%H:%M}"
        return number

    @tool
    async def cancel_booking(self, number: int) -> str:
        """Cancel a booking.

        Args:
            number: What its owner was told.
        """
        if BOOKINGS.pop(number, None) is None:
            raise ToolError(f"there is no booking with the number {number}.")
        return str(number)

    async def on_stop(self) -> None:
        """End the timers with the call."""
        for task in self._timers:
            task.cancel()

    async def _ring(self, seconds: int) -> None:
        await asyncio.sleep(seconds)
        for _ in range(3):
            speech = await self.say(f"Your timer of {spoken(seconds)} is over.")
            if not speech.interrupted:
                return

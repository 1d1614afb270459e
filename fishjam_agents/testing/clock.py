"""Virtual time: an asyncio loop whose clock jumps to the next deadline instead of waiting for it.

A ten-minute conversation takes about as long as its computing. Real sockets and processes do not know of
this clock, so the loop refuses them; a function meant for a thread of an executor is run in place.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from fishjam_agents.hearing.detector_bank import DetectorBank

T = TypeVar("T")


class VirtualClockError(RuntimeError):
    """Something was asked of virtual time that it cannot give."""


class _JumpingSelector:
    """Stands where the loop waits for sockets: moves the clock on instead."""

    def __init__(self, loop: _VirtualLoop) -> None:
        self._loop = loop
        self._random = random.Random(0).random

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise VirtualClockError(
                "every task waits for something that will never happen: a deadlock in the test"
            )
        if timeout > 0:
            self._loop.now += timeout + self._loop.late * self._random()
            if self._loop.now > self._loop.limit:
                raise VirtualClockError(
                    f"the test ran for {self._loop.limit:g} virtual seconds: raise limit or end its wait"
                )
        return []

    def close(self) -> None:
        """Nothing is held."""


class _VirtualLoop(asyncio.BaseEventLoop):
    def __init__(self, limit: float, late: float) -> None:
        super().__init__()
        self.now = 0.0
        self.limit = limit
        self.late = late
        self._selector = _JumpingSelector(self)
        # BaseEventLoop runs timers that are due within one tick of its clock; rounding needs a little.
        self._clock_resolution = 1e-9
        # Computing takes no time: nothing is gained by waiting for what comes in the same turn of the loop.
        DetectorBank.share(self, DetectorBank(gathers=False))

    def time(self) -> float:
        return self.now

    @staticmethod
    def cpu_used() -> tuple[float, float]:
        """Seconds of CPU that the process and this thread have used: computing takes no virtual time."""
        return 0.0, 0.0

    def _process_events(self, event_list: list[Any]) -> None:
        """There are never any."""

    def _write_to_self(self) -> None:
        """Nothing sleeps, so nothing needs waking."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run what was meant for a thread in place: computing takes no virtual time."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is raised again where the result is awaited
            done.set_exception(error)
        return done

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise VirtualClockError(
            "real sockets and processes do not know virtual time: "
            "use a MemoryRoom, or run the test in real time"
        )

    create_connection = _refuse
    create_server = _refuse
    create_unix_connection = _refuse
    create_unix_server = _refuse
    create_datagram_endpoint = _refuse
    getaddrinfo = _refuse
    subprocess_exec = _refuse
    subprocess_shell = _refuse
    add_reader = _refuse  # type: ignore[assignment]
    add_writer = _refuse  # type: ignore[assignment]


class VirtualClock:
    """Runs coroutines in virtual time.

    Args:
        limit: Virtual seconds after which a test that will not end is stopped.
        late: Largest delay, in seconds, with which the loop wakes up after a deadline: another one each time,
            the same ones in every run. As on a real loop, timers then fall together only where they must.
    """

    def __init__(self, limit: float = 3600.0, late: float = 0.0) -> None:
        self.limit = limit
        self.late = late

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` from virtual second zero to its end.

        Raises:
            VirtualClockError: A deadlock, a test that does not end, or a real socket or process.
        """
        with self.runner() as runner:
            return runner.run(main)

    def runner(self) -> asyncio.Runner:
        """A runner in virtual time, for who runs several coroutines one after the other on one loop."""
        return asyncio.Runner(loop_factory=lambda: _VirtualLoop(self.limit, self.late), debug=False)

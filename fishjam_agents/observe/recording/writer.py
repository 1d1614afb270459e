"""The thread that writes recordings: a slow disk delays no call, and memory stays bounded."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

logger = logging.getLogger(__name__)

EXIT_DEADLINE = 5.0
"""Seconds that the end of the process waits for what is still to be written."""


class WriterThread:
    """Does work in order, in one thread of the process that begins with the first of it."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, work: Callable[[], None]) -> None:
        """Have something done some time; it must not raise."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="recordings", daemon=True)
            self._thread.start()
            atexit.register(self._finish)
        self._queue.put(work)

    def wait(self, timeout: float) -> bool:
        """Wait until all that was put so far is done, at most `timeout` seconds; whether it is. Blocks."""
        done = threading.Event()
        self.put(done.set)
        return done.wait(timeout)

    def _finish(self) -> None:
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(EXIT_DEADLINE)

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception:
                # The recordings of other calls go on.
                logger.exception("A recording failed")


WRITER = WriterThread()
"""The thread of this process."""

"""Handlers of events: called one event after the other, in one task, behind a bounded queue."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, TypeVar

QUEUE_LIMIT = 1000
"""Events that may wait for a slow handler or a slow reader; beyond it the oldest are dropped, and it is said.

A room of twenty people makes some hundred when it fills, so a thousand is a consumer that hangs.
"""

_log = logging.getLogger(__name__)

Handler = TypeVar("Handler", bound=Callable[..., Any])
T = TypeVar("T")


class BoundedQueue(AsyncIterator[T]):
    """Events in order, for one reader: an async iterator that ends, or raises, when `end` says so.

    Attributes:
        dropped: How many events were dropped because the reader was too slow.
    """

    def __init__(self, what: str, limit: int = QUEUE_LIMIT) -> None:
        """Empty.

        Args:
            what: Whose events they are, for the log.
            limit: How many may wait.
        """
        self.dropped = 0
        self._what = what
        self._limit = limit
        self._items: deque[T] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self._error: BaseException | None = None
        self._burst = 0

    def put(self, item: T) -> None:
        """Append an event; if too many wait, the oldest goes."""
        if self._ended:
            return
        if len(self._items) >= self._limit:
            self._items.popleft()
            self.dropped += 1
            self._burst += 1
            if self._burst == 1:
                _log.warning(
                    "%s: %d events wait for a slow reader, the oldest are dropped from now on",
                    self._what,
                    self._limit,
                )
        self._items.append(item)
        self._changed.set()

    def end(self, error: BaseException | None = None) -> None:
        """No more events: the reader ends after those that wait, with `error` if one is given."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._changed.set()

    def clear(self) -> None:
        """Forget what waits."""
        self._items.clear()

    def __aiter__(self) -> BoundedQueue[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._burst:
                _log.warning("%s: %d events were dropped", self._what, self._burst)
                self._burst = 0
            if self._ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()


class Emitter:
    """Calls handlers of events in the order the events happened. `run` is the task that does it.

    A handler is a function or a coroutine function. One that raises is logged and the next is called; one
    that is slow delays the others and loses nothing until the queue is full.
    """

    def __init__(self, what: str, limit: int = QUEUE_LIMIT) -> None:
        """No handler yet.

        Args:
            what: Whose events they are, for the log.
            limit: How many events may wait.
        """
        self._what = what
        self._limit = limit
        self._handlers: list[tuple[frozenset[Hashable], Callable[..., Any]]] = []
        self._queue: BoundedQueue[tuple[tuple[Hashable, ...], tuple[Any, ...]]] = BoundedQueue(what, limit)

    @property
    def handled(self) -> bool:
        """True if there is any handler."""
        return bool(self._handlers)

    @property
    def dropped(self) -> int:
        """Number of events that were dropped because handlers were too slow."""
        return self._queue.dropped

    def on(self, keys: Iterable[Hashable], handler: Handler) -> Handler:
        """Call `handler` for events of these keys; returns it, so that decorators can be built on this."""
        self._handlers.append((frozenset(keys), handler))
        return handler

    def off(self, keys: Iterable[Hashable], handler: Callable[..., Any]) -> None:
        """Undo `on` with the same keys; an unknown handler is no error."""
        entry = (frozenset(keys), handler)
        if entry in self._handlers:
            self._handlers.remove(entry)

    def emit(self, keys: tuple[Hashable, ...], *arguments: Any) -> None:
        """Queue an event for the handlers of any of its keys."""
        if any(not wanted.isdisjoint(keys) for wanted, _ in self._handlers):
            self._queue.put((keys, arguments))

    def finish(self, *, drop: bool = False) -> None:
        """No more events: `run` returns after those that wait, or with `drop` after the handler under way."""
        if drop:
            self._queue.clear()
        self._queue.end()

    async def run(self) -> None:
        """Call handlers until `finish`. May be run again afterwards."""
        try:
            async for keys, arguments in self._queue:
                for wanted, handler in tuple(self._handlers):
                    if not wanted.isdisjoint(keys):
                        await self._call(handler, arguments)
        finally:
            dropped = self._queue.dropped
            self._queue = BoundedQueue(self._what, self._limit)
            self._queue.dropped = dropped

    async def _call(self, handler: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            result = handler(*arguments)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Something the handler waited for was cancelled, not the handler.
            self._failed(handler)
        except Exception:  # noqa: BLE001 - user code; logged with its traceback
            self._failed(handler)

    def _failed(self, handler: Callable[..., Any]) -> None:
        name = getattr(handler, "__qualname__", repr(handler))
        _log.exception("%s: the handler %s failed", self._what, name)

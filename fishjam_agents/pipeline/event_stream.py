"""Events of a call, and those who follow them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from fishjam_agents.backends.tracebacks import raised_at
from fishjam_agents.events import Event

logger = logging.getLogger(__name__)


class Watcher(Protocol):
    """Part that follows a call by its events and the tick. Synchronous; calls without one pay nothing."""

    def event(self, event: Event) -> None:
        """Take an event of the call."""
        ...

    def tick(self, now: float) -> None:
        """Take notice of the time: called every 20 ms with call time."""
        ...


class EventStream:
    """Events of one call, passed to its watchers and then to the app's observers.

    Args:
        observers: The app's; one that raises is logged.
    """

    def __init__(self, observers: Sequence[Callable[[Event], None]]) -> None:
        self._observers = observers
        self._watchers: tuple[Watcher, ...] = ()

    def emit(self, event: Event) -> None:
        """Publish an event to everyone who subscribed."""
        for watcher in self._watchers:
            watcher.event(event)
        for observer in self._observers:
            try:
                observer(event)
            except Exception as error:
                at = raised_at(error, foreign=True)
                logger.exception("An observer of the call's events failed on %s at %s", event.kind, at)

    def watch(self, watcher: Watcher) -> None:
        """Have a watcher follow the call from now on."""
        self._watchers = (*self._watchers, watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """Let a watcher follow the call no longer."""
        self._watchers = tuple(kept for kept in self._watchers if kept is not watcher)

    def tick(self, now: float) -> None:
        """Pass the time on to the watchers, call time in seconds."""
        for watcher in self._watchers:
            watcher.tick(now)

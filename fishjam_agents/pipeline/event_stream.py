"""Events of a call, and those who follow them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from fishjam_agents.backends.tracebacks import raised_at
from fishjam_agents.events import Event
from fishjam_agents.pipeline.redaction import EventRedaction

logger = logging.getLogger(__name__)


class Watcher(Protocol):
    """Part that follows a call by its events, and may follow the time. Synchronous.

    It may also offer `tick(now: float)`, which is called every 20 ms with call time.
    """

    def event(self, event: Event) -> None:
        """Take an event of the call."""
        ...


class EventStream:
    """Events of one call, passed to its watchers as they are, and then to observers as they may be shown.

    Args:
        observers: The app's; one that raises is logged.

    Attributes:
        redaction: Changes what observers get; None where nothing is hidden.
        ticks: Take notice of call time, for the watchers that follow it.
    """

    def __init__(self, observers: Sequence[Callable[[Event], None]]) -> None:
        self._observers = observers
        self._own: tuple[Callable[[Event], None], ...] = ()
        self.redaction: EventRedaction | None = None
        self._watchers: tuple[Watcher, ...] = ()
        self.ticks: tuple[Callable[[float], None], ...] = ()

    def emit(self, event: Event) -> None:
        """Publish an event to everyone who subscribed."""
        for watcher in self._watchers:
            watcher.event(event)
        if self.redaction is None:
            self._show(event)
            return
        for shown in self.redaction.shown(event):
            self._show(shown)

    def _show(self, event: Event) -> None:
        for observer in (*self._own, *self._observers):
            try:
                observer(event)
            except Exception as error:
                at = raised_at(error, foreign=True)
                logger.exception("An observer of the call's events failed on %s at %s", event.kind, at)

    def observe(self, observer: Callable[[Event], None]) -> None:
        """Have a part of the call take its events as the app's observers get them, from now on."""
        self._own = (*self._own, observer)

    def watch(self, watcher: Watcher) -> None:
        """Have a watcher follow the call from now on."""
        self._follow((*self._watchers, watcher))

    def unwatch(self, watcher: Watcher) -> None:
        """Let a watcher follow the call no longer."""
        self._follow(tuple(kept for kept in self._watchers if kept is not watcher))

    def _follow(self, watchers: tuple[Watcher, ...]) -> None:
        self._watchers = watchers
        self.ticks = tuple(tick for each in watchers if (tick := getattr(each, "tick", None)) is not None)

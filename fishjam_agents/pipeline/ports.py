"""Interfaces between the parts of a call: playback that turn taking controls, and the backend's input."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVarTuple

from fishjam_agents.backends import port
from fishjam_agents.events import Heard

Ts = TypeVarTuple("Ts")


class PlaybackControl(Protocol):
    """Control of what the bot says: of all of it, or of what concerns one peer."""

    @property
    def is_active(self) -> bool:
        """True while a reply is under way."""
        ...

    @property
    def is_paused(self) -> bool:
        """True while replies are held."""
        ...

    @property
    def current_reply(self) -> str | None:
        """Id of the reply that is playing or next to play."""
        ...

    def pause(self) -> None:
        """Hold the replies."""
        ...

    def resume(self) -> None:
        """Let the replies go on."""
        ...

    def interrupt(self, *, everything: bool = False) -> Heard | None:
        """End the replies that may be interrupted, or `everything`; return what was heard of the current one.

        The backend is told.
        """
        ...


class BackendInputSink(Protocol):
    """Taker of what the backend is told: a session of it, or the sessions of all peers."""

    def put(self, entry: port.BackendInput) -> None:
        """Pass an entry on, in order. Never waits."""
        ...


def run_from_any_thread(
    loop: asyncio.AbstractEventLoop, work: Callable[[*Ts], object], *arguments: *Ts
) -> None:
    """Run a function on the loop of its call: at once there, soon from another thread."""
    try:
        here = asyncio.get_running_loop() is loop
    except RuntimeError:
        here = False
    if here:
        work(*arguments)
    else:
        loop.call_soon_threadsafe(work, *arguments)

"""Chunks and interrupts onto the wire, in order, without a task per chunk.

A track may offer `post_chunk`, which sends where nothing has to be waited for. `send_chunk` is a coroutine
that in the normal case never suspends either: the socket's buffer takes the bytes. So it is run to its first
suspension in place; only when the socket pushes back does the rest become a task, and everything after it
waits in order.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from fishjam_agents.errors import SessionError
from fishjam_agents.session import OutgoingTrack

DEADLINE = 5.0
"""Seconds the socket may push back before the session counts as lost."""


@types.coroutine
def _remainder(coroutine: Coroutine[Any, Any, None], yielded: Any) -> Generator[Any, Any, None]:
    """Drive a coroutine on from a future it has already yielded."""
    while True:
        try:
            try:
                value = yield yielded
            except BaseException as error:  # noqa: BLE001 - cancellation belongs to the coroutine
                yielded = coroutine.throw(error)
            else:
                yielded = coroutine.send(value)
        except StopIteration:
            return


def start_eagerly(coroutine: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None] | None:
    """Run a coroutine up to its first suspension.

    Returns:
        None when it has finished; else the awaitable rest of it.
    """
    try:
        yielded = coroutine.send(None)
    except StopIteration:
        return None
    return _finish(coroutine, yielded)


async def _finish(coroutine: Coroutine[Any, Any, None], yielded: Any) -> None:
    await _remainder(coroutine, yielded)


def _cannot_post(data: bytes) -> bool:
    """Stand in for `post_chunk` of a track that has none."""
    return False


class TrackSender:
    """Ordered, non-blocking access to an `OutgoingTrack`.

    Args:
        track: The bot's track.
        failed: Told once, with the reason, when the track can no longer be written to.
    """

    def __init__(self, track: OutgoingTrack, failed: Callable[[Exception], None]) -> None:
        self._track = track
        self._post: Callable[[bytes], bool] = getattr(track, "post_chunk", _cannot_post)
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes | None] = []
        self._task: asyncio.Task[None] | None = None
        self._dead = False

    @property
    def blocked(self) -> bool:
        """True while the socket pushes back or is lost for now; nothing more should be sent meanwhile."""
        return self._task is not None or self._dead or not getattr(self._track, "ready", True)

    def send(self, data: bytes) -> bool:
        """Send a chunk of PCM.

        Returns:
            Whether more should be sent now: False when it is blocked.
        """
        if self._task is None and not self._dead:
            try:
                if self._post(data):
                    return True
            except Exception as error:  # noqa: BLE001 - any session implementation may stand behind it
                self._fail(error)
                return False
        self._do(data)
        return not self.blocked

    def interrupt(self) -> bool:
        """Drop what has not been played, at the server and here; returns what `send` returns."""
        if self._waiting:
            self._waiting.clear()
        self._do(None)
        return not self.blocked

    def _do(self, data: bytes | None) -> None:
        if self._dead:
            return
        if self._task is not None:
            self._waiting.append(data)
            return
        try:
            rest = start_eagerly(self._operation(data))
        except Exception as error:  # noqa: BLE001 - any session implementation may stand behind it
            self._fail(error)
            return
        if rest is not None:
            self._task = self._loop.create_task(self._drain(rest), name="track-sender")

    def _operation(self, data: bytes | None) -> Coroutine[Any, Any, None]:
        return self._track.interrupt() if data is None else self._track.send_chunk(data)

    async def _drain(self, rest: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                await rest
            while self._waiting:
                async with asyncio.timeout(DEADLINE):
                    await self._operation(self._waiting.pop(0))
        except TimeoutError:
            self._fail(
                SessionError(f"the media server took no audio for {DEADLINE:g} s: the session is given up")
            )
        except Exception as error:  # noqa: BLE001 - any session implementation may stand behind it
            self._fail(error)
        finally:
            self._task = None

    def _fail(self, error: Exception) -> None:
        if not self._dead:
            self._dead = True
            self._waiting.clear()
            self._failed(error)

    async def close(self) -> None:
        """Stop sending; waits for nothing but the end of the own task."""
        self._dead = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

"""Several parts for one job: the next one is asked where one fails, and the first again after a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

from fishjam_agents.errors import BackendError

RECOVERY = 30.0
"""Seconds for which a part that failed is asked last."""
P = TypeVar("P")
T = TypeVar("T")


class Fallbacks(Generic[P]):
    """Parts in the order they are preferred.

    Args:
        what: Names the job in messages: "speech to text".
        parts: At least one.
        deadline: Seconds a part may take for its first piece, and between two.
        warn: Told when one part stands in for another.
    """

    def __init__(self, what: str, parts: Sequence[P], deadline: float, warn: Callable[[str], None]) -> None:
        self._what = what
        self._parts = parts
        self._deadline = deadline
        self._warn = warn
        self._failed_at: dict[int, float] = {}

    async def ask(self, request: Callable[[P], AsyncIterator[T]]) -> AsyncGenerator[T, None]:
        """Yield what the first part yields that does not fail before its first piece.

        Raises:
            BackendError: Every part failed, or one did after it had begun.
        """
        order = sorted(range(len(self._parts)), key=self._rests)
        for position, index in enumerate(order):
            begun = False
            try:
                async with aclosing(self._timed(request(self._parts[index]))) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                self._failed_at.pop(index, None)
                return
            except BackendError as error:
                self._failed_at[index] = asyncio.get_running_loop().time()
                if begun or position == len(order) - 1:
                    raise
                self._warn(f"{self._what} failed ({error}): the next one stands in for {RECOVERY:g} s")

    def _rests(self, index: int) -> bool:
        failed = self._failed_at.get(index)
        return failed is not None and asyncio.get_running_loop().time() - failed < RECOVERY

    async def _timed(self, pieces: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        try:
            while True:
                try:
                    async with asyncio.timeout(self._deadline):
                        piece = await anext(pieces)
                except StopAsyncIteration:
                    return
                except TimeoutError as error:
                    raise BackendError(
                        f"{self._what} gave nothing for {self._deadline:g} s", retryable=True
                    ) from error
                yield piece
        finally:
            # An async generator, as parts write them, closes what it has open.
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()

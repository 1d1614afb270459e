"""Several parts for one job: where one fails the next is asked, and it is tried again in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Generic, TypeVar

from fishjam_agents.backends.cascade.closing import CLOSE_DEADLINE, end, within
from fishjam_agents.backends.cascade.component_vendor import ComponentVendor
from fishjam_agents.backends.cascade.components import ContextFullError
from fishjam_agents.backends.cascade.speech import Speech
from fishjam_agents.backends.health import HealthTracker
from fishjam_agents.backends.tracebacks import SEE, describe
from fishjam_agents.backends.vendors import PATIENCE, LimitReachedError, VendorUnavailableError, telling
from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import BackendError

logger = logging.getLogger(__name__)

RECOVERY = 30.0
"""Seconds after which a part that failed is tried again; doubled each time it fails again."""
_BACKOFF = Backoff(RECOVERY, 480.0, jitter=0.0)
_REPEATS = 4
"""Attempts after a failure of a part that nothing can stand in for, unless its vendor fails for all calls."""
_MOMENT = Backoff(0.25, 1.0)
"""Seconds until a part that nothing can stand in for is asked again."""
_SHORT = 3.0
"""Seconds before the end of a call's patience in which no further attempt may fall: the longest rest of a
vendor that fails, and a moment."""
P = TypeVar("P")
T = TypeVar("T")


class ComponentError(BackendError):
    """A part has a bug: no other one stands in for it, or nobody would ever see it."""


class Repeats:
    """Attempts to ask one part again that nothing can stand in for.

    A failure by chance is worth a few. While the vendor fails for all calls it is worth waiting for: they ask
    one at a time then.

    Args:
        longest: Seconds from now after which there is none.

    Attributes:
        count: Attempts so far.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._begin()

    def _begin(self) -> None:
        self._begun = asyncio.get_running_loop().time()
        self._until = self._begun + self._longest
        self.count = 0

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._until - asyncio.get_running_loop().time())

    @property
    def waited(self) -> float:
        """Seconds since the first request."""
        return asyncio.get_running_loop().time() - self._begun

    def was_patient(self, error: BackendError) -> bool:
        """Return whether a vendor that failed or was full was waited for as long as a call waits for one."""
        repeated = self.count > 0 or isinstance(error, VendorUnavailableError | LimitReachedError)
        return repeated and self.waited >= PATIENCE - _SHORT

    async def worth_it(
        self, error: BackendError, vendor: ComponentVendor | None, speech: Speech | None
    ) -> bool:
        """Return, after a moment, whether to ask again."""
        asked = not isinstance(error, VendorUnavailableError | LimitReachedError)
        if not asked or not error.retryable or error.failure != "network":
            return False
        if speech is not None and not speech.is_over:
            # Nobody waits before the turn is over: what is lost by then is worth all attempts again.
            await asyncio.sleep(_MOMENT.delay(1))
            self._begin()
            return True
        if vendor is None or not vendor.is_shared:
            return False
        if not vendor.fails and self.count >= _REPEATS:
            return False
        self.count += 1
        pause = _MOMENT.delay(self.count)
        if pause >= self.left:
            return False
        await asyncio.sleep(pause)
        return True


class FallbackComponent(Generic[P]):
    """Parts in the order they are preferred.

    A part that failed is asked only where all others fail, too. What tells whether it is well again is a
    request that is made anyway: `RECOVERY` seconds later the next one goes to it as well, beside the part
    that stands in, and is closed at its first piece. So nobody waits for a part that is still ill, nothing is
    asked of it while nobody speaks, and it is tried with what it is there for. That costs one request that
    nobody hears for each attempt.

    Args:
        what: Names the job in messages: "speech to text".
        parts: At least one.
        deadline: Seconds a part may take for its first piece, and between two, once its vendor may be asked.
        warn: Told when one part stands in for another.
        patience: Seconds it may take for its first piece where another can stand in; None as long as
            `deadline`.
        vendors: Ways to the parts' accounts, one for each part; None where they use none.
    """

    def __init__(
        self,
        what: str,
        parts: Sequence[P],
        deadline: float,
        warn: Callable[[str], None],
        patience: float | None = None,
        vendors: Sequence[ComponentVendor] | None = None,
    ) -> None:
        self._what = what
        self._parts = parts
        self._deadline = deadline
        self._patience = deadline if patience is None else min(patience, deadline)
        self._warn = warn
        self._health = HealthTracker(len(parts), _BACKOFF)
        self._trials: dict[int, asyncio.Task[None]] = {}
        self._vendors: Sequence[ComponentVendor | None] = vendors or [None] * len(parts)
        self._asking = [0] * len(parts)

    async def ask(
        self,
        request: Callable[[P], AsyncIterator[T]],
        *,
        restart: bool = False,
        speech: Speech | None = None,
    ) -> AsyncGenerator[T, None]:
        """Yield what the first part yields that does not fail before its first piece.

        Args:
            request: Begins a request to a part; called once for each part that is asked.
            restart: Whether another part, or the same one, may begin anew after one that broke off.
            speech: What the request is about, if that may still go on: no deadline counts meanwhile.

        Raises:
            BackendError: Every part failed, or one did after it had begun. Not retryable where the last one's
                vendor was waited for as long as a call waits for one (`PATIENCE`).
            ComponentError: One has a bug.
            ContextFullError: The request is too long.
        """
        order = self._health.order()
        self._try_again(order[0], request, speech)
        repeats = Repeats(max(PATIENCE, self._deadline))
        position, told = 0, False
        while True:
            index, last = order[position], position == len(order) - 1
            begun = False
            self._asking[index] += 1
            try:
                asked = self._ask(index, request, repeats, speech, last=last)
                async with aclosing(asked) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                self._health.recovered(index)
                self._leave_places(index)
                return
            except (ComponentError, ContextFullError):
                raise
            except BackendError as error:
                again = restart or not begun
                if last and again and await repeats.worth_it(error, self._vendors[index], speech):
                    if repeats.count <= 1 and not told:
                        told = True
                        self._warn(f"{self._what} failed ({error}): it is asked again")
                    continue
                self._rest(index)
                if last and again and repeats.was_patient(error):
                    # Whoever has heard nothing for so long is told so, and not kept.
                    raise BackendError(
                        error.cause,
                        subject=error.subject,
                        action=f"given up after {repeats.waited:.0f} s",
                        failure=error.failure,
                    ) from error
                if last or not again:
                    raise
                self._warn(f"{self._what} failed ({error}): the next one stands in")
            finally:
                self._asking[index] -= 1
            position += 1

    async def _ask(
        self,
        index: int,
        request: Callable[[P], AsyncIterator[T]],
        repeats: Repeats,
        speech: Speech | None,
        *,
        last: bool,
    ) -> AsyncGenerator[T, None]:
        """Yield what one part yields, once its vendor may be asked."""
        vendor, permit = self._vendors[index], None
        if vendor is not None:
            # While another one can stand in nobody waits for a vendor.
            permit = await vendor.admit(repeats.left if last else 0.0, paced=repeats.count > 0)
        deadline = self._deadline if last else self._patience
        with telling(permit):
            pieces = request(self._parts[index])
            try:
                while True:
                    try:
                        piece = await self._next(pieces, deadline, speech)
                    except StopAsyncIteration:
                        break
                    except BackendError:
                        raise
                    except Exception as bug:
                        raise self._buggy(index, bug) from bug
                    if permit is not None:
                        permit.succeeded()
                    deadline = self._deadline
                    yield piece
            finally:
                await self._close(pieces)
            if permit is not None:
                permit.succeeded()

    async def close(self) -> None:
        """Give up what is being tried."""
        await end(*self._trials.values())

    async def _next(self, pieces: AsyncIterator[T], deadline: float, speech: Speech | None) -> T:
        try:
            piece = await within(deadline, anext(pieces), speech)
        except TimeoutError as error:
            raise BackendError(f"{self._what} gave nothing for {deadline:g} s", retryable=True) from error
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # A part that swallows its cancellation is not listened to.
            raise asyncio.CancelledError
        return piece

    def _buggy(self, index: int, bug: Exception) -> ComponentError:
        name = type(self._parts[index]).__name__
        logger.debug("%s (%s) failed:", name, self._what, exc_info=bug)
        return ComponentError(f"{name} ({self._what}) failed ({describe(bug)}): {SEE}")

    async def _close(self, pieces: AsyncIterator[T]) -> None:
        # An async generator, as parts write them, closes what it has open.
        close = getattr(pieces, "aclose", None)
        if close is None:
            return
        try:
            async with asyncio.timeout(CLOSE_DEADLINE):
                await close()
        except TimeoutError:
            logger.warning("%s did not close within %g s", self._what, CLOSE_DEADLINE)

    def _leave_places(self, answered: int) -> None:
        """Give back the places at accounts of parts for which another one stands in: others may have them."""
        for index, vendor in enumerate(self._vendors):
            is_asked = index == answered or self._asking[index] or index in self._trials
            if vendor is not None and not is_asked:
                vendor.release()

    # --- parts that failed ---

    def _rest(self, index: int) -> None:
        self._health.rest(index, asyncio.get_running_loop().time())

    def _try_again(self, asked: int, request: Callable[[P], AsyncIterator[T]], speech: Speech | None) -> None:
        """Try what failed long enough ago with a request that is made anyway."""
        loop = asyncio.get_running_loop()
        for index in self._health.due(loop.time()):
            if index != asked and index not in self._trials:
                task = loop.create_task(self._trial(index, request, speech), name=f"{self._what} tried again")
                self._trials[index] = task
                task.add_done_callback(partial(self._tried, index))

    async def _trial(
        self, index: int, request: Callable[[P], AsyncIterator[T]], speech: Speech | None
    ) -> None:
        vendor = self._vendors[index]
        permit = None if vendor is None else await vendor.admit(0.0, paced=True)
        with telling(permit):
            pieces = request(self._parts[index])
            try:
                with suppress(StopAsyncIteration):
                    await self._next(pieces, self._patience, speech)
            finally:
                await self._close(pieces)
            if permit is not None:
                permit.succeeded()

    def _tried(self, index: int, task: asyncio.Task[None]) -> None:
        del self._trials[index]
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._health.recovered(index)
            self._warn(f"{self._what} answers again: the part that failed is used from now on")
        else:
            logger.info("%s failed again: %r", self._what, error)
            self._rest(index)

"""One account at a vendor, as all calls of a process share it."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from fishjam_agents.backends.vendors.breaker import CircuitBreaker
from fishjam_agents.backends.vendors.endpoint import VendorEndpoint
from fishjam_agents.backends.vendors.errors import LimitReachedError, VendorUnavailableError
from fishjam_agents.backends.vendors.fair_queue import FairQueue
from fishjam_agents.backends.vendors.limits import VendorLimits
from fishjam_agents.backends.vendors.pacing import Pacer
from fishjam_agents.errors import BackendError

logger = logging.getLogger(__name__)


PATIENCE = 30.0
"""Seconds a call waits for a vendor that fails for all calls, or whose limit of requests is reached."""
LONGEST_TURN = 6.0
"""Seconds that a turn of reconnects is waited for also by those who do not wait for a vendor."""


class Permit:
    """Leave to ask the vendor once. Whoever has it says what came of it; the first word counts.

    Args:
        account: Whose.
        epoch: State of the breaker in which it was given.

    Attributes:
        when_answered: Called once the vendor has answered.
    """

    def __init__(self, account: VendorAccount, epoch: int) -> None:
        self._account = account
        self._epoch = epoch
        self._told = False
        self.when_answered: Callable[[], None] | None = None

    def succeeded(self) -> None:
        """The vendor answered."""
        if not self._told and self.when_answered is not None:
            self.when_answered()
        self._tell(lambda breaker, now: breaker.succeeded(self._epoch, now))

    def failed(self, error: BackendError) -> None:
        """The vendor failed, or refused."""
        self._tell(lambda breaker, now: breaker.failed(self._epoch, error, now))

    def close(self) -> None:
        """Nobody wants the answer any more."""
        self._tell(lambda breaker, now: breaker.abandoned(self._epoch))

    def _tell(self, outcome: Callable[[CircuitBreaker, float], None]) -> None:
        if not self._told:
            self._told = True
            self._account.told(outcome)


class VendorAccount:
    """An account: who may ask it, and when. Owns no task, and a timer only while somebody waits.

    Args:
        endpoint: Which one.
        limits: Its limits; `limits` may be set anew.
        freed: Called when a session gives a place back and there was no other.

    Attributes:
        endpoint: Which one.
        breaker: Whether it fails.
        calls: Calls that hold a place.
        refused: Calls and requests that a limit kept away.
    """

    def __init__(
        self, endpoint: VendorEndpoint, limits: VendorLimits, freed: Callable[[], None] = lambda: None
    ) -> None:
        self.endpoint = endpoint
        self.breaker = CircuitBreaker()
        self.calls = 0
        self.refused = 0
        self._queue: FairQueue[asyncio.Future[Permit]] = FairQueue()
        self._deadlines: dict[asyncio.Future[Permit], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._freed = freed
        self._limits = limits
        self._pace = Pacer(1 / limits.reconnects_per_second)
        self._paced_rate = _rate_of(limits)

    # --- limits ---

    @property
    def limits(self) -> VendorLimits:
        """The limits as of now."""
        return self._limits

    @limits.setter
    def limits(self, limits: VendorLimits) -> None:
        if limits != self._limits:
            now = _now()
            self._limits = limits
            pace, rate = self._pace, self._paced_rate
            self._pace = Pacer(1 / limits.reconnects_per_second)
            self._pace.follow(pace, now)
            # Where it has no rate now, the last one is kept: it may have that again.
            self._paced_rate = _rate_of(limits) or rate
            if rate is not None and self._paced_rate is not None:
                self._paced_rate.follow(rate, now)
            self._pump()

    @property
    def _rate(self) -> Pacer | None:
        return None if self._limits.requests_per_minute is None else self._paced_rate

    @property
    def full(self) -> str | None:
        """The reason for which no further call can use it; None while one can."""
        if self._limits.calls is None or self.calls < self._limits.calls:
            return None
        return f"{self.calls} calls use {self.endpoint}, and its limits.calls is {self._limits.calls}"

    def take_place(self) -> None:
        """Take a place for a call; `leave_place` gives it back.

        Raises:
            LimitReachedError: There is none.
        """
        if (full := self.full) is not None:
            raise LimitReachedError(full, action="wait, or raise it", retryable=True, failure="quota")
        self.calls += 1

    def leave_place(self) -> None:
        """Give back a place that no session had; whoever took it knows that it is free."""
        self.calls -= 1

    def free_place(self) -> None:
        """Give back the place of a session, and tell those who wait for one."""
        was_full = self.full is not None
        self.calls -= 1
        if was_full:
            self._freed()

    # --- requests ---

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return len(self._queue)

    @property
    def is_idle(self) -> bool:
        """True while nobody uses it, and it has nothing to remember."""
        now = _now()
        rested = self._rate is None or self._rate.next(now) <= now
        return not self.calls and not self._queue and self.breaker.state == "closed" and rested

    def is_ready(self) -> bool:
        """Return whether a request would go through at once."""
        now = _now()
        return not self._queue and self._next(now, paced=False) <= now

    async def admit(
        self,
        owner: Hashable,
        *,
        patience: float,
        paced: bool = False,
        waits: Callable[[str], None] = lambda reason: None,
    ) -> Permit:
        """Wait for leave to ask the vendor.

        Args:
            owner: Who asks: owners have turns, and requests of one are in order.
            patience: Seconds to wait at most; 0 waits for no more than a turn of reconnects (`LONGEST_TURN`).
            paced: Whether it follows a loss, and waits for the turn of reconnects.
            waits: Called with the reason if it has to wait.

        Raises:
            VendorUnavailableError: The vendor fails, and did not come back in time, or cannot.
            LimitReachedError: `limits.requests_per_minute` did not let it through in time.
        """
        now = _now()
        if not self._queue and self._next(now, paced) <= now:
            return self._grant(now, paced=paced, waited=False)
        if self.breaker.state == "closed" and self._rate_allows(now):
            # A turn of reconnects comes for certain, and soon: that is no event.
            longest = max(patience, LONGEST_TURN)
        elif patience <= 0 or self._is_hopeless(now + patience, now):
            self.refused += self.breaker.state == "closed"
            raise self._kept_away()
        else:
            longest = patience
            waits(self._kept_away().reason)
        future: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._queue.put(owner, future)
        self._deadlines[future] = now + patience
        self._pump()
        admitted = False
        try:
            async with asyncio.timeout_at(now + longest):
                permit = await future
            admitted = True
            return permit
        except TimeoutError as error:
            self.refused += self.breaker.state == "closed"
            raise self._kept_away() from error
        finally:
            del self._deadlines[future]
            self._queue.remove(owner, future)
            if not admitted and future.done() and not future.cancelled() and future.exception() is None:
                # It was let through in the very moment in which it gave up.
                future.result().close()
            self._pump()

    def asked_again(self) -> None:
        """Count one more request for a permit that was given: it waits for nobody, others wait for it."""
        now = _now()
        self._pace.take(now)
        if self._rate is not None:
            self._rate.take(now)

    def lost(self, error: BackendError) -> None:
        """Take note of a connection that was made long ago, and is lost."""
        self.told(lambda breaker, now: breaker.failed(breaker.epoch, error, now))

    def told(self, outcome: Callable[[CircuitBreaker, float], None]) -> None:
        """Take the outcome of a request."""
        breaker = self.breaker
        before = breaker.state
        outcome(breaker, _now())
        if breaker.state == before:
            return
        match breaker.state:
            case "open":
                level = logging.WARNING if before == "closed" else logging.DEBUG
                logger.log(level, "%s is not asked for a while: %s", self.endpoint, breaker.reason)
                self._turn_away()
            case "closed":
                logger.warning("%s is back; %d requests wait", self.endpoint, len(self._queue))
            case "half_open":
                raise AssertionError("only a permit begins a trial")
        self._pump()

    # --- the queue ---

    def _next(self, now: float, paced: bool) -> float:
        times = [self.breaker.next(now)]
        if paced:
            times.append(self._pace.next(now))
        if self._rate is not None:
            times.append(self._rate.next(now))
        return max(times)

    def _grant(self, now: float, *, paced: bool, waited: bool) -> Permit:
        if paced:
            self._pace.take(now, waited=waited)
        if self._rate is not None:
            self._rate.take(now, waited=waited)
        return Permit(self, self.breaker.begin())

    def _pump(self) -> None:
        """Let through whoever may; come back when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            now = _now()
            due = self._next(now, paced=True)
            if due > now:
                if due < math.inf:
                    self._timer = asyncio.get_running_loop().call_at(due, self._pump)
                return
            future = self._queue.pop()
            if not future.done():
                future.set_result(self._grant(now, paced=True, waited=True))

    def _is_hopeless(self, deadline: float, now: float) -> bool:
        return self.breaker.key_refused or self.breaker.retry_at(now) > deadline

    def _turn_away(self) -> None:
        """Tell those who cannot be let through in time, so that they need not wait to find out."""
        now = _now()
        for future in self._queue:
            if not future.done() and self._is_hopeless(self._deadlines[future], now):
                future.set_exception(self._kept_away())

    def _kept_away(self) -> BackendError:
        """The error of a request that is not let through."""
        now = _now()
        breaker = self.breaker
        if breaker.state != "closed":
            wait = breaker.retry_at(now) - now
            later = f", and is asked again in {wait:.0f} s" if wait >= 1 else ""
            return VendorUnavailableError(
                f"{self.endpoint} fails{later} ({breaker.reason})",
                action="give it another key" if breaker.key_refused else "see its status page",
                retryable=not breaker.key_refused,
                failure="auth" if breaker.key_refused else "network",
            )
        if self._rate_allows(now):
            return VendorUnavailableError(
                f"{self.endpoint} has just come back, and {self.waiting} requests wait for their turn",
                action="see limits.reconnects_per_second",
                retryable=True,
            )
        return LimitReachedError(
            f"{self.waiting} requests wait for {self.endpoint}, and its limits.requests_per_minute is "
            f"{self._limits.requests_per_minute}",
            action="wait, or raise it",
            retryable=True,
            failure="quota",
        )

    def _rate_allows(self, now: float) -> bool:
        return self._rate is None or self._rate.next(now) <= now


def _now() -> float:
    # The loop is not kept: what belongs to it is to go with it.
    return asyncio.get_running_loop().time()


def _rate_of(limits: VendorLimits) -> Pacer | None:
    return None if limits.requests_per_minute is None else Pacer.per_minute(limits.requests_per_minute)


@contextmanager
def telling(permit: Permit | None) -> Iterator[None]:
    """Tell an account of a request that fails; one that is given up tells nothing."""
    if permit is None:
        yield
        return
    try:
        yield
    except BackendError as error:
        permit.failed(error)
        raise
    finally:
        permit.close()

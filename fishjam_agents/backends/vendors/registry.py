"""The accounts of one process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import ClassVar
from weakref import WeakKeyDictionary

from fishjam_agents.backends.vendors.account import VendorAccount
from fishjam_agents.backends.vendors.endpoint import VendorEndpoint
from fishjam_agents.backends.vendors.limits import VendorLimits

_REMEMBERED = 256
"""Accounts beyond which those that nobody uses are forgotten: each tenant's key is one."""
_NONE = VendorLimits()


class Vendors:
    """Accounts by their endpoints. Each event loop has its own, as a process has one loop."""

    _shared: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, Vendors]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._accounts: dict[VendorEndpoint, VendorAccount] = {}
        self._opened = self._refused = 0

    @classmethod
    def shared(cls) -> Vendors:
        """The accounts of the running loop."""
        loop = asyncio.get_running_loop()
        vendors = cls._shared.get(loop)
        if vendors is None:
            vendors = cls._shared[loop] = cls()
        return vendors

    def __iter__(self) -> Iterator[VendorAccount]:
        return iter(self._accounts.values())

    def account(self, endpoint: VendorEndpoint, limits: VendorLimits = _NONE) -> VendorAccount:
        """The account at an endpoint.

        Args:
            endpoint: Which one.
            limits: Its limits as whoever asks has them. The last ones count, and none changes nothing.
        """
        account = self._accounts.get(endpoint)
        if account is None:
            self._forget()
            account = self._accounts[endpoint] = VendorAccount(endpoint, limits)
        elif limits != _NONE:
            account.limits = limits
        return account

    @property
    def opened(self) -> int:
        """How often a circuit breaker opened."""
        return self._opened + sum(account.breaker.opened for account in self)

    @property
    def refused(self) -> int:
        """Calls and requests that a limit kept away."""
        return self._refused + sum(account.refused for account in self)

    @property
    def open(self) -> int:
        """Circuit breakers that are not closed."""
        return sum(account.breaker.state != "closed" for account in self)

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(account.waiting for account in self)

    def _forget(self) -> None:
        if len(self._accounts) < _REMEMBERED:
            return
        for endpoint, account in list(self._accounts.items()):
            if account.is_idle:
                self._opened += account.breaker.opened
                self._refused += account.refused
                del self._accounts[endpoint]

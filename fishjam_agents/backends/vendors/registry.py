"""The accounts of one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar
from weakref import WeakKeyDictionary

from fishjam_agents.backends.vendors.account import VendorAccount
from fishjam_agents.backends.vendors.endpoint import VendorEndpoint
from fishjam_agents.backends.vendors.limits import VendorLimits

_REMEMBERED = 256
"""Accounts beyond which those that nobody uses are forgotten: each tenant's key is one."""
_NONE = VendorLimits()


@dataclass(slots=True)
class VendorCounts:
    """Counts of all accounts of one vendor.

    Attributes:
        open: Circuit breakers that are not closed.
        opened: How often one opened.
        waiting: Requests that wait.
        refused: Calls and requests that a limit kept away.
    """

    open: int = 0
    opened: int = 0
    waiting: int = 0
    refused: int = 0

    def add(self, account: VendorAccount) -> None:
        """Count an account."""
        self.open += account.breaker.state != "closed"
        self.opened += account.breaker.opened
        self.waiting += account.waiting
        self.refused += account.refused


class Vendors:
    """Accounts by their endpoints. Each event loop has its own, as a process has one loop.

    Attributes:
        freed: Called when a session gives a place back at an account that was full.
    """

    _shared: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, Vendors]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._accounts: dict[VendorEndpoint, VendorAccount] = {}
        self._past: dict[str, VendorCounts] = {}
        self.freed: list[Callable[[], None]] = []

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
            account = self._accounts[endpoint] = VendorAccount(endpoint, limits, self._tell_freed)
        elif limits != _NONE:
            account.limits = limits
        return account

    def counts(self) -> Mapping[str, VendorCounts]:
        """Counts by vendor, those of accounts that are forgotten included."""
        found = {vendor: replace(past) for vendor, past in self._past.items()}
        for account in self:
            found.setdefault(account.endpoint.vendor, VendorCounts()).add(account)
        return found

    def _tell_freed(self) -> None:
        for freed in self.freed:
            freed()

    def _forget(self) -> None:
        if len(self._accounts) < _REMEMBERED:
            return
        for endpoint, account in list(self._accounts.items()):
            if account.is_idle:
                self._past.setdefault(endpoint.vendor, VendorCounts()).add(account)
                del self._accounts[endpoint]

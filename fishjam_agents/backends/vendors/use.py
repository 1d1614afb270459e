"""Use that one call makes of vendors: its places, and what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias

from fishjam_agents.backends.vendors.account import Permit, VendorAccount
from fishjam_agents.backends.vendors.endpoint import VendorEndpoint
from fishjam_agents.events import VendorAvailable, VendorUnavailable

Emit: TypeAlias = Callable[[VendorUnavailable | VendorAvailable], None]


_LEFT = object()
"""Part of a session that was left for another one, which may fail to open."""


class CallVendors:
    """Places that were taken for a call before it begins, and what its sessions wait for.

    Args:
        had: Accounts at which the call has a place already.
    """

    def __init__(self, had: Iterable[VendorAccount] = ()) -> None:
        self._had = frozenset(had)
        self._reserved: list[VendorAccount] = []
        self._waits: dict[object, str] = {}

    @property
    def waiting(self) -> str | None:
        """The thing it waits for, in words; None while it does not."""
        return next(iter(self._waits.values()), None)

    def reserve(self, account: VendorAccount) -> None:
        """Take a place for a session to come; its parts that use one account share one.

        Raises:
            LimitReachedError: There is none.
        """
        if account in self._had or account in self._reserved:
            return
        account.take_place()
        self._reserved.append(account)

    def claim(self, account: VendorAccount) -> bool:
        """Hand a place that was reserved to a session; false if none was."""
        if account not in self._reserved:
            return False
        self._reserved.remove(account)
        return True

    def beside(self, held: Iterable[VendorAccount]) -> CallVendors:
        """Return places yet to be taken, beside those that sessions hold and those that are reserved."""
        return CallVendors((*held, *self._reserved))

    def begin_wait(self, reason: str) -> object:
        """Take note that a session waits; `end_wait` takes what this returns."""
        wait = object()
        self._waits[wait] = reason
        return wait

    def end_wait(self, wait: object) -> None:
        """Take note that it waits no more."""
        del self._waits[wait]

    def close(self) -> None:
        """Give back what no session has taken."""
        while self._reserved:
            self._reserved.pop().leave_place()


class VendorUse:
    """Places of one session of a call, kept while it is connected anew.

    Args:
        call: What its call has reserved; None where nothing was.
    """

    def __init__(self, call: CallVendors | None = None) -> None:
        self._call = CallVendors() if call is None else call
        self._held: dict[VendorAccount, set[object]] = {}
        self._away: dict[VendorAccount, float] = {}

    def hold(self, account: VendorAccount, part: object = None) -> None:
        """Take a place at an account, unless the session has one there.

        Args:
            account: Which one.
            part: Part of the session that uses it; None is the session itself. Parts share a place.

        Raises:
            LimitReachedError: There is none.
        """
        if account not in self._held:
            if not self._call.claim(account):
                account.refused += account.full is not None
                account.take_place()
            self._held[account] = set()
        self._held[account].add(part)

    def release(self, account: VendorAccount, part: object = None) -> None:
        """Give the place at an account back, if the session has one there and no other part uses it."""
        parts = self._held.get(account)
        if parts is None:
            return
        parts.discard(part)
        if not parts:
            del self._held[account]
            account.free_place()

    def asked_again(self, endpoint: VendorEndpoint) -> None:
        """Count one more request for a permit, made at once where the first was refused."""
        for account in self._held:
            if account.endpoint == endpoint:
                account.asked_again()

    def keep_only(self, account: VendorAccount) -> None:
        """Give back all places but the one at an account."""
        for other in [held for held in self._held if held is not account]:
            del self._held[other]
            other.free_place()

    def beside(self) -> CallVendors:
        """Return places yet to be taken for another session of the call, beside those that it has."""
        return self._call.beside(self._held)

    def leave(self) -> None:
        """Keep the places of a session that is left for another one until `settle`: it may have to go on."""
        for parts in self._held.values():
            parts.clear()
            parts.add(_LEFT)

    def settle(self) -> None:
        """Give back the places that only sessions before the one that is open have used, or would have."""
        for account in tuple(self._held):
            self.release(account, _LEFT)
        self._call.close()

    def close(self) -> None:
        """Give back all places."""
        while self._held:
            account, _ = self._held.popitem()
            account.free_place()

    async def admit(
        self, account: VendorAccount, emit: Emit, *, patience: float, paced: bool = False
    ) -> Permit:
        """Wait for leave to ask; as `VendorAccount.admit`.

        The first wait is told of, and that it is over when the vendor has answered, however often it is asked
        in between.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        wait: object | None = None
        vendor = account.endpoint.vendor

        def waits(reason: str) -> None:
            nonlocal wait
            wait = self._call.begin_wait(reason)
            if account not in self._away:
                self._away[account] = begun
                emit(VendorUnavailable(vendor, reason))

        def answered() -> None:
            since = self._away.pop(account, None)
            if since is not None:
                emit(VendorAvailable(vendor, round(loop.time() - since, 3)))

        try:
            permit = await account.admit(self, patience=patience, paced=paced, waits=waits)
        finally:
            if wait is not None:
                self._call.end_wait(wait)
        if account in self._away:
            permit.when_answered = answered
        return permit

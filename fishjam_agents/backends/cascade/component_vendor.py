"""The account that a part of a cascade uses, as one call asks it."""

from __future__ import annotations

from collections.abc import Callable

from fishjam_agents.backends.cascade.components import Component
from fishjam_agents.backends.port import BackendEvent
from fishjam_agents.backends.vendors import Permit, VendorAccount, Vendors, VendorUse


class ComponentVendor:
    """Way of one call to the account of one of its parts.

    Args:
        part: The part's settings.
        use: Use that the call makes of vendors.
        emit: Takes events of waits.
    """

    def __init__(self, part: Component, use: VendorUse, emit: Callable[[BackendEvent], None]) -> None:
        self._part = part
        self._use = use
        self._emit = emit
        self._account: VendorAccount | None = None

    def hold(self) -> VendorAccount | None:
        """Take the call's place at the account; None where the part uses none.

        Raises:
            LimitReachedError: There is none.
        """
        endpoint = self._part.endpoint
        account = None if endpoint is None else Vendors.shared().account(endpoint, self._part.limits)
        if account is not self._account:
            # Its key has changed.
            before, self._account = self._account, None
            if before is not None:
                self._use.release(before, self)
        if account is not None:
            self._use.hold(account, self)
        self._account = account
        return account

    def release(self) -> None:
        """Give the place back; the next request takes one again."""
        account, self._account = self._account, None
        if account is not None:
            self._use.release(account, self)

    @property
    def is_shared(self) -> bool:
        """True if the part uses an account at all."""
        return self._account is not None

    @property
    def fails(self) -> bool:
        """True while the vendor fails for all calls."""
        return self._account is not None and self._account.breaker.state != "closed"

    async def admit(self, patience: float, *, paced: bool = False) -> Permit | None:
        """Wait for leave to ask; None where the part uses no account. Raises as `VendorUse.admit`."""
        account = self.hold()
        if account is None:
            return None
        return await self._use.admit(account, self._emit, patience=patience, paced=paced)

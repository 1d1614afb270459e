"""Sessions of backends, entered and left under deadlines."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fishjam_agents.backends.port import Backend, BackendContext, BackendSession, InlineSession
from fishjam_agents.backends.vendors import PATIENCE, VendorAccount, Vendors, telling
from fishjam_agents.errors import BackendError

logger = logging.getLogger(__name__)

CONNECT_DEADLINE = 15.0
CLOSE_DEADLINE = 5.0


class Connecting:
    """A backend's session, entered and left under deadlines; its vendor is asked as all calls together may.

    Args:
        backend: What to connect to.
        context: What it is told.
        deadline: Seconds until the session must be open, once the vendor may be asked.
        close_deadline: Seconds after which it is left as it is.
        patience: Seconds to wait until the vendor may be asked.
        paced: Whether to wait for a turn of reconnects; by default where it is one.
    """

    def __init__(
        self,
        backend: Backend,
        context: BackendContext,
        deadline: float,
        close_deadline: float = CLOSE_DEADLINE,
        patience: float = PATIENCE,
        paced: bool | None = None,
    ) -> None:
        self._backend = backend
        self._context = context
        self._deadline = deadline
        self._close_deadline = close_deadline
        self._patience = patience
        self._paced = context.attempt > 0 if paced is None else paced
        self._account: VendorAccount | None = None
        self._manager = backend.connect(context)

    async def __aenter__(self) -> BackendSession | InlineSession:
        endpoint = self._backend.endpoint
        if endpoint is None:
            return await self._connect()
        vendors = self._context.vendors
        account = self._account = Vendors.shared().account(endpoint, self._backend.limits)
        vendors.hold(account)
        permit = await vendors.admit(account, self._context.emit, patience=self._patience, paced=self._paced)
        with telling(permit):
            session = await self._connect()
            permit.succeeded()
        # A key that has changed is another account.
        vendors.keep_only(account)
        return session

    async def _connect(self) -> BackendSession | InlineSession:
        try:
            async with asyncio.timeout(self._deadline):
                return await self._manager.__aenter__()
        except TimeoutError as error:
            raise BackendError(
                f"the backend did not answer within {self._deadline:g} s", retryable=True
            ) from error

    async def __aexit__(self, *exc: Any) -> None:
        if self._account is not None and isinstance(exc[1], BackendError):
            self._account.lost(exc[1])
        try:
            async with asyncio.timeout(self._close_deadline):
                await self._manager.__aexit__(*exc)
        except TimeoutError:
            logger.warning(
                "The backend's session did not close within %g s and is left", self._close_deadline
            )

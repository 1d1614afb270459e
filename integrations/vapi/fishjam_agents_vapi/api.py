"""Vapi's REST interface, as much of it as a call needs: docs.vapi.ai/api-reference/calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from fishjam_agents.errors import BackendError
from fishjam_agents.loopback import is_loopback_url

from .control import end_call
from .failures import redact, refused

logger = logging.getLogger(__name__)

REQUEST_DEADLINE = 10.0
"""Seconds one request may take."""
GOODBYE_DEADLINE = 2.0
"""Seconds for the request that ends a call, or asks how it did: the program may be on its way out."""
_LOOKS = 4
"""Looks at whether a call has ended whose socket was closed."""
_PAUSE = 0.25
"""Seconds between them."""


@dataclass(frozen=True, slots=True)
class CallInfo:
    """A call at Vapi.

    Attributes:
        id: Its id.
        status: `queued`, `in-progress`, `ended` and others.
        ended_reason: Why it ended, once it has.
        media_url: Its media socket; who knows the address may need no key.
        control_url: Where messages to it are posted.
    """

    id: str
    status: str
    ended_reason: str | None = None
    media_url: str | None = field(default=None, repr=False)
    control_url: str | None = field(default=None, repr=False)


class VapiApi:
    """A client of Vapi's REST interface; use it as an async context manager.

    Args:
        url: Base URL, `https://api.vapi.ai`.
        key: A private key.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._http = httpx.AsyncClient(
            timeout=REQUEST_DEADLINE,
            # A proxy of the environment has no business on this machine.
            trust_env=not is_loopback_url(url),
            # Certificates take long to load, and plain HTTP has none.
            verify=url.startswith("https"),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def create(self, body: Mapping[str, Any]) -> CallInfo:
        """Create a call.

        Raises:
            BackendError: Vapi refuses it or cannot be reached.
        """
        return _call(await self._request("POST", f"{self._url}/call", "the call", body))

    async def get(self, call_id: str) -> CallInfo:
        """A call as it is now.

        Raises:
            BackendError: As `create`.
        """
        url = f"{self._url}/call/{quote(call_id, safe='')}"
        return _call(await self._request("GET", url, f"to tell of the call {call_id}"))

    async def control(self, call: CallInfo, message: Mapping[str, Any]) -> None:
        """Post a message to a call (`control`).

        Raises:
            BackendError: As `create`; or the call has no address for messages.
        """
        if call.control_url is None:
            raise BackendError(
                f"gave no controlUrl for the call {call.id}", subject="Vapi", action="see its monitorPlan"
            )
        await self._request("POST", call.control_url, f"the message {message.get('type')!r}", message)

    async def hang_up(self, call: CallInfo) -> None:
        """End a call that can be told so in no other way. What goes wrong is only logged."""
        try:
            async with asyncio.timeout(GOODBYE_DEADLINE):
                await self.control(call, end_call())
        except TimeoutError:
            logger.warning("the call %s may go on at Vapi: it did not answer the request to end it", call.id)
        except BackendError as error:
            # Fishjam, or the caller, may have been quicker.
            if await self.ended(call, patient=False) is None:
                logger.warning("the call %s may go on at Vapi: %s", call.id, error)

    async def ended(self, call: CallInfo, *, patient: bool) -> CallInfo | None:
        """A call that has ended, as it is now; None where it has not, or that cannot be known.

        Args:
            call: The call.
            patient: Whether to look more than once: its status may follow the end of its socket.
        """
        try:
            async with asyncio.timeout(GOODBYE_DEADLINE):
                for look in range(_LOOKS if patient else 1):
                    if look:
                        await asyncio.sleep(_PAUSE)
                    found = await self.get(call.id)
                    if found.status == "ended":
                        return found
        except (BackendError, TimeoutError) as error:
            logger.debug("it is not known how the call %s is: %s", call.id, error)
        return None

    async def _request(
        self, method: str, url: str, what: str, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._key}"}
        try:
            # `timeout` of httpx counts each step; a server that drips must not outlast the deadline.
            async with asyncio.timeout(REQUEST_DEADLINE):
                response = await self._http.request(method, url, json=body, headers=headers)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise BackendError(
                f"did not answer within {REQUEST_DEADLINE:g} s",
                subject="Vapi",
                action="try again later",
                retryable=True,
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            said = redact(str(error) or type(error).__name__, self._key)
            raise BackendError(
                f"cannot reach Vapi at {self._url} ({said}): check url and network", retryable=True
            ) from error
        if response.is_success:
            return response
        try:
            said = response.json()
        except ValueError:
            said = response.text
        raise refused(what, response.status_code, said, self._key)


def _call(response: httpx.Response) -> CallInfo:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("id"), str):
        raise BackendError(
            "answered with something that is no call", subject="Vapi", action="check url", failure="protocol"
        )
    transport, monitor = body.get("transport"), body.get("monitor")
    return CallInfo(
        id=body["id"],
        status=_text(body, "status") or "unknown",
        ended_reason=_text(body, "endedReason"),
        media_url=_text(transport, "websocketCallUrl"),
        control_url=_text(monitor, "controlUrl"),
    )


def _text(mapping: Any, key: str) -> str | None:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    return value if isinstance(value, str) else None

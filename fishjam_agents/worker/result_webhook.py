"""The result of a call, posted to where its maker wants it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging

import httpx

from fishjam_agents.backoff import Backoff
from fishjam_agents.loopback import is_loopback_url
from fishjam_agents.secrecy import shown_url
from fishjam_agents.worker.call_record import CallRecord

logger = logging.getLogger(__name__)

ATTEMPTS = 5
"""Posts of a result until it is given up."""
DEADLINE = 10.0
"""Seconds for one post."""
SIGNATURE = "x-fishjam-agents-signature-256"
"""Header with `sha256=` and the hex HMAC-SHA256 of the body by `api.token`, as Fishjam signs its own."""

_BACKOFF = Backoff(first=0.5, longest=10.0)


async def post_result(url: str, record: CallRecord, secret: str | None) -> bool:
    """Post a record, and again while the receiver is away or says 5xx; whether it was taken.

    Args:
        url: Where to.
        record: The call.
        secret: Key of the signature; None leaves it out.
    """
    body = json.dumps(record.to_json()).encode()
    headers = {"content-type": "application/json"}
    if secret:
        headers[SIGNATURE] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    where = {"room": record.room}
    async with httpx.AsyncClient(timeout=DEADLINE, trust_env=not is_loopback_url(url)) as client:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with asyncio.timeout(DEADLINE):
                    response = await client.post(url, content=body, headers=headers)
            except (httpx.HTTPError, TimeoutError, UnicodeError) as error:
                problem = str(error) or type(error).__name__
            else:
                if response.is_success:
                    return True
                problem = f"it answered {response.status_code}"
                if response.status_code < 500:
                    break
            if attempt < ATTEMPTS:
                await asyncio.sleep(_BACKOFF.delay(attempt))
    logger.warning("the result of a call was not taken by %s: %s", shown_url(url), problem, extra=where)
    return False

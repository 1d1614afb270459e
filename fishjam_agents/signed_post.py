"""Posts of JSON to a receiver of the user's: signed, and again while the receiver is away."""

from __future__ import annotations

import asyncio
import hashlib
import hmac

import httpx

from fishjam_agents.backoff import Backoff

ATTEMPTS = 5
"""Posts of one body until it is given up."""
DEADLINE = 10.0
"""Seconds for one post."""
SIGNATURE = "x-fishjam-agents-signature-256"
"""Header with `sha256=` and the hex HMAC-SHA256 of the body by the secret, as Fishjam signs its own."""

_BACKOFF = Backoff(first=0.5, longest=10.0)


def signed_headers(body: bytes, secret: str | None) -> dict[str, str]:
    """Headers of a JSON body; without a secret it is not signed."""
    headers = {"content-type": "application/json"}
    if secret:
        headers[SIGNATURE] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return headers


async def post_signed(client: httpx.AsyncClient, url: str, body: bytes, secret: str | None) -> str | None:
    """Post a body, and again while the receiver is away or says 5xx or 429.

    Args:
        client: Posts it.
        url: Where to.
        body: JSON.
        secret: Key of the signature; None leaves it out.

    Returns:
        Why it was not taken; None when it was.
    """
    headers, problem = signed_headers(body, secret), ""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with asyncio.timeout(DEADLINE):
                response = await client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnicodeError) as error:
            problem = str(error) or type(error).__name__
        else:
            if response.is_success:
                return None
            problem = f"it answered {response.status_code}"
            if response.status_code < 500 and response.status_code != 429:
                break
        if attempt < ATTEMPTS:
            await asyncio.sleep(_BACKOFF.delay(attempt))
    return problem

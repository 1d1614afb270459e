"""The result of a call, posted to where its maker wants it."""

from __future__ import annotations

import json
import logging

import httpx

from fishjam_agents.loopback import is_loopback_url
from fishjam_agents.secrecy import shown_url
from fishjam_agents.signed_post import post_signed
from fishjam_agents.worker.call_record import CallRecord

logger = logging.getLogger(__name__)


async def post_result(url: str, record: CallRecord, secret: str | None) -> bool:
    """Post a record, and again while the receiver is away or says 5xx; whether it was taken.

    Args:
        url: Where to.
        record: The call.
        secret: Key of the signature; None leaves it out.
    """
    body = json.dumps(record.to_json()).encode()
    async with httpx.AsyncClient(trust_env=not is_loopback_url(url)) as client:
        problem = await post_signed(client, url, body, secret)
    if problem is None:
        return True
    where = {"room": record.room}
    logger.warning("the result of a call was not taken by %s: %s", shown_url(url), problem, extra=where)
    return False

"""Peers the server refuses: the web clients take its reasons as final and do not try again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.browser.client_page import ClientPage, PageError
from tests.browser.conftest import Browse
from tests.browser.room import BrowserRoom, browser_room

if TYPE_CHECKING:
    from playwright.async_api import Browser

CLIENTS = ("ts", "react")
_A_DAY = 24 * 3600.0
_RETRY = 0.7
"""Seconds after which a client that tries again would have done so: its first pause is 0.5 s."""


@pytest.mark.parametrize("client", CLIENTS)
def test_a_token_that_is_no_good_ends_in_an_auth_error(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        late = 0.0
        async with browser_room(pages, now=lambda: time.time() + late) as room:
            removed_id, removed = await room.token()
            await room.client.delete_peer(room.id, removed_id)
            _, expired = await room.token()
            await refused(browser, room, "", "missing token")
            await refused(browser, room, "nonsense", "invalid token")
            await refused(browser, room, removed, "peer not found")
            late = _A_DAY + 1
            await refused(browser, room, expired, "expired token")

    async def refused(browser: Browser, room: BrowserRoom, token: str, reason: str) -> None:
        page = await ClientPage.open(browser, pages, client, room.server.url)
        with pytest.raises(PageError):
            await page.join(token)
        assert (await page.until_event("authError"))["value"] == reason
        await asyncio.sleep(_RETRY)
        assert (await page.events()).count("socketOpen") == 1
        assert await page.errors() == []

    browse(scenario)

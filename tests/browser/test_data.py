"""Data channels between pages: messages reach every other page on the channel they were sent on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Browse
from tests.browser.room import browser_room
from tests.browser.test_presence import CLIENTS, joined

if TYPE_CHECKING:
    from playwright.async_api import Browser


@pytest.mark.parametrize("client", CLIENTS)
def test_data_reaches_every_other_page_on_its_channel(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            _, alice = await joined(browser, pages, client, room)
            _, bob = await joined(browser, pages, "ts", room)
            await alice.call("openData")
            await bob.call("openData")
            await alice.call("sendData", "hello", True)
            await alice.call("sendData", "level 5", False)
            await bob.call("sendData", "hi", True)
            await bob.call("sendData", "level 7", False)
            await bob.until("() => app.log.data.length === 2")
            await alice.until("() => app.log.data.length === 2")

            by_channel = {True: "reliable", False: "lossy"}
            for page, texts in (
                (bob, {True: "hello", False: "level 5"}),
                (alice, {True: "hi", False: "level 7"}),
            ):
                data = await page.page.evaluate("app.log.data")
                wanted = [{"channel": by_channel[reliable], "text": text} for reliable, text in texts.items()]
                assert sorted(data, key=str) == sorted(wanted, key=str)
            assert await alice.errors() + await bob.errors() == []

    browse(scenario)


@pytest.mark.parametrize("client", CLIENTS)
def test_data_and_a_microphone_share_a_connection(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            _, alice = await joined(browser, pages, client, room)
            _, bob = await joined(browser, pages, "ts", room)
            await alice.call("publish")
            await bob.until_event("trackReady")
            await bob.call("openData")
            await alice.call("openData")
            await bob.call("publish")
            await alice.until_event("trackReady")
            await bob.call("sendData", "x" * 10_000, True)
            await alice.until("() => app.log.data.length === 1")
            data = await alice.page.evaluate("app.log.data")
            assert data == [{"channel": "reliable", "text": "x" * 10_000}]
            assert await alice.errors() + await bob.errors() == []

    browse(scenario)

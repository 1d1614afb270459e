"""A demo without a backend: the official react-client with the tokens of the sandbox."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.browser.client_page import ClientPage, PageError
from tests.browser.conftest import Browse
from tests.browser.room import browser_room
from tests.browser.sounds import RATE, same_words, words

if TYPE_CHECKING:
    from playwright.async_api import Browser

_ALIKE = 0.6
"""Words that passed Opus have 0.8 and more (`same_words`), others 0.2 and less."""


def test_a_demo_joins_a_room_by_its_name(browse: Browse, pages: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            page = await ClientPage.open(browser, pages, "sandbox", room.server.url)
            await page.call("join", await page.call("peerToken", "lobby", "Ann", "conference"))
            await page.until("() => app.state.peer === 'connected'")
            [lobby] = [found for found in room.server.rooms if found.id != room.id]
            [peer] = lobby.peers.values()
            assert (peer.connected, peer.metadata) == (True, {"peer": {}, "server": {"name": "Ann"}})
            with pytest.raises(PageError, match="A livestream room of name 'none' does not exist"):
                await page.call("viewerToken", "none")
            with pytest.raises(PageError, match="Failed to retrieve peer token"):
                await page.call("peerToken", "x" * 101, "Ann")
            assert await page.errors() == []

    browse(scenario)


def test_a_demo_streams_and_watches_by_name(browse: Browse, pages: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            streamer = await ClientPage.open(browser, pages, "sandbox", room.server.url)
            made = await streamer.call("livestream", "show", True)
            assert made["room"]["name"] == "show"
            await streamer.call("stream", made["streamerToken"])
            await streamer.until("() => app.state.streams")
            for how in ("token", "streamId"):
                viewer = await ClientPage.open(browser, pages, "sandbox", room.server.url)
                given = await viewer.call("viewerToken", "show") if how == "token" else made["room"]["id"]
                await viewer.call("watch", {how: given})
                await viewer.until("() => app.state.watches")
                await viewer.call("hear")
                said = words("alice_question.wav")
                await streamer.say(said)
                await asyncio.sleep(len(said) / RATE + 1.0)
                assert same_words(said, (await viewer.recording()).tracks["stream"])[0] > _ALIKE
                assert await viewer.errors() == []

    browse(scenario)

"""Connections that are lost: the official web clients come back by themselves, unless they were removed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.backends import Parrot
from fishjam_agents.testing import FaultProxy, Reset
from tests.browser.client_page import ClientPage
from tests.browser.conftest import Browse
from tests.browser.room import answered, browser_room
from tests.browser.sounds import words

if TYPE_CHECKING:
    from playwright.async_api import Browser

CLIENTS = ("ts", "react")


class Bot(AgentPipeline):
    backend = Parrot(delay=0.2)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_page_is_back_after_a_restart_of_the_server(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            _, token = await room.token()
            page = await ClientPage.open(browser, pages, client, room.server.url)
            await page.join(token, displayName="Alice")
            await page.call("publish")
            await page.until_event("localTrackAdded")

            await room.server.stop()
            await page.until_event("reconnectionStarted")
            await asyncio.sleep(1.0)
            await room.server.start()
            await page.until_event("joined", 2)
            await page.until_event("localTrackAdded", 2)
            async with room.bot(Bot()) as bot:
                await page.until_event("trackReady")
                await answered(page, bot, words("alice_question.wav"))

    browse(scenario)


@pytest.mark.parametrize(("client", "half"), [("ts", False), ("ts", True), ("react", True)])
def test_a_page_whose_socket_is_cut_comes_back_into_its_call(
    browse: Browse, pages: str, client: str, half: bool
) -> None:
    """With `half` the server does not notice: the new socket takes the call over."""

    async def scenario(browser: Browser) -> None:
        async with (
            browser_room(pages) as room,
            room.bot(Bot()) as bot,
            FaultProxy(room.server.url) as between,
        ):
            _, token = await room.token()
            page = await ClientPage.open(browser, pages, client, between.url)
            await page.join(token)
            await page.call("publish")
            await page.until_event("localTrackAdded")
            await page.until_event("trackReady")

            between.inject(Reset("client" if half else "both"))
            await page.until_event("joined", 2)
            await page.until_event("localTrackAdded", 2)
            await page.until_event("trackReady", 2)
            await answered(page, bot, words("alice_question.wav"))

    browse(scenario)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_removed_peer_is_not_admitted_again(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            peer_id, token = await room.token()
            page = await ClientPage.open(browser, pages, client, room.server.url)
            await page.join(token)
            await page.call("publish")
            await page.until_event("localTrackAdded")

            await room.client.delete_peer(room.id, peer_id)
            refused = await page.until_event("authError")
            assert refused["value"] == "peer not found"
            await asyncio.sleep(1.2)
            assert (await page.events()).count("socketOpen") == 2
            assert (await page.events()).count("joined") == 1
            assert await room.peer(peer_id) is None

    browse(scenario)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_newer_of_two_pages_with_one_token_has_the_call(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room, room.bot(Bot()) as bot:
            _, token = await room.token()
            first = await ClientPage.open(browser, pages, client, room.server.url)
            await first.join(token)
            await first.call("publish")
            await first.until_event("localTrackAdded")
            # It would take the call back when it is told that it lost it.
            await first.page.route_web_socket("**/socket/peer/websocket", lambda route: route.close())

            second = await ClientPage.open(browser, pages, client, room.server.url)
            await second.join(token)
            await second.call("publish")
            await second.until_event("trackReady")
            await first.until_event("socketClose")
            await answered(second, bot, words("alice_question.wav"))

    browse(scenario)

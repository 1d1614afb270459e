"""Who is in the room, what is known of them, and how they leave: as the official web clients show it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.browser.client_page import ClientPage
from tests.browser.conftest import Browse
from tests.browser.room import BrowserRoom, browser_room
from tests.browser.sounds import words

if TYPE_CHECKING:
    from playwright.async_api import Browser

CLIENTS = ("ts", "react")


async def joined(
    browser: Browser, pages: str, client: str, room: BrowserRoom, **metadata: object
) -> tuple[str, ClientPage]:
    """A new peer and its page."""
    peer_id, token = await room.token()
    page = await ClientPage.open(browser, pages, client, room.server.url)
    await page.join(token, **metadata)
    return peer_id, page


@pytest.mark.parametrize("client", CLIENTS)
def test_metadata_of_a_peer_and_its_changes_reach_the_others(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            alice_id, alice = await joined(browser, pages, client, room, displayName="Alice")
            bob_id, bob = await joined(browser, pages, "ts", room, displayName="Bob")
            await alice.until_event("peerJoined")
            assert (await bob.peers())[alice_id]["metadata"]["peer"] == {"displayName": "Alice"}
            assert (await alice.peers())[bob_id]["metadata"]["peer"] == {"displayName": "Bob"}

            await alice.call("updateMetadata", {"displayName": "Alice", "hand": "raised"})
            await bob.until_event("peerUpdated")
            assert (await bob.peers())[alice_id]["metadata"]["peer"]["hand"] == "raised"
            shown = await room.peer(alice_id)
            assert shown.metadata["peer"]["hand"] == "raised"
            assert await alice.errors() + await bob.errors() == []

    browse(scenario)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_muted_track_is_shown_as_paused(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            alice_id, alice = await joined(browser, pages, client, room)
            _, bob = await joined(browser, pages, "react", room)
            await alice.call("publish")
            await bob.until_event("trackReady")
            await alice.call("mute")
            await bob.until_event("trackUpdated")
            (track,) = (await bob.peers())[alice_id]["tracks"]
            assert track["metadata"] == {"type": "microphone", "paused": True}
            await alice.call("unmute")
            await bob.until_event("trackUpdated", 2)
            (track,) = (await bob.peers())[alice_id]["tracks"]
            assert track["metadata"] == {"type": "microphone", "paused": False}
            assert await alice.errors() + await bob.errors() == []

    browse(scenario)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_peer_is_shown_as_speaking_while_it_speaks(browse: Browse, pages: str, client: str) -> None:
    """The react-client's `useVAD`, and the `vadStatus` of the ts-client's tracks."""

    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            alice_id, alice = await joined(browser, pages, "ts", room)
            _, bob = await joined(browser, pages, client, room)
            await alice.call("publish")
            await bob.until_event("trackReady")
            assert not (await bob.peers())[alice_id]["speaking"]
            await alice.say(words("alice_long.wav"))
            speaking = "(id) => app.peers().find((peer) => peer.id === id).speaking"
            await bob.until(speaking, alice_id)
            if client == "react":
                assert await bob.page.locator("li.speaking").all_inner_texts() == [alice_id]
            await bob.until(f"(id) => !({speaking})(id)", alice_id)
            assert await alice.errors() + await bob.errors() == []

    browse(scenario)


@pytest.mark.parametrize("client", CLIENTS)
def test_who_leaves_is_gone_for_the_others_and_stays_away(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            alice_id, alice = await joined(browser, pages, client, room)
            _, bob = await joined(browser, pages, "ts", room)
            await alice.call("publish")
            await bob.until_event("trackReady")
            await alice.call("leave")
            await bob.until_event("peerLeft")
            assert alice_id not in await bob.peers()
            await room.until_peer(alice_id, lambda peer: peer is None or peer.status.value == "disconnected")
            await asyncio.sleep(0.7)
            assert (await alice.events()).count("socketOpen") == 1
            assert await alice.errors() + await bob.errors() == []

    browse(scenario)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_closed_page_is_gone_for_the_others(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            alice_id, alice = await joined(browser, pages, client, room)
            _, bob = await joined(browser, pages, "ts", room)
            await alice.call("publish")
            await bob.until_event("trackReady")
            await alice.page.close()
            await bob.until_event("peerLeft")
            assert alice_id not in await bob.peers()
            assert await bob.errors() == []

    browse(scenario)

"""An audio livestream through the official web client, which speaks WHIP and WHEP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fishjam_agents.fishjam import RoomOptions
from tests.browser.client_page import ClientPage, PageError
from tests.browser.conftest import Browse
from tests.browser.room import browser_room
from tests.browser.sounds import HEARD, NOT_HEARD, RATE, same_words, words

if TYPE_CHECKING:
    from playwright.async_api import Browser


def test_viewers_hear_what_the_streamer_says(browse: Browse, pages: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            client, url = room.client, room.server.url
            room_id = (
                await client.create_room(RoomOptions(room_type="audio_only_livestream", public=True))
            ).id
            streamer = await ClientPage.open(browser, pages, "live", url)
            viewer = await ClientPage.open(browser, pages, "live", url)
            guest = await ClientPage.open(browser, pages, "live", url)
            whip, whep = client.livestream_whip_url(), client.livestream_whep_url()
            # One came before there was anything to hear.
            await viewer.call("watch", whep, await client.create_livestream_viewer_token(room_id))
            token = await client.create_livestream_streamer_token(room_id)
            await streamer.call("publish", whip, token)
            await guest.call("watch", f"{whep}/{room_id}")
            for page in (streamer, viewer, guest):
                await page.until("() => app.states.at(-1) === 'connected'")
            said = words("alice_question.wav")
            await streamer.say(said)
            await asyncio.sleep(len(said) / RATE + 1.0)
            for page in (viewer, guest):
                heard = (await page.recording()).tracks["stream"]
                assert same_words(said, heard)[0] > HEARD
                assert same_words(words("bob_question.wav"), heard)[0] < NOT_HEARD

            other = await ClientPage.open(browser, pages, "live", url)
            with pytest.raises(PageError, match="streamer_already_connected"):
                await other.call("publish", whip, token)
            await streamer.call("stop")
            await other.call("publish", whip, token)
            await other.until("() => app.states.at(-1) === 'connected'")
            for page in (streamer, viewer, guest, other):
                assert await page.errors() == []

    browse(scenario)


def test_what_is_refused_is_told_in_the_clients_words(browse: Browse, pages: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            client = room.client
            whip, whep = client.livestream_whip_url(), client.livestream_whep_url()
            room_id = (await client.create_room(RoomOptions(room_type="audio_only_livestream"))).id
            streamers = await client.create_livestream_streamer_token(room_id)
            gone = (await client.create_room(RoomOptions(room_type="livestream"))).id
            lost = await client.create_livestream_streamer_token(gone)
            await client.delete_room(gone)
            page = await ClientPage.open(browser, pages, "live", room.server.url)
            for function, url, token, reason in (
                ("publish", whip, "nonsense", "unauthorized"),
                ("publish", whip, lost, "stream_not_found"),
                ("watch", whep, streamers, "unauthorized"),
                ("watch", f"{whep}/{gone}", "", "stream_not_found"),
                ("watch", f"{whep}/{room_id}", "", "unauthorized"),
            ):
                with pytest.raises(PageError, match=reason):
                    await page.call(function, url, token)

    browse(scenario)

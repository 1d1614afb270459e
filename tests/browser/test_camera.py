"""A camera of a browser, seen by a bot: the picture it is given is the one Chromium's camera makes."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from fishjam_agents.fishjam import AgentSession
from tests.browser.client_page import PATIENCE, ClientPage
from tests.browser.conftest import Browse
from tests.browser.room import browser_room

if TYPE_CHECKING:
    from playwright.async_api import Browser

CLIENTS = ("ts", "react")
_CELLS = 4
_ALIKE = 15.0
"""Mean difference of colours, of 255: the camera's picture moves between two looks at it."""


async def captured(session: AgentSession, track: str) -> bytes:
    """A picture of a track; asked for again while there is none yet."""

    async def ask() -> None:
        while True:
            await session.capture_image(track)
            await asyncio.sleep(1.1)

    asking = asyncio.create_task(ask())
    try:
        async with asyncio.timeout(PATIENCE):
            async for message in session.receive():
                if hasattr(message, "content_type"):
                    assert message.content_type == "image/jpeg"
                    data: bytes = message.data
                    return data
    finally:
        asking.cancel()
    raise AssertionError("the agent's session ended")


@pytest.mark.parametrize("client", CLIENTS)
def test_an_agent_is_given_a_still_of_a_browsers_camera(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room:
            peer_id, token = await room.token()
            page = await ClientPage.open(browser, pages, client, room.server.url)
            await page.join(token)
            await page.call("showCamera")
            await page.until_event("localTrackAdded")
            shown = await room.until_peer(peer_id, lambda peer: peer is not None and peer.tracks)
            (track,) = shown.tracks
            assert track.type == "video"

            agent = await room.client.create_agent(room.id)
            async with agent.connect() as session:
                picture = Image.open(io.BytesIO(await captured(session, track.id)))
            assert picture.format == "JPEG"
            seen = await page.call("colours")
            assert picture.width / picture.height == pytest.approx(seen["width"] / seen["height"], abs=0.02)
            cells = np.asarray(picture.resize((_CELLS, _CELLS), Image.Resampling.BOX), float).reshape(-1, 3)
            own = np.asarray(seen["cells"], float)
            assert np.abs(cells - own).mean() < _ALIKE
            # Chromium's camera is green, so a grey or black picture is not like it.
            red, green, blue = own.mean(axis=0)
            assert green - max(red, blue) > 100
            assert await page.errors() == []

    browse(scenario)

"""A browser for rows of the bench: Chromium of this machine, with the pages of `tests/browser/clients`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bench.child import Child, child
from fishjam_agents.fishjam import Agent, AsyncFishjamClient
from tests.browser.bundle import BundleError, bundle
from tests.browser.chromium import chromium_path, launched
from tests.browser.client_page import ClientPage
from tests.browser.site import serve

if TYPE_CHECKING:
    from playwright.async_api import Browser

_alone = asyncio.Lock()
"""One Chromium at a time, whatever is measured at once."""
_START = 20.0
"""Seconds a process may take to start."""


class NoBrowserError(Exception):
    """No row of a browser can be measured here; the message says why."""


class Bench:
    """Chromium, and the two servers whose pages are compared.

    Attributes:
        fishjam: The process of the embedded server.
        bare: The process of the bare aiortc echo.
        client: REST of the embedded server.
        token: Its management token.
    """

    def __init__(
        self,
        browser: Browser,
        pages: str,
        fishjam: Child,
        bare: Child,
        client: AsyncFishjamClient,
        token: str,
        bare_url: str,
    ) -> None:
        self._browser = browser
        self._pages = pages
        self.fishjam = fishjam
        self.bare = bare
        self.client = client
        self.token = token
        self._bare_url = bare_url

    @asynccontextmanager
    async def page(self, kind: str, url: str, **options: str) -> AsyncIterator[ClientPage]:
        """A page as `ClientPage.open` makes it, closed with the context."""
        page = await ClientPage.open(self._browser, self._pages, kind, url, **options)
        try:
            yield page
        finally:
            await page.page.context.close()

    @asynccontextmanager
    async def bare_page(self) -> AsyncIterator[ClientPage]:
        """A page that hears itself from bare aiortc, as `echo`."""
        async with self.page("bare", self._bare_url) as page:
            await page.join("")
            await page.until_event("trackReady")
            yield page

    @asynccontextmanager
    async def room(self) -> AsyncIterator[str]:
        """Id of a new room, deleted with the context."""
        room = await self.client.create_room()
        try:
            yield room.id
        finally:
            await self.client.delete_room(room.id)

    @asynccontextmanager
    async def joined(self, room_id: str) -> AsyncIterator[ClientPage]:
        """A page of the ts-client in a room, with an open microphone."""
        _, token = await self.client.create_peer(room_id)
        async with self.page("ts", self.client.url) as page:
            await page.join(token)
            await page.call("publish")
            yield page


@asynccontextmanager
async def browser_bench() -> AsyncIterator[Bench]:
    """Everything a row of a browser needs.

    Raises:
        NoBrowserError: Something of it is missing here.
    """
    for module in ("playwright", "aiortc"):
        if find_spec(module) is None:
            raise NoBrowserError(f"{module} is not installed")
    if chromium_path() is None:
        raise NoBrowserError("there is no Chromium here")
    try:
        folder = await asyncio.to_thread(bundle)
    except BundleError as error:
        raise NoBrowserError(str(error)) from error
    async with _alone, AsyncExitStack() as stack:
        pages = stack.enter_context(serve(folder))
        bare = await stack.enter_async_context(child("bare_webrtc"))
        fishjam = await stack.enter_async_context(child("fishjam", origin=pages))
        bare_url = (await bare.hear(_START))["url"]
        served = await fishjam.hear(_START)
        client = await stack.enter_async_context(AsyncFishjamClient(served["url"], served["token"]))
        browser = await stack.enter_async_context(launched())
        yield Bench(browser, pages, fishjam, bare, client, served["token"], bare_url)


@asynccontextmanager
async def bare_agent(agent: Agent, *, echo: bool = True) -> AsyncIterator[asyncio.Future[float]]:
    """An agent without a pipeline, which sends back every chunk as it comes.

    Yields:
        When it heard the first sound, by the wall clock.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    heard: asyncio.Future[float] = loop.create_future()

    async def run() -> None:
        async with agent.connect() as session:
            track = await session.add_track()
            ready.set_result(None)
            async for message in session.receive():
                if not heard.done():
                    heard.set_result(time.time())
                if echo:
                    await track.send_chunk(message.data)

    running = asyncio.create_task(run())
    try:
        await asyncio.wait_for(ready, _START)
        yield heard
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

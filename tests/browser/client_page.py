"""A page with one of the web clients (`clients/`), driven from a test."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt

from tests.browser.sounds import HEARD, RATE, Recording, same_words

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

PATIENCE = 20.0
"""Seconds that whatever a page is to do may take."""


class PageError(Exception):
    """Something was refused in the page, or did not come about in time."""


@dataclass(frozen=True, slots=True)
class Said:
    """Something a page said.

    Attributes:
        begin: Sample of the page's clock at which it begins.
        samples: Int16 mono at 48 kHz.
    """

    begin: int
    samples: npt.NDArray[np.int16]

    @property
    def end(self) -> int:
        """Sample of the page's clock at which it ends."""
        return self.begin + len(self.samples)


class ClientPage:
    """A page that runs a web client: `window.app` is the same for both of them."""

    def __init__(self, page: Page, fishjam: str) -> None:
        self.page = page
        self._fishjam = fishjam

    @classmethod
    async def open(
        cls, browser: Browser, pages: str, client: str, fishjam: str, **options: str
    ) -> ClientPage:
        """Load the page of a client, in a browser profile of its own.

        Args:
            browser: The browser.
            pages: Origin of the pages.
            client: `ts` or `react`.
            fishjam: The server's URL.
            options: More of the page's query: `token`, with which the ts-client joins at once.
        """
        context = await browser.new_context()
        page = await context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        await page.goto(f"{pages}/{client}.html?{urlencode({'fishjam': fishjam, **options})}")
        await page.wait_for_function("window.app !== undefined")
        return cls(page, fishjam)

    async def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of `window.app`.

        Raises:
            PageError: It threw, or was not done in time.
        """
        from playwright.async_api import Error

        script = f"""async (values) => {{
            const late = new Promise((_, fail) => setTimeout(fail, {PATIENCE * 1000}, "not done in time"));
            return await Promise.race([app.{function}(...values), late]);
        }}"""
        try:
            return await self.page.evaluate(script, list(arguments))
        except Error as error:
            raise PageError(f"{function}: {error.message}") from error

    async def join(self, token: str, **metadata: Any) -> None:
        """Join with a peer token.

        Raises:
            PageError: The server refused it.
        """
        await self.call("join", {"url": self._fishjam, "token": token, "metadata": metadata})

    async def say(self, samples: npt.NDArray[np.int16]) -> Said:
        """Begin to say something."""
        text = base64.b64encode(samples.astype("<i2").tobytes()).decode()
        return Said(await self.call("sound.say", text, RATE), samples)

    async def until(self, condition: str, argument: Any = None) -> None:
        """Wait for a condition, an arrow function of JavaScript that is given `argument`.

        Raises:
            PageError: It did not come about in time.
        """
        from playwright.async_api import Error

        try:
            await self.page.wait_for_function(condition, arg=argument, polling=20)
        except Error as error:
            raise PageError(
                f"{condition} with {argument}: not in time; events: {await self.events()}"
            ) from error

    async def until_event(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait until the client has emitted an event that often; it, the latest of them."""
        counted = "([name, count]) => app.log.events.filter((event) => event.name === name).length >= count"
        await self.until(counted, [name, count])
        return [event for event in await self.page.evaluate("app.log.events") if event["name"] == name][-1]

    async def events(self) -> list[str]:
        """Names of the client's events so far."""
        names: list[str] = await self.page.evaluate("app.log.events.map(({ name }) => name)")
        return names

    async def errors(self) -> list[str]:
        """Exceptions and rejections that nothing in the page handled."""
        errors: list[str] = await self.page.evaluate("app.log.errors")
        return errors

    async def peers(self) -> dict[str, dict[str, Any]]:
        """The other peers as the client shows them, by id."""
        return {peer["id"]: peer for peer in await self.call("peers")}

    async def recording(self) -> Recording:
        """Whatever it said and heard so far."""
        return Recording.read(await self.call("sound.recording"))

    async def until_heard(
        self, samples: npt.NDArray[np.int16], track: str, patience: float = PATIENCE
    ) -> Recording:
        """Wait until something that was said is heard on a track; whatever it said and heard by then.

        Raises:
            PageError: It was not heard in time.
        """
        end = asyncio.get_running_loop().time() + patience
        while True:
            await asyncio.sleep(1.0)
            recording = await self.recording()
            # Elsewhere: the loop may be the server's, which carries the sound.
            heard, _ = await asyncio.to_thread(same_words, samples, recording.tracks.get(track, np.zeros(0)))
            if heard > HEARD:
                return recording
            if asyncio.get_running_loop().time() > end:
                raise PageError(f"{heard:.0%} of what was said was heard on {track} in time")

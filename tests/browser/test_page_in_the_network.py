"""The page as a phone in the same network opens it: over HTTPS, at an address of this machine."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser

from fishjam_agents import AgentPipeline
from fishjam_agents.backends import Parrot
from fishjam_agents.cli.playground import LiveCall
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.worker import JoinedRoom, Worker

from .conftest import MICROPHONE, Browse


def test_a_phone_is_heard_and_hears_the_bot(browse: Browse) -> None:
    async def scenario(chromium: Browser) -> None:
        bot = AgentPipeline()
        bot.backend = Parrot()
        async with EmbeddedServer("0.0.0.0", token="of-my-own") as server:
            url = server.public_urls[0]
            if not url.startswith("https:"):
                pytest.skip("this machine has no address but its loopback")
            shown: asyncio.Future[LiveCall] = asyncio.get_running_loop().create_future()

            def show(where: JoinedRoom) -> None:
                shown.set_result(LiveCall(bot, server, where))

            worker = Worker(bot, fishjam_id=server.url, management_token=server.token, placed=show)
            working = asyncio.create_task(worker.run())
            live = await shown
            # The certificate was made on the spot.
            context = await chromium.new_context(
                ignore_https_errors=True, viewport={"width": 390, "height": 844}
            )
            page = await context.new_page()
            assert live.registered.link().startswith(f"{url}/#call=")
            await page.goto(live.registered.link())
            await page.click("#join-button")
            await page.wait_for_selector("#main[data-room=joined]")
            for state in ("hearing", "speaking"):
                await page.wait_for_selector(f"#main[data-state={state}]", timeout=40_000)
            while not any(  # noqa: ASYNC110 - over is what the page shows of it
                event["kind"] == "reply_ended" for event in await live.registered.feed.history()
            ):
                await asyncio.sleep(0.1)
            worker.stop()
            await working
            await page.wait_for_selector("#main[data-feed=over]")
            live.close()

    browse(scenario, microphone=MICROPHONE)

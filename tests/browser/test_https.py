"""The page as a phone in the same network opens it: over HTTPS, without which there is no microphone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from fishjam_agents.fishjam import AsyncFishjamClient, RoomOptions
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.address import machine_addresses
from tests.browser.client_page import ClientPage
from tests.browser.conftest import Browse
from tests.browser.sounds import RATE, same_words, words

if TYPE_CHECKING:
    from playwright.async_api import Browser

ALIKE = 0.6
"""Words that passed Opus have 0.8 and more (`same_words`), others 0.2 and less."""

LOOK = """async () => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + '/socket/peer/websocket');
    const opened = new Promise(resolve => {
        socket.onopen = () => resolve(true);
        socket.onerror = () => resolve(false);
    });
    const microphone = async () => {
        const stream = await navigator.mediaDevices?.getUserMedia({audio: true});
        return stream?.getAudioTracks().length === 1;
    };
    return {
        address: location.href,
        secure: isSecureContext,
        socket: await opened,
        microphone: await microphone(),
    };
}"""


@pytest.fixture
def address() -> str:
    """An address of this machine that is not its loopback."""
    found = [address for address in machine_addresses() if ":" not in address]
    if not found:
        pytest.skip("this machine is in no network")
    return found[0]


async def look(browser: Browser, url: str) -> dict[str, Any]:
    """What a page finds, opened by somebody who clicks the warning of the certificate away."""
    context = await browser.new_context(ignore_https_errors=True)
    page = await context.new_page()
    await page.goto(url)
    found: dict[str, Any] = await page.evaluate(LOOK)
    await context.close()
    return found


def test_a_phone_gets_its_microphone_over_https(browse: Browse, address: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with EmbeddedServer("0.0.0.0", token="own") as server:
            secure = f"https://{address}:{server.port}"
            assert secure in server.public_urls
            wanted = {"address": f"{secure}/#call=x", "secure": True, "socket": True, "microphone": True}
            assert await look(browser, f"{secure}/#call=x") == wanted
            # Without the s, the page moves, and the fragment with it.
            assert await look(browser, f"http://{address}:{server.port}/#call=x") == wanted
            local = await look(browser, f"{server.url}/#call=x")
            assert local == {**wanted, "address": f"{server.url}/#call=x"}
        async with EmbeddedServer("0.0.0.0", token="own", tls="off") as server:
            plain = f"http://{address}:{server.port}/"
            found = await look(browser, plain)
            assert found == {"address": plain, "secure": False, "socket": True, "microphone": False}

    browse(scenario)


def test_sound_flows_between_pages_that_use_the_network(browse: Browse, pages: str, address: str) -> None:
    async def scenario(browser: Browser) -> None:
        options = RoomOptions(room_type="audio_only_livestream", public=True)
        async with (
            EmbeddedServer("0.0.0.0", token="own", allowed_origins=[pages]) as server,
            AsyncFishjamClient(server.url, "own") as client,
        ):
            room_id = (await client.create_room(options)).id
            secure = f"https://{address}:{server.port}"
            live = f"{secure}/api/v1/live/api"
            streamer = await ClientPage.open(browser, pages, "live", secure)
            viewer = await ClientPage.open(browser, pages, "live", secure)
            token = await client.create_livestream_streamer_token(room_id)
            await streamer.call("publish", f"{live}/whip", token)
            await viewer.call("watch", f"{live}/whep/{room_id}")
            for page in (streamer, viewer):
                await page.until("() => app.states.at(-1) === 'connected'")
            said = words("alice_question.wav")
            await streamer.say(said)
            await asyncio.sleep(len(said) / RATE + 1.0)
            assert same_words(said, (await viewer.recording()).tracks["stream"])[0] > ALIKE

    browse(scenario, flags=("--ignore-certificate-errors",))

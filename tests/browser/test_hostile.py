"""Pages of other origins in a real Chromium: whatever they try, the server does nothing for them.

A page that is allowed makes the same attempts and gets through: so it is the server that refuses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import Browse
from tests.browser.room import BrowserRoom, browser_room
from tests.browser.site import serve

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Response

NAMES = (
    "--host-resolver-rules=MAP *.example 127.0.0.1",
    "--disable-features=LocalNetworkAccessChecks",
)
"""Every site of this name is this machine. Chromium would not let all of them speak to it without a question
to the user: other browsers do."""

ATTEMPTS = """async server => {
    const socketUrl = server.replace('http', 'ws');
    const tell = promise => promise.then(value => `got ${value}`, error => `refused ${error.name}`);
    const ended = (element, attribute, url) => new Promise(resolve => {
        element.onload = () => resolve('loaded');
        element.onerror = () => resolve('refused');
        element[attribute] = url;
        document.body.append(element);
    });
    const socket = path => new Promise(resolve => {
        const socket = new WebSocket(socketUrl + path);
        socket.onopen = () => { socket.close(); resolve('open'); };
        socket.onerror = () => resolve('refused');
    });
    const read = async (path, options) => (await fetch(server + path, options)).status;
    const room = name => `/room-manager?roomName=${name}&peerName=stranger`;
    const simple = {method: 'POST', mode: 'no-cors', headers: {'content-type': 'text/plain'}, body: '{}'};
    const results = {
        fetch: await tell(read(room('fetch'))),
        credentials: await tell(read('/room', {headers: {authorization: 'Bearer guess'}})),
        join: await tell(read('/playground/join', {method: 'POST', body: '{}'})),
        watch: await tell(read('/api/v1/live/api/whep', {
            method: 'POST', headers: {'content-type': 'application/sdp'}, body: 'v=0'})),
        agent: await socket('/socket/agent/websocket'),
        peer: await socket('/socket/peer/websocket'),
        backend: await socket('/socket/server/websocket'),
        call: await socket('/playground/events'),
        image: await ended(new Image(), 'src', server + room('image')),
        script: await ended(document.createElement('script'), 'src', server + '/playground/main.js'),
    };
    // What a page cannot see the answer of may still do something.
    await tell(fetch(server + room('blind'), {mode: 'no-cors'}));
    await tell(fetch(server + '/room', simple));
    navigator.sendBeacon(server + '/playground/join', '{}');
    return results;
}"""

FORM = """server => new Promise(resolve => {
    const frame = document.createElement('iframe');
    frame.name = 'target';
    frame.onload = () => resolve();
    document.body.append(frame);
    const form = document.createElement('form');
    Object.assign(form, {action: server + '/playground/join', method: 'post', target: 'target'});
    document.body.append(form);
    form.submit();
})"""

FRAME = """url => new Promise(resolve => {
    const frame = document.createElement('iframe');
    frame.onload = () => resolve();
    frame.src = url;
    document.body.append(frame);
})"""


class Visitor:
    """A page, and every answer of the server that came because of it."""

    def __init__(self, page: Page, server: str) -> None:
        self.page = page
        self.server = server
        self.answers: list[tuple[str, int]] = []
        page.context.on("response", self._note)

    def _note(self, response: Response) -> None:
        if f":{self.server.rpartition(':')[2]}/" in response.url:
            self.answers.append((response.url, response.status))

    async def attempt(self) -> dict[str, str]:
        """Everything a script can try; what it saw of it."""
        results: dict[str, str] = await self.page.evaluate(ATTEMPTS, self.server)
        await self.page.evaluate(FORM, self.server)
        for path in ("/", "/room-manager?roomName=frame&peerName=stranger"):
            await self.page.evaluate(FRAME, self.server + path)
        return results


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Port of a web server that is not ours."""
    (tmp_path / "index.html").write_text("<!doctype html><title>elsewhere</title><body>")
    with serve(tmp_path) as origin:
        yield origin.rpartition(":")[2]


@asynccontextmanager
async def visit(browser: Browser, url: str, server: str) -> AsyncIterator[Visitor]:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(url)
    try:
        yield Visitor(page, server)
    finally:
        await context.close()


def untouched(room: BrowserRoom) -> bool:
    """Whether the server is as it was: one room, nobody in it."""
    return [r.id for r in room.server.rooms] == [room.id] and not room.server.rooms.get(room.id).peers


def refused(results: dict[str, str]) -> dict[str, str]:
    """What got through."""
    return {name: told for name, told in results.items() if not told.startswith("refused")}


def test_a_page_of_another_origin_gets_nothing_and_does_nothing(browse: Browse, site: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room() as room:
            # A foreign site, another port of this machine, and the same by name.
            for host in ("evil.example", "127.0.0.1", "localhost"):
                async with visit(browser, f"http://{host}:{site}/", room.server.url) as visitor:
                    assert refused(await visitor.attempt()) == {}, host
                    assert untouched(room)
                    assert {status for _, status in visitor.answers} == {403}, visitor.answers

    browse(scenario, flags=NAMES)


def test_a_page_that_is_allowed_gets_through(browse: Browse, site: str) -> None:
    async def scenario(browser: Browser) -> None:
        origin = f"http://friend.example:{site}"
        async with (
            browser_room(origin) as room,
            visit(browser, f"{origin}/", room.server.url) as visitor,
        ):
            results = await visitor.attempt()
            assert len(room.server.rooms) == 2
        got = {name: results[name] for name in ("fetch", "credentials", "join", "watch")}
        assert got == {"fetch": "got 200", "credentials": "got 401", "join": "got 401", "watch": "got 401"}
        assert {results[name] for name in ("agent", "peer", "backend", "call")} == {"open"}
        # It may ask; it may not make the server's answers part of itself.
        assert {results[name] for name in ("image", "script")} == {"refused"}

    browse(scenario, flags=NAMES)


def test_a_name_that_is_bound_to_this_machine_reads_nothing(browse: Browse) -> None:
    async def scenario(browser: Browser) -> None:
        async with browser_room() as room:
            port = room.server.port
            rebound = f"http://rebind.example:{port}"
            context = await browser.new_context()
            page = await context.new_page()

            async def before(route: Any) -> None:
                await route.fulfill(content_type="text/html", body="<!doctype html><title>evil</title><body>")

            # The page comes from the stranger's machine, and then its name is this one: its origin stays.
            await page.route(f"{rebound}/before", before)
            await page.goto(f"{rebound}/before")
            visitor = Visitor(page, rebound)
            results = await visitor.attempt()
            # To its own origin a page may speak, and reads that it is refused.
            for name in ("fetch", "credentials", "join", "watch"):
                assert results[name] == "got 403", results
            for name in ("agent", "peer", "backend", "call", "image", "script"):
                assert results[name] == "refused", results
            assert untouched(room)
            assert {status for _, status in visitor.answers} == {403}, visitor.answers
            # Nor does it help to name the server itself.
            visitor = Visitor(page, room.server.url)
            assert refused(await visitor.attempt()) == {}
            assert untouched(room)
            answer = await page.goto(f"{rebound}/")
            assert answer is not None
            assert answer.status == 403
            await context.close()

    browse(scenario, flags=NAMES)


def test_a_page_without_an_origin_gets_nothing(browse: Browse, site: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with (
            browser_room() as room,
            visit(browser, f"http://evil.example:{site}/", room.server.url) as visitor,
        ):
            # Sandboxed, so that its origin is `null`.
            await visitor.page.set_content(
                '<iframe name="box" sandbox="allow-scripts" srcdoc="<body>"></iframe>'
            )
            element = await visitor.page.wait_for_selector("iframe")
            assert element is not None
            box = await element.content_frame()
            assert box is not None
            await box.wait_for_load_state()
            assert refused(await box.evaluate(ATTEMPTS, room.server.url)) == {}
            assert untouched(room)
            assert {status for _, status in visitor.answers} <= {403}, visitor.answers

    browse(scenario, flags=NAMES)


def test_other_sites_may_link_to_the_page_and_have_no_hold_on_it(browse: Browse, site: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with (
            browser_room() as room,
            visit(browser, f"http://evil.example:{site}/", room.server.url) as visitor,
        ):
            async with visitor.page.context.expect_page() as opened:
                await visitor.page.evaluate(
                    "url => { window.held = window.open(url); }", f"{room.server.url}/#call=x"
                )
            page = await opened.value
            await page.wait_for_load_state()
            assert await page.evaluate("window.opener") is None
            assert await visitor.page.evaluate("window.held.closed") is True
            assert (f"{room.server.url}/", 200) in visitor.answers
            # A link to anything else would act for whoever set it.
            async with visitor.page.context.expect_page() as opened:
                path = "/room-manager?roomName=link&peerName=stranger"
                await visitor.page.evaluate("url => { window.open(url); }", room.server.url + path)
            await (await opened.value).wait_for_load_state()
            assert (room.server.url + path, 403) in visitor.answers
            assert untouched(room)

    browse(scenario, flags=NAMES)

"""What the tests of the playground page share: bots that run, the page in a browser, its modules by name."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Route, WebSocketRoute, expect

import fishjam_agents.server
from fishjam_agents.server.playground.pages import HEADERS

STATIC = Path(fishjam_agents.server.__file__).parent / "playground" / "static"
BOTS = Path(__file__).parent / "bots"
NOWHERE = "http://127.0.0.1:9"
"""Where the files of `modules` seem to come from: nothing listens there."""
PATIENCE = 40.0
"""Seconds anything may take; nothing is expected to."""
PARROT = "agent: {backend: {type: parrot}}\n"
PUSH_TO_TALK = "agent: {backend: {type: parrot}, turns: {mode: push_to_talk}}\n"
FRONT_DESK = "agent: {pipeline: 'front_desk:FrontDesk'}\n"
SEEING = "agent: {pipeline: 'front_desk:Seeing'}\n"
HOSTILE = "agent: {pipeline: 'front_desk:Hostile'}\n"
expect.set_options(timeout=1000 * PATIENCE)
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_LINK = re.compile(r"Talk to it: (\S+)")


_NOTE_STATES = """
    window.states = [];
    new MutationObserver(() => {
      const { state } = document.getElementById("main").dataset;
      if (window.states.at(-1) !== state) window.states.push(state);
    }).observe(document, { subtree: true, attributeFilter: ["data-state"] });
"""
# Some states are shorter than a look from outside takes. Returns where the last was seen; 0 is not yet.
_IN_ORDER = """
    ([seen, states]) => {
      let next = seen - 1;
      for (const state of states) {
        next = window.states.indexOf(state, next);
        if (next < 0) return 0;
        next += 1;
      }
      return next;
    }
"""


class RunningBot:
    """`python -m fishjam_agents run` as a process of its own.

    Attributes:
        link: The link that it printed.
        said: What it printed.
    """

    def __init__(
        self, folder: Path, config: str, port: int = 0, token: str = "", patience: float = PATIENCE
    ) -> None:
        self.said = ""
        self.link = ""
        path = folder / "config.yaml"
        secret = f", management_token: {token}" if token else ""
        path.write_text(f"fishjam: {{id: local, port: {port}{secret}}}\n{config}")
        for bot in BOTS.glob("*.py"):
            code = bot.read_text().replace("Path(__file__).parents[3]", f"Path({str(BOTS.parents[2])!r})")
            (folder / bot.name).write_text(code)
        hidden = ("FISHJAM_ID", "FISHJAM_MANAGEMENT_TOKEN")
        environ = {name: value for name, value in os.environ.items() if name not in hidden}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fishjam_agents", "run", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environ, "XDG_STATE_HOME": str(folder / "state"), "PYTHONUNBUFFERED": "1"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        deadline = time.monotonic() + patience
        while not self.link and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if not self.link:
            self.stop()
            raise AssertionError(f"the bot did not start: {self.said}")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.link.split(":")[2].split("/")[0])

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it and wait for its end; it is killed where it does not end."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said += line
            found = _LINK.search(line)
            if found:
                self.link = found[1]


@contextmanager
def running(
    folder: Path, config: str, port: int = 0, token: str = "", patience: float = PATIENCE
) -> Iterator[RunningBot]:
    """A bot that runs, and does not afterwards; `token` is its server's management token."""
    bot = RunningBot(folder, config, port, token, patience)
    try:
        yield bot
    finally:
        bot.stop()


class Playground:
    """The page in a browser.

    Attributes:
        page: The tab.
        context: Its window.
        complaints: What the browser complained about: errors of the page, and what its policy refused.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page = context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE)
        self.page.add_init_script(_NOTE_STATES)
        self._seen = 1
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._listen)

    def _listen(self, message: Any) -> None:
        # A server that is gone, or refuses, is told by the browser, too: that is expected where it happens.
        if message.type == "error" and "WebSocket" not in message.text and "net::ERR" not in message.text:
            self.complaints.append(message.text)

    def open(self, link: str) -> None:
        """Open a link and wait for the call."""
        self.page.goto(link)
        self.feed("open")

    def join(self) -> None:
        """Join with one click."""
        self.page.click("#join-button")
        self.room("joined")

    def feed(self, state: str) -> None:
        """Wait for a state of the connection to the events."""
        self.page.wait_for_selector(f"#main[data-feed={state}]")

    def room(self, state: str) -> None:
        """Wait for a state of the connection to the room."""
        self.page.wait_for_selector(f"#main[data-room={state}]")

    def bot(self, *states: str) -> None:
        """Wait until the bot has been in these states, in this order, since the last that was waited for."""
        self._seen = self.page.wait_for_function(_IN_ORDER, arg=[self._seen, states]).json_value()

    def text(self, selector: str) -> str:
        """The text of an element."""
        return self.page.text_content(selector) or ""


@contextmanager
def playground(chromium: Browser, **options: Any) -> Iterator[Playground]:
    """A window of its own for the page; options as playwright's `new_context` has them."""
    context = chromium.new_context(**options)
    try:
        yield Playground(context)
    finally:
        context.close()


class ScriptedServer:
    """What a page is told in place of a server: each test says it, by the protocol of docs/playground.md.

    Attributes:
        asked: Messages of the page.
        refuse: Close code and reason for the next token, None to welcome it.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.refuse: tuple[int, str] | None = None
        self.controls = {"push_to_talk": False, "text": True, "interrupt": True, "camera": True}
        self._socket: WebSocketRoute | None = None

    def open(self, socket: WebSocketRoute) -> None:
        """Take a socket of the page."""
        self._socket = socket
        socket.on_message(lambda message: self._take(socket, json.loads(message)))

    def send(self, **message: Any) -> None:
        """Say something."""
        assert self._socket is not None
        self._socket.send(json.dumps(message))

    def events(self, now: float, *events: dict[str, Any]) -> None:
        """Tell of events."""
        self.send(type="events", now=now, events=events)

    def close(self, code: int, reason: str) -> None:
        """Close the socket."""
        assert self._socket is not None
        self._socket.close(code=code, reason=reason)

    def _take(self, socket: WebSocketRoute, message: dict[str, Any]) -> None:
        self.asked.append(message)
        if message["type"] != "auth":
            return
        if self.refuse is not None:
            socket.close(code=self.refuse[0], reason=self.refuse[1])
            return
        call = {"id": "c1", "room": "room-1", "bot_peer": "bot-1", "bot": "Scripted"}
        self.send(type="hello", call=call, now=1.0, guest=False, controls=self.controls, dropped=0, events=[])


@contextmanager
def scripted_page(
    chromium: Browser, origin: str = NOWHERE, **options: Any
) -> Iterator[tuple[Playground, ScriptedServer]]:
    """The page under the server's headers, whose events a test scripts."""
    server = ScriptedServer()
    with playground(chromium, **options) as opened:
        opened.context.route(f"{origin}/**", lambda route: answer_with_file(route, origin))
        opened.context.route_web_socket("**/playground/events", server.open)
        yield opened, server


def answer_with_file(route: Route, origin: str = NOWHERE) -> None:
    """Answer a request of the browser with a file of the page, as the server does."""
    name = route.request.url.removeprefix(f"{origin}/").removeprefix("playground/") or "index.html"
    file = STATIC / name
    if file.parent == STATIC and file.is_file():
        headers = {**HEADERS, "Content-Type": _TYPES[file.suffix]}
        route.fulfill(body=file.read_bytes(), headers=headers)
    else:
        route.fulfill(status=404, body="")


@contextmanager
def modules(chromium: Browser) -> Iterator[Page]:
    """An empty page of the playground's origin that can import its modules, without any server."""
    context = chromium.new_context()
    try:
        context.route(f"{NOWHERE}/**", lambda route: answer_with_file(route))
        context.route(f"{NOWHERE}/empty", lambda route: route.fulfill(body="<p>", content_type="text/html"))
        page = context.new_page()
        page.goto(f"{NOWHERE}/empty")
        yield page
    finally:
        context.close()


def run(page: Page, module: str, body: str, argument: Any = None) -> Any:
    """Run code with the names of a module (`m`) and an argument (`a`), and return what it returns."""
    code = f"async (a) => {{ const m = await import('/playground/{module}'); {body} }}"
    return page.evaluate(code, argument)

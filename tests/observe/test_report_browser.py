"""The report in a real browser, driven by its keys over the Chrome DevTools Protocol."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from websockets.sync.client import ClientConnection, connect

from fishjam_agents.audio.wav import write_wav
from fishjam_agents.observe.report import write_report

from .report_kit import RATE, TIMELINE, recording

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
STARTING = 30.0
HOSTILE = "</script><script>window.broken=1</script><img src=x onerror='window.broken=1'>"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here to look at the page with")


class Tab:
    """A page in a browser. Everything the browser complained about is in `complaints`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._calls = 0
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=10))
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(message["params"]))
            if message.get("id") == self._calls:
                assert "error" not in message, message
                return message["result"]

    def ask(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        deadline = time.monotonic() + 10
        while not self.ask(expression):
            assert time.monotonic() < deadline, f"never: {expression}"
            time.sleep(0.02)

    def open(self, path: Path) -> None:
        self.call("Page.navigate", url=path.as_uri())
        self.wait("document.readyState === 'complete' && document.getElementById('audio')?.readyState > 0")

    def press(self, key: str, code: int = 0) -> None:
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    @property
    def now(self) -> float:
        return float(self.ask("document.getElementById('now').textContent"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A browser; the address of its debugger."""
    profile = tmp_path_factory.mktemp("chromium")
    assert CHROMIUM is not None
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio")
    options += ("--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0")
    with subprocess.Popen(
        [CHROMIUM, *options, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            announced = profile / "DevToolsActivePort"
            deadline = time.monotonic() + STARTING
            while not (announced.exists() and "\n" in announced.read_text()):
                assert process.poll() is None, "the browser did not start"
                assert time.monotonic() < deadline, "the browser did not start"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{announced.read_text().splitlines()[0]}"
        finally:
            process.terminate()


@pytest.fixture
def tab(browser: str) -> Iterator[Tab]:
    target = httpx.put(f"{browser}/json/new?about:blank", trust_env=False).json()
    with connect(target["webSocketDebuggerUrl"], proxy=None, max_size=None) as socket:
        yield Tab(socket)
    httpx.get(f"{browser}/json/close/{target['id']}", trust_env=False)


def report(folder: Path, timeline: dict[str, Any] = TIMELINE, seconds: float = 8.0) -> Path:
    room = recording(seconds)
    write_wav(folder / "room.wav", room, RATE)
    return write_report(folder, room=room, sample_rate=RATE, timeline={**timeline, "duration": seconds})


def test_the_player_obeys_its_keys(tmp_path: Path, tab: Tab) -> None:
    tab.open(report(tmp_path))
    assert tab.ask("document.getElementById('audio').duration") == 8.0
    tab.press(" ", 32)
    tab.wait("Number(document.getElementById('now').textContent) > 0.1")
    tab.press(" ", 32)
    assert tab.ask("document.getElementById('audio').paused")
    tab.press("Home")
    tab.ask("document.getElementById('overview').focus()")
    tab.press("Home")
    assert tab.now == 0.0
    tab.press("ArrowRight")
    assert tab.now == 1.0
    tab.press("n")
    assert tab.now == pytest.approx(2.79)
    tab.press("n")
    assert tab.now == 4.0
    tab.press("p")
    tab.press("ArrowLeft")
    assert tab.now == pytest.approx(1.79)
    assert tab.ask("document.querySelector('tr.current th').textContent") == "turn-1"
    assert tab.ask("document.getElementById('overview').getAttribute('aria-valuetext')") == "1.79 of 8.00 s"
    assert tab.complaints == []


def test_the_cursor_stands_where_the_call_is(tmp_path: Path, tab: Tab) -> None:
    tab.open(report(tmp_path))
    tab.ask("document.querySelector('#barge-ins .moment').click()")
    distance = (
        "Math.abs(document.querySelector('.cursor').getBoundingClientRect().left"
        " - document.querySelector('.band').getBoundingClientRect().left)"
    )
    assert tab.ask(distance) < 1
    for key in "++-":
        tab.press(key)
        assert tab.ask(distance) < 1
    tab.press("0")
    assert tab.ask("document.getElementById('plot').clientWidth") == tab.ask(
        "document.getElementById('scroller').clientWidth"
    )


def test_the_tab_key_goes_from_the_player_to_the_tables(tmp_path: Path, tab: Tab) -> None:
    tab.open(report(tmp_path))
    order = []
    for _ in range(9):
        tab.press("Tab", 9)
        order.append(tab.ask("document.activeElement.id || document.activeElement.className"))
        assert tab.ask("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert order == ["skip", "play", "rate", "out", "fit", "in", "overview", "scroller", "table"]


def test_a_call_of_ten_minutes_plays_the_file_beside_it_and_can_be_scrolled(tmp_path: Path, tab: Tab) -> None:
    tab.open(report(tmp_path, seconds=600.0))
    assert tab.ask("document.getElementById('audio').duration") == 600.0
    tab.ask("document.getElementById('overview').focus()")
    # The mark of the position is some pixels wide.
    box = "document.getElementById('scroller')"
    fitted = f"{box}.scrollWidth < {box}.clientWidth + 8"
    assert tab.ask(fitted)
    for _ in range(8):
        tab.press("+")
    tab.press("End")
    assert tab.ask("document.getElementById('scroller').scrollLeft") > 10_000
    tab.press("0")
    assert tab.ask(fitted)
    assert tab.complaints == []


def test_a_missing_recording_is_told_of(tmp_path: Path, tab: Tab) -> None:
    path = report(tmp_path, seconds=600.0)
    (tmp_path / "room.wav").unlink()
    tab.call("Page.navigate", url=path.as_uri())
    tab.wait("document.getElementById('source')?.textContent.includes('cannot be played')")


def test_what_a_peer_is_called_does_not_run(tmp_path: Path, tab: Tab) -> None:
    hostile = json.loads(json.dumps(TIMELINE).replace("caller-1", HOSTILE).replace("once upon", HOSTILE))
    tab.open(report(tmp_path, hostile))
    assert tab.ask("typeof window.broken") == "undefined"
    assert tab.ask("document.querySelectorAll('script').length") == 1
    assert HOSTILE in tab.ask("document.querySelector('.lane.speech .turn').title")
    assert tab.complaints == []


def test_the_page_follows_the_colours_of_the_system(tmp_path: Path, tab: Tab) -> None:
    tab.open(report(tmp_path))
    shades = []
    for scheme in ("light", "dark"):
        tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        shades.append(tab.ask("getComputedStyle(document.body).backgroundColor"))
    assert shades == ["rgb(247, 247, 248)", "rgb(17, 17, 20)"]


SIDES = ("left", "right", "bottom")


def test_a_table_that_goes_on_shows_a_shadow_where_it_does(tmp_path: Path, tab: Tab) -> None:
    tab.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    tab.open(report(tmp_path))
    table = "document.querySelector('#turns .table')"
    assert tab.ask(f"{table}.scrollWidth > {table}.clientWidth")
    tab.ask(f"{table}.scrollIntoView()")

    def edges() -> tuple[float, float]:
        """How much darker the last pixels at the left and at the right are than the card, below the head."""
        left, right, bottom, scrolled = (
            tab.ask(value)
            for value in (*(f"{table}.getBoundingClientRect().{side}" for side in SIDES), "window.scrollY")
        )
        # The blank below the text of the last row.
        clip = {"x": left, "y": bottom - 5 + scrolled, "width": right - left, "height": 3, "scale": 1}
        shot = tab.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("L"), float)
        card = np.median(image)
        return float(card - image[:, 2].mean()), float(card - image[:, -3].mean())

    left, right = edges()
    assert right > left + 10
    tab.ask(f"{table}.scrollLeft = 10000")
    left, right = edges()
    assert left > right + 10


def test_a_narrow_window_scrolls_its_parts_and_not_the_page(tmp_path: Path, tab: Tab) -> None:
    tab.call("Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=2, mobile=True)
    tab.open(report(tmp_path))
    assert tab.ask("document.documentElement.scrollWidth") == 360

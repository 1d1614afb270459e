"""The page when its server, or the way to it, is lost in a call."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from .page_kit import PARROT, Playground, playground, running


class Wire:
    """A way to a server that can be cut: every connection at once, and no new one until it is mended."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._cut = False
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Lose every connection."""
        self._cut = True
        for pair in tuple(self._pairs):
            close(pair)

    def mend(self) -> None:
        """Let connections through again."""
        self._cut = False

    def close(self) -> None:
        """Cut it for good."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._cut:
                near.close()
                continue
            pair = (near, socket.create_connection(self._target))
            self._pairs.add(pair)
            for one, other in (pair, pair[::-1]):
                threading.Thread(target=self._pass, args=(one, other, pair), daemon=True).start()

    def _pass(
        self, one: socket.socket, other: socket.socket, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        self._pairs.discard(pair)
        close(pair)


def close(pair: tuple[socket.socket, socket.socket]) -> None:
    """Close both ends of a connection, which a blocked `recv` notices."""
    for end in pair:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@pytest.fixture
def window(chromium: Browser) -> Iterator[Playground]:
    with playground(chromium) as opened:
        yield opened


def test_a_lost_connection_comes_back_into_the_same_call(window: Playground, tmp_path: Path) -> None:
    with running(tmp_path, PARROT) as bot:
        wire = Wire(bot.port)
        try:
            window.open(bot.link.replace(str(bot.port), str(wire.port)))
            window.join()
            window.bot("hearing", "speaking")
            before = window.page.evaluate("document.querySelectorAll('#lines .line').length")
            assert before >= 2
            wire.cut()
            window.feed("waiting")
            window.room("waiting")
            expect(window.page.locator("#connection")).to_have_text("Reconnecting")
            wire.mend()
            window.feed("open")
            window.room("joined")
            expect(window.page.locator("#connection")).to_have_text("In the call")
            expect(window.page.locator(".notice")).to_have_count(0)
            # What was said before is still there, once, and the microphone is heard again.
            rows = window.page.evaluate("document.querySelectorAll('#lines .line').length")
            assert rows >= before
            assert window.complaints == []
        finally:
            wire.close()


def test_a_bot_that_is_started_anew_has_a_new_link(window: Playground, tmp_path: Path) -> None:
    with running(tmp_path, PARROT) as bot:
        port = bot.port
        window.open(bot.link)
        window.join()
        bot.stop(signal.SIGKILL)
        window.feed("waiting")
        expect(window.page.locator("[data-name=feed]")).to_contain_text("The server does not answer")
    with running(tmp_path, PARROT, port) as again:
        window.feed("refused")
        expect(window.page.locator("[data-name=feed]")).to_contain_text("open the new link")
        expect(window.page.locator("#controls")).to_be_hidden()
        # The new link in the same tab is a new page.
        window.page.goto(again.link)
        window.feed("open")
        window.join()


NOTE_TRACKS = """
    window.tracks = [];
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const stream = await open(wanted);
      window.tracks.push(...stream.getTracks());
      return stream;
    };
"""


def test_who_is_put_out_of_the_room_stays_out_until_they_join_again(
    window: Playground, tmp_path: Path
) -> None:
    with running(tmp_path, PARROT, token="secret") as bot:
        url = bot.link.split("/#")[0]
        window.page.add_init_script(NOTE_TRACKS)
        window.open(bot.link)
        window.join()
        with httpx.Client(headers={"Authorization": "Bearer secret"}, trust_env=False) as client:

            def people(room: str) -> list[str]:
                peers = client.get(f"{url}/room/{room}").json()["data"]["peers"]
                return [peer["id"] for peer in peers if peer["type"] == "webrtc"]

            (room,) = (room["id"] for room in client.get(f"{url}/room").json()["data"])
            (peer,) = people(room)
            assert client.delete(f"{url}/room/{room}/peer/{peer}").status_code == 204
            window.room("failed")
            expect(window.page.locator("[data-name=room]")).to_contain_text("you were removed from the room")
            window.page.wait_for_timeout(1500)
            assert people(room) == []
            # Nor is its microphone open any more.
            assert window.page.evaluate("tracks.map((track) => track.readyState)") == ["ended"]
            window.page.locator("[data-name=room]").get_by_role("button", name="Join again").click()
            window.room("joined")
            assert len(people(room)) == 1


def test_ctrl_c_ends_the_call_on_the_page(window: Playground, tmp_path: Path) -> None:
    with running(tmp_path, PARROT) as bot:
        window.open(bot.link)
        window.join()
        bot.stop()
        window.feed("over")
        expect(window.page.locator("#connection")).to_have_text("Call over")
        expect(window.page.locator("#state")).to_have_text("Call over")
        expect(window.page.locator("[data-name=room]")).to_have_count(0)
        assert not window.page.is_visible("#controls")

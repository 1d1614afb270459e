"""Who opens the link talks to the bot: over WebRTC, as the page does, and sees it happen."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import websockets

from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.wav import read_wav

from .test_run import LAST_LINE, running, written

pytest.importorskip("aiortc", reason="the extra webrtc is not installed")

from tests.server.webrtc.browser import RATE, Browser, Tone, level

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


class Speaker(Tone):
    """A microphone into which a recording is said once."""

    def __init__(self, wav: Path) -> None:
        super().__init__()
        clip = read_wav(wav)
        self._words = resample(clip.samples, clip.sample_rate, RATE)

    async def recv(self) -> Any:
        frame = await super().recv()
        mono = np.zeros(960, np.int16)
        words = self._words[frame.pts : frame.pts + 960]
        mono[: len(words)] = words
        frame.planes[0].update(np.repeat(mono, 2).tobytes())
        return frame


class Link:
    """What a page makes of a printed link."""

    def __init__(self, link: str) -> None:
        self.url, _, self.token = link.partition("/#call=")
        self.events: list[dict[str, Any]] = []

    async def watch(self) -> None:
        async with websockets.connect(f"{self.url.replace('http', 'ws', 1)}/playground/events") as socket:
            await socket.send(json.dumps({"type": "auth", "token": self.token}))
            async for text in socket:
                self.events += json.loads(text).get("events", [])

    async def until(self, kind: str) -> dict[str, Any]:
        while not (found := [event for event in self.events if event["kind"] == kind]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return found[0]

    async def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers) as http:
            return await http.request(method, path, **content)

    @asynccontextmanager
    async def join(self, name: str) -> AsyncIterator[Browser]:
        from fishjam_agents.protocol import encode
        from fishjam_agents.protocol.generated import peer as schema

        joined = (await self.request("POST", "/playground/join", json={"name": name})).json()
        async with websockets.connect(f"{self.url.replace('http', 'ws', 1)}/socket/peer/websocket") as socket:
            auth = schema.PeerMessageAuthRequest(token=joined["peer_token"])
            await socket.send(encode(schema.PeerMessage(auth_request=auth)))
            await socket.recv()
            browser = Browser(socket)
            try:
                await browser.connect({})
                yield browser
            finally:
                await browser.close()


def test_who_opens_the_link_is_heard_answered_and_shown(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(config) as run:
            await run.says(LAST_LINE)
            found = re.search(r"^Talk to it: (\S+)$", run.said, re.MULTILINE)
            assert found is not None
            host = Link(found[1])
            watching = asyncio.create_task(host.watch())
            async with host.join("Ada") as ada:
                await ada.publish(Speaker(FIXTURES / "alice_question.wav"))
                await host.until("user_turn_ended")
                await host.until("reply_ended")
                # The bot's track, and nothing else: nobody hears themselves.
                (heard,) = ada.heard.values()
                assert level(heard.samples) > 100
                joined = await host.until("peer_joined")
                assert joined["peer"] == ada.id
                report = await host.request("GET", "/playground/report.html")
                assert "reply_ended" in report.text
                assert "Ada" in report.text

                guest = Link((await host.request("POST", "/playground/guest")).json()["link"])
                async with guest.join("Bob") as bob:
                    await bob.publish(Speaker(FIXTURES / "bob_question.wav"))
                    replies = len([event for event in host.events if event["kind"] == "reply_started"])
                    while len([e for e in host.events if e["kind"] == "reply_started"]) == replies:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                    names = [json.loads(text)["server"].get("name") for text in bob.endpoints.values()]
                    assert sorted(names, key=str) == ["Ada", "Bob", None]
            run.interrupt()
            code, complaints = await run.exits()
            assert code == 0
            assert "Traceback" not in complaints
            await watching
            assert host.events[-1]["kind"] == "call_ended"

    config = written(tmp_path, "agent: {backend: {type: parrot}}\nfishjam: {port: 0}\n")
    asyncio.run(scenario())

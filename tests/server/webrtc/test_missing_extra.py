"""A server without the extra `webrtc`."""

from __future__ import annotations

import sys

import pytest

from fishjam_agents.errors import install_extra

from ..conftest import Client, Serve
from ..sockets import until
from .browser import open_browser


def test_a_browser_is_told_what_the_server_needs(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [name for name in sys.modules if name.startswith("fishjam_agents.server.webrtc.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiortc", None)

    async def scenario(client: Client) -> None:
        room_id = await client.room()
        peer_id, token = await client.peer(room_id)
        _, agent_token = await client.peer(room_id, "agent")
        async with client.agent(agent_token), open_browser(client, token) as browser:
            # Authentication alone is all that a backend's tests want.
            assert (await client.shown(room_id, peer_id))["status"] == "connected"
            await browser.send_connect()
            await until(lambda: browser.socket.close_code is not None)
            reason = "invalid sdk version: the server needs the extra 'webrtc' for WebRTC"
            assert (browser.socket.close_code, browser.socket.close_reason) == (1000, reason)
            assert browser.error == (
                "the server needs the extra 'webrtc' for WebRTC: its log says how to install it"
            )
        assert install_extra("webrtc") in caplog.text

    serve(scenario)

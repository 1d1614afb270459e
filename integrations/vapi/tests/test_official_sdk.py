"""Vapi's own SDK makes calls at the emulator, so that the emulator's shapes are those the SDK takes.

uv run --with vapi_server_sdk==3.0.0 pytest integrations/vapi/tests/test_official_sdk.py
"""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    vapi = pytest.importorskip("vapi", reason="needs Vapi's SDK: uv run --with vapi_server_sdk==3.0.0")
    # It loads itself at first use, which takes longer than any deadline of a test.
    _ = vapi.AsyncVapi(token="key").calls.with_raw_response

pytestmark = pytest.mark.compat

KEY = "vapi-private-key-1234"
TRANSPORT = {
    "provider": "vapi.websocket",
    "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": 16000},
}

TELLS_STATUS = {"clientMessages": ["status-update"]}
"""Without it the media socket tells no status, as Vapi's own."""


def test_the_sdk_creates_a_call_and_finds_its_socket(emulate: Any) -> None:
    async def scenario(emulator: Any) -> None:
        client = vapi.AsyncVapi(token=KEY, base_url=emulator.url)
        call = await client.calls.create(
            assistant_id="receptionist", transport=TRANSPORT, assistant_overrides=TELLS_STATUS
        )
        assert call.id == emulator.call.id
        assert call.transport.websocketCallUrl.endswith(f"/{call.id}/transport")
        assert call.monitor.control_url == f"{emulator.url}/call/{call.id}/control"
        assert emulator.bodies[-1]["transport"] == TRANSPORT
        shown = await client.calls.get(call.id)
        assert (shown.id, shown.status) == (call.id, "queued")

        from fishjam_agents_vapi.session import media_socket

        async with media_socket(call.transport.websocketCallUrl, KEY) as socket:
            assert "in-progress" in await asyncio.wait_for(socket.recv(), 5)

    emulate(scenario)


def test_the_sdk_knows_the_refusals(emulate: Any) -> None:
    async def scenario(emulator: Any) -> None:
        from vapi.core.api_error import ApiError
        from vapi.errors import BadRequestError

        client = vapi.AsyncVapi(token=KEY, base_url=emulator.url)
        with pytest.raises(BadRequestError):
            await client.calls.create(transport=TRANSPORT)
        stranger = vapi.AsyncVapi(token="another", base_url=emulator.url)
        with pytest.raises(ApiError) as raised:
            await stranger.calls.create(assistant_id="receptionist", transport=TRANSPORT)
        assert raised.value.status_code == 401

    emulate(scenario)

"""Sessions that only transcribe and do not begin as they should, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.live import LiveTranscription
from websockets.asyncio.server import ServerConnection, serve

from fishjam_agents.backends.cascade import Speech, StreamingSpeechToText
from fishjam_agents.errors import BackendError

DEADLINE = 50.0


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Import what a first connection does: seconds on a busy machine, which no deadline here is about."""
    asyncio.run(LiveTranscription().load())


@asynccontextmanager
async def ears(*messages: object, **settings: Any) -> AsyncIterator[StreamingSpeechToText]:
    """A part whose server answers the first event of each connection with these messages."""

    async def serves(socket: ServerConnection) -> None:
        await socket.recv()
        for message in messages:
            await socket.send(json.dumps(message))
        await socket.wait_closed()

    async with asyncio.timeout(DEADLINE), serve(serves, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with LiveTranscription(base_url=url, **settings).connect() as part:
            yield part


async def failure(part: StreamingSpeechToText) -> Exception:
    with pytest.raises(Exception) as error:  # noqa: PT011 - the test looks at it
        async for _piece in part.hear(Speech.complete(np.full(1600, 3000, np.int16))):
            pass
    return error.value


def test_who_asks_a_server_that_never_begins_hears_so_each_time() -> None:
    async def work() -> None:
        async with ears(timeout=0.5) as part:
            for _ in range(2):
                error = await failure(part)
                assert isinstance(error, BackendError)
                assert "did not accept the session within 0.5 s" in str(error)
                assert error.retryable

    asyncio.run(work())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("no such session", "refuses the session (no such session): check the settings"),
        ({"message": "no such session", "code": ["a", "list"]}, "refuses the session (no such session)"),
        ([], "refuses the session (no message)"),
    ],
)
def test_an_error_in_a_form_of_its_own_is_a_refusal_and_no_bug_of_ours(error: Any, told: str) -> None:
    async def work() -> None:
        async with ears({"type": "error", "error": error}) as part:
            for _ in range(2):
                refusal = await failure(part)
                assert isinstance(refusal, BackendError)
                assert told in str(refusal)

    asyncio.run(work())


def test_a_bug_is_told_to_everyone_who_asks() -> None:
    async def work() -> None:
        async with asyncio.timeout(DEADLINE), RealtimeEmulator() as server:
            part = LiveTranscription(base_url=server.base_url, raw={"include": object()})
            async with part.connect() as connected:
                for _ in range(2):
                    assert isinstance(await failure(connected), TypeError)

    asyncio.run(work())

"""Sessions that only transcribe and do not begin or end as they should, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.live import LiveTranscription
from websockets.asyncio.server import ServerConnection, serve

from fishjam_agents.backends.cascade import Speech, StreamingSpeechToText, Transcript
from fishjam_agents.errors import BackendError

DEADLINE = 50.0
SOUND = np.full(1600, 3000, np.int16)


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


@asynccontextmanager
async def emulated(**settings: Any) -> AsyncIterator[tuple[StreamingSpeechToText, RealtimeEmulator]]:
    async with (
        asyncio.timeout(DEADLINE),
        RealtimeEmulator() as server,
        LiveTranscription(base_url=server.base_url, **settings).connect() as part,
    ):
        yield part, server


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - of many things
        await asyncio.sleep(0.005)


async def failure(part: StreamingSpeechToText, speech: Speech | None = None) -> Exception:
    with pytest.raises(Exception) as error:  # noqa: PT011 - the test looks at it
        async for _piece in part.hear(speech or Speech.complete(SOUND)):
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
        async with emulated(raw={"include": object()}) as (part, _server):
            for _ in range(2):
                assert isinstance(await failure(part), TypeError)

    asyncio.run(work())


def test_turns_that_were_taken_back_while_the_service_wrote_leave_no_sound_behind() -> None:
    async def taken_back(part: StreamingSpeechToText, server: RealtimeEmulator) -> weakref.ref[Speech]:
        speech = Speech("ann")

        written = asyncio.Event()

        async def hears() -> None:
            async for piece in part.hear(speech):
                if isinstance(piece, Transcript) and piece.text == "Hm":
                    written.set()

        server.transcripts.append(["Hm", DEADLINE, "too late"])
        task = asyncio.create_task(hears())
        speech.append(SOUND)
        speech.pause(0.1)
        await written.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: not server.transcribing[0].writing)
        return weakref.ref(speech)

    async def work() -> None:
        async with emulated() as (part, server):
            turns = [await taken_back(part, server) for _ in range(3)]
            gc.collect()
            assert [turn() for turn in turns] == [None] * 3
            assert server.transcribing[0].withdrawn == 3

    asyncio.run(work())


def test_a_service_that_takes_no_more_sound_is_left_while_the_turn_goes_on() -> None:
    async def work() -> None:
        async with emulated(keepalive=1.0) as (part, server):
            speech = Speech("ann")
            speech.append(SOUND)
            hears = asyncio.create_task(failure(part, speech))
            await until(lambda: bool(server.transcribing and server.transcribing[0].segments))
            server.lines[0].stall()
            # More than the buffers of two sockets hold.
            speech.append(np.tile(SOUND, 5000))
            error = await hears
            assert isinstance(error, BackendError)
            assert error.retryable
            assert "has taken no sound for 1 s" in str(error)

    asyncio.run(work())

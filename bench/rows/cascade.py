"""Overhead of a cascade over the requests of its parts, and the time it takes to cancel them all."""

from __future__ import annotations

import asyncio
import contextlib
import io
import statistics
import time
import wave
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from fishjam_agents_openai import Chat, Speech, Transcription
from fishjam_agents_openai.emulator import Answer, Emulator
from openai import AsyncOpenAI

from bench.table import Row, percentile
from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.events import Turn

_HANG_UP_MS = 100.0
_ADDED_MS = 10.0
_WAIT = 120.0
_WARM = 5
"""Turns that are not counted."""
_FOREVER = 60.0
_SPEECH = bytes(4800)
_WORD = bytes(960)
"""20 ms: all turns together are less than a cascade makes ahead of what is heard, which would hold it up."""
_TURN = np.random.default_rng(1).integers(-8000, 8000, 32000).astype(np.int16)
"""Two seconds."""


async def measure(quick: bool) -> list[Row]:
    """Against the emulator of `fishjam_agents_openai`, in this process, through the real client."""
    async with asyncio.timeout(_WAIT):
        return [await _hang_up(3 if quick else 40), await _added(3 if quick else 200)]


class _Stamps(list[str]):
    """Paths on which the server saw its client hang up, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, path: str) -> None:
        self.times.append(time.perf_counter())
        super().append(path)


class _Call:
    """A cascade behind the pipeline's own link."""

    def __init__(self, link: BackendLink, events: list[tuple[float, port.BackendEvent]]) -> None:
        self._link = link
        self.events = events
        self._turns = 0

    def put(self, entry: port.BackendInput) -> float:
        now = time.perf_counter()
        self._link.put(entry)
        return now

    def turn(self) -> float:
        """A turn is over; when it was."""
        self._turns += 1
        self.put(port.TurnStartedInput("ann", float(self._turns)))
        turn = Turn(f"turn-{self._turns}", "ann", "mic", float(self._turns), self._turns + 2.0)
        return self.put(port.TurnEndedInput(turn, _TURN))

    async def first(self, kind: type[port.BackendEvent]) -> float:
        """Wait for the first event of a kind and return its time."""
        await _until(lambda: any(isinstance(event, kind) for _, event in self.events))
        return next(at for at, event in self.events if isinstance(event, kind))


@contextlib.asynccontextmanager
async def _call(server: Emulator, *, preemptive: bool = False) -> AsyncIterator[_Call]:
    url = server.base_url
    cascade = Cascade(
        [Transcription(model="ear", base_url=url, stream=preemptive)],
        [Chat(model="mind", base_url=url)],
        [Speech(model="voice", voice="v", base_url=url)],
        preemptive=preemptive,
    )
    events: list[tuple[float, port.BackendEvent]] = []
    link = BackendLink(
        cascade, "bench", lambda event: events.append((time.perf_counter(), event)), lambda seconds: None
    )
    running = asyncio.create_task(link.run())
    try:
        await link.connected.wait()
        yield _Call(link, events)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _hang_up(times: int) -> Row:
    """Somebody speaks over the bot while words and sound stream; and goes on while a transcript streams."""
    replies, transcripts = [], []
    stamps = _Stamps()
    async with Emulator(hung_up=stamps) as server:
        async with _call(server) as call:
            for _ in range(times):
                server.chats.append(Answer(["Well. ", _FOREVER, "Never."]))
                server.speeches.append(Answer([_SPEECH, _FOREVER, _SPEECH]))
                call.events.clear()
                call.turn()
                await call.first(port.ReplyAudio)
                replies.append(await _closed(stamps, 2, call.put(port.InterruptInput(None))))
        async with _call(server, preemptive=True) as call:
            for number in range(times):
                server.transcripts.append(Answer(["Well", _FOREVER, "never."]))
                asked = len(server.requests)
                call.put(port.TurnPausedInput("ann", float(number), _TURN))
                await _until(lambda asked=asked: len(server.requests) > asked and server.answering > 0)
                await asyncio.sleep(0.02)
                resumed = call.put(port.TurnResumedInput("ann"))
                transcripts.append(await _closed(stamps, 1, resumed))
    worst = max(*replies, *transcripts)
    return Row(
        "cascade: barge-in to closed upstream connections, as the server sees it",
        f"{_HANG_UP_MS:g} ms",
        f"model and voice: median {statistics.median(replies):.1f}, worst {max(replies):.1f} ms; "
        f"transcript begun at a pause: median {statistics.median(transcripts):.1f}, "
        f"worst {max(transcripts):.1f} ms ({times} times each)",
        within=worst <= _HANG_UP_MS,
    )


async def _closed(stamps: _Stamps, count: int, since: float) -> float:
    """Milliseconds until the last of so many connections was closed."""
    await _until(lambda: len(stamps) == count)
    took = 1000 * (stamps.times[-1] - since)
    stamps.clear()
    stamps.times.clear()
    return took


async def _added(turns: int) -> Row:
    """Turn by turn, ours and bare."""
    ours, bare = [], []
    async with Emulator() as server:
        client = AsyncOpenAI(api_key="none", base_url=server.base_url, max_retries=0)
        async with client, _call(server) as call:
            for _ in range(turns + _WARM):
                for _ in range(2):
                    server.transcripts.append(Answer(["How are you?"]))
                    server.chats.append(Answer(["I am fine. "]))
                    server.speeches.append(Answer([_WORD, _WORD]))
                call.events.clear()
                begun = call.turn()
                ours.append(1000 * (await call.first(port.ReplyAudio) - begun))
                await call.first(port.ReplyAudioEnded)
                bare.append(await _bare(client))
    ours, bare = ours[_WARM:], bare[_WARM:]
    added = statistics.median(ours) - statistics.median(bare)
    return Row(
        "cascade: turn ended to first audio, over the same three requests",
        f"{_ADDED_MS:g} ms",
        f"{added:+.1f} ms: median {statistics.median(ours):.1f}, p99 {percentile(ours, 99):.1f} ms "
        f"({turns} turns)",
        f"bare openai client: median {statistics.median(bare):.1f}, p99 {percentile(bare, 99):.1f} ms",
        added <= _ADDED_MS,
    )


async def _bare(client: AsyncOpenAI) -> float:
    """The three requests one after the other; milliseconds to the first sound."""
    begun = time.perf_counter()
    heard = await client.audio.transcriptions.create(model="ear", file=("turn.wav", _wav(), "audio/wav"))
    asked: Any = {"role": "user", "content": heard.text}
    words = ""
    stream = await client.chat.completions.create(
        model="mind", messages=[asked], stream=True, stream_options={"include_usage": True}
    )
    first = 0.0
    async for chunk in stream:
        if not words and chunk.choices and chunk.choices[0].delta.content:
            words = chunk.choices[0].delta.content
            speech = client.audio.speech.with_streaming_response.create(
                model="voice", voice="v", input=words.strip(), response_format="pcm"
            )
            async with speech as answer:
                async for _ in answer.iter_bytes():
                    first = first or time.perf_counter()
    return 1000 * (first - begun)


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16000)
        writer.writeframes(_TURN.tobytes())
    return file.getvalue()


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - what is waited for is on the other side of a socket
        await asyncio.sleep(0.002)

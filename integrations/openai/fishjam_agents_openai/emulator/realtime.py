"""The WebSocket side of the emulator: OpenAI Realtime in the order of its own events."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from fishjam_agents_openai.emulator.connection import EmulatorConnection
from fishjam_agents_openai.emulator.steps import (
    Close,
    Failed,
    Incomplete,
    NextItem,
    Raw,
    ScriptStep,
    ServerError,
    Sound,
    Tool,
    Words,
)
from fishjam_agents_openai.emulator.transcription import TranscriptionConnection, TranscriptStep

__all__ = [
    "Close",
    "EmulatorConnection",
    "Failed",
    "Incomplete",
    "NextItem",
    "Raw",
    "RealtimeEmulator",
    "ServerError",
    "Sound",
    "Tool",
    "TranscriptionConnection",
    "Words",
]
_CLOSE_SECONDS = 1.0
_WRONG_KEY = {
    "type": "invalid_request_error",
    "code": "invalid_api_key",
    "message": "Incorrect API key provided.",
    "param": None,
    "event_id": None,
}


def _length(seconds: float) -> str:
    return f"I spoke for {seconds:.0f} seconds."


@dataclass(eq=False)
class RealtimeEmulator:
    """The server; an async context manager.

    Attributes:
        answers: What the model says to each turn, the next one first; without one it says that it heard.
        asides: What it answers to questions out of band, likewise.
        key: The key it wants, as a bearer or as `api-key`; None takes any.
        key_refused: Whether another key is refused with 401 or by an error on the open socket and code 3000.
        stumbles: How many sessions, from now on, are answered with an error of the server.
        refuse: A status with which connections are refused, or the close that ends each at once.
        retry_after: What `Retry-After` says where a status refuses a connection; None is not sent.
        mute: Whether it takes connections and never says a word.
        beta: Whether it knows only names and sessions of the old beta.
        model: Made for each connection; what it gives is said where there are no `answers`.
        words: What a turn is understood as, given its seconds.
        transcripts: What the segments of sessions that only transcribe are understood as, the next one first;
            without one it says that it heard.
        transcribers: Models that such a session may have; None takes any.
        completed: When transcripts of such sessions were sent that are complete, loop time.
        connections: Events received on each connection.
        queries: The query of each connection.
        headers: The headers of each connection.
        lines: Each connection.
    """

    answers: deque[Sequence[ScriptStep]] = field(default_factory=deque)
    asides: deque[Sequence[ScriptStep]] = field(default_factory=deque)
    key: str | None = None
    key_refused: Literal["status", "close"] = "status"
    stumbles: int = 0
    refuse: int | Close | None = None
    retry_after: int | None = None
    mute: bool = False
    beta: bool = False
    model: Callable[[EmulatorConnection], Callable[[], Sequence[ScriptStep]]] | None = None
    words: Callable[[float], str] = _length
    transcripts: deque[Sequence[TranscriptStep]] = field(default_factory=deque)
    transcribers: frozenset[str] | None = None
    completed: list[float] = field(default_factory=list)
    connections: list[list[dict[str, Any]]] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lines: list[EmulatorConnection] = field(default_factory=list)

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 is any that is free."""
        self._server: Server = await serve(
            self._serve,
            "127.0.0.1",
            port,
            process_request=self._admit,
            compression=None,
            max_size=None,
            close_timeout=_CLOSE_SECONDS,
        )

    @property
    def listening(self) -> bool:
        """True once it has been started."""
        return hasattr(self, "_server")

    @property
    def base_url(self) -> str:
        """Base URL for the backend."""
        return f"http://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}/v1"

    @property
    def received(self) -> list[dict[str, Any]]:
        """Events of all connections but the audio."""
        every = itertools.chain.from_iterable(self.connections)
        return [event for event in every if event["type"] != "input_audio_buffer.append"]

    @property
    def open(self) -> list[EmulatorConnection]:
        """The connections that are open and answer."""
        return [line for line in self.lines if line.open]

    async def stop(self) -> None:
        """End every connection."""
        for line in self.lines:
            if line.stalled:
                line.abort()
        self._server.close()
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self.stop()

    def answer(self, line: EmulatorConnection, apart: bool) -> Sequence[ScriptStep]:
        """Return the steps to say next."""
        if apart:
            return self.asides.popleft() if self.asides else ["Nothing of note."]
        if line.model is not None and not self.answers:
            return line.model()
        return self.answers.popleft() if self.answers else ["I heard you. ", "That was all."]

    def transcript(self) -> Sequence[TranscriptStep]:
        """Return what the next segment of a session that only transcribes is understood as."""
        return self.transcripts.popleft() if self.transcripts else ["I ", "heard ", "you."]

    @property
    def transcribing(self) -> list[TranscriptionConnection]:
        """The connections that only transcribe."""
        return [line for line in self.lines if isinstance(line, TranscriptionConnection)]

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if isinstance(self.refuse, int):
            response = connection.respond(HTTPStatus(self.refuse), "refused\n")
            if self.retry_after is not None:
                response.headers["Retry-After"] = str(self.retry_after)
            return response
        if self.key_refused == "status" and not self._knows(request):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Incorrect API key provided\n")
        return None

    def _knows(self, request: Request) -> bool:
        bearer, key = request.headers.get("Authorization"), request.headers.get("api-key")
        given = bearer.removeprefix("Bearer ") if bearer is not None else key
        return self.key is None or given == self.key

    async def _serve(self, socket: ServerConnection) -> None:
        events: list[dict[str, Any]] = []
        self.connections.append(events)
        assert socket.request is not None
        self.queries.append(parse_qs(urlsplit(socket.request.path).query))
        self.headers.append({name.lower(): value for name, value in socket.request.headers.raw_items()})
        transcribes = self.queries[-1].get("intent") == ["transcription"]
        line = TranscriptionConnection(self, socket) if transcribes else EmulatorConnection(self, socket)
        self.lines.append(line)
        try:
            if isinstance(self.refuse, Close):
                await line.close(self.refuse)
            if not self._knows(socket.request):
                await line.send_event("error", error=_WRONG_KEY)
                await line.close(Close(3000, "invalid_request_error.invalid_api_key"))
            if not self.mute:
                kind = "transcription" if transcribes else "realtime"
                await line.send_event("session.created", session={"type": kind})
            async for message in socket:
                event = json.loads(message)
                events.append(event)
                if not self.mute:
                    await line.take(event)
        except ConnectionClosed:
            pass
        finally:
            await line.end()

"""The HTTP side of the emulator: requests are kept, answers streamed, clients that hang up noticed."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from fishjam_agents_openai.emulator.answers import (
    Answer,
    Broken,
    Sent,
    chat_events,
    crumbs,
    in_wav,
    sound,
    transcript_events,
)
from fishjam_agents_openai.emulator.dialects import OPENAI, Dialect
from fishjam_agents_openai.emulator.refusals import refusal

_HEAD_LIMIT = 65536
_DEADLINE = 60.0
"""Seconds for a request to arrive, and to be answered."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Attributes:
        path: Its path, without `/v1`.
        headers: By lower-case name.
        fields: The JSON body, or the fields of the form.
        file: The file of a form.
        query: The fields of the address.
    """

    path: str
    headers: Mapping[str, str]
    fields: Mapping[str, Any]
    file: bytes = b""
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Emulator:
    """The server; an async context manager.

    Attributes:
        chats: Answers to `/chat/completions`, the next one first; without one it repeats what the user said.
        transcripts: Answers to `/audio/transcriptions`; without one it says how long the turn was.
        speeches: Answers to `/audio/speech`; without one it plays a tone for each letter.
        model: What answers where there are no `chats`; where it gives none, what the user said is repeated.
        dialect: Whose ways it has (`DIALECTS`).
        key: The key it wants, as `Authorization: Bearer` or in Azure's way as `api-key`; None takes any.
        idle: Seconds for which a connection is kept that asks nothing.
        requests: What it was asked.
        hung_up: Paths whose client hung up before the answer was complete.
        answering: How many requests are being answered now.
    """

    chats: deque[Answer] = field(default_factory=deque)
    transcripts: deque[Answer] = field(default_factory=deque)
    speeches: deque[Answer] = field(default_factory=deque)
    model: Callable[[Request], Answer | None] | None = None
    dialect: Dialect = OPENAI
    key: str | None = None
    idle: float = _DEADLINE
    requests: list[Request] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)
    answering: int = field(default=0, init=False)
    _connections: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _server: asyncio.Server | None = field(default=None, init=False)

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1.

        Args:
            port: Where; 0 is any that is free.
        """
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port, limit=_HEAD_LIMIT)

    @property
    def base_url(self) -> str:
        """Base URL for a part."""
        assert self._server is not None, "start it first"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    @property
    def running(self) -> bool:
        """True while it listens."""
        return self._server is not None and self._server.is_serving()

    @property
    def open_connections(self) -> int:
        """Number of clients that are connected."""
        return len(self._connections)

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
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

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                while True:
                    async with asyncio.timeout(self.idle):
                        try:
                            request = await _read(reader)
                        except (ValueError, IndexError):
                            # That was no request: whoever sent it has lost count.
                            return
                    async with asyncio.timeout(_DEADLINE):
                        self.requests.append(request)
                        if not await self._watched(request, reader, writer):
                            return
        finally:
            writer.close()

    async def _watched(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer while the client is there; False when the connection is over."""
        answer = asyncio.ensure_future(self._answer(request, writer))
        # A client says nothing while it waits: what can be read is its end.
        gone = asyncio.ensure_future(reader.read(1))
        self.answering += 1
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self.hung_up.append(request.path)
                return False
            return answer.result() and not gone.done()
        finally:
            self.answering -= 1
            for task in (answer, gone):
                task.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        given = (request.headers.get("authorization"), request.headers.get("api-key"))
        if self.key is not None and given not in ((f"Bearer {self.key}", None), (None, self.key)):
            return await _whole(writer, Answer(["Incorrect API key provided"], status=401))
        match request.path:
            case "/chat/completions" if not isinstance(request.fields.get("messages"), list):
                return await _whole(writer, Answer(["messages: field required"], status=400))
            case "/chat/completions":
                refused = refusal(request.fields, self.dialect)
                if refused is not None:
                    return await _whole(writer, refused)
                answer = self.chats.popleft() if self.chats else self._chat(request)
                pieces = chat_events(answer, request.fields, self.dialect)
            case "/audio/transcriptions":
                answer = self.transcripts.popleft() if self.transcripts else _length(request)
                pieces = transcript_events(answer, self.dialect)
                if request.fields.get("stream") != "true" or not answer.streams:
                    await asyncio.sleep(answer.pauses)
                    if any(isinstance(step, Broken) for step in answer.steps):
                        writer.transport.abort()
                        return False
                    return await _whole(writer, answer)
            case "/audio/speech":
                return await self._speak(request, writer)
            case path:
                return await _whole(writer, Answer([f"there is no {path}"], status=404))
        if answer.status != 200 or answer.kind is not None:
            return await _whole(writer, answer)
        return await _stream(writer, "text/event-stream", crumbs(pieces) if answer.crumbs else pieces)

    def _chat(self, request: Request) -> Answer:
        return (self.model(request) if self.model is not None else None) or _echo(request)

    async def _speak(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        dialect, fields = self.dialect, request.fields
        if dialect.voices is not None and fields.get("model") not in dialect.voices:
            known = ", ".join(sorted(dialect.voices))
            refusal = f"Unsupported model: {fields.get('model')}. Supported models: {known}"
            return await _whole(writer, Answer([refusal], status=400))
        if dialect.needs_voice and not fields.get("voice"):
            return await _whole(writer, Answer(["voice: field required"], status=422))
        rate = fields.get("sample_rate", 24000) if dialect.rates else 24000
        answer = self.speeches.popleft() if self.speeches else Answer([*sound(fields["input"], rate)])
        if answer.status != 200 or answer.kind is not None:
            return await _whole(writer, answer)
        if fields.get("response_format") != "pcm":
            # What every one of these servers sends where nobody says otherwise.
            return await _whole(writer, Answer(["ID3"], kind="audio/mpeg"))
        if dialect.wav:
            answer = in_wav(answer, rate)
        pieces = (step for step in answer.steps if isinstance(step, bytes | float | Broken))
        return await _stream(writer, answer.label, crumbs(pieces) if answer.crumbs else pieces)


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    address = urlsplit(first.split(" ")[1])
    path = address.path.removeprefix("/v1")
    query = dict(parse_qsl(address.query))
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    kind = headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        fields, file = _form(body, kind.partition("boundary=")[2])
        return Request(path, headers, fields, file, query)
    return Request(path, headers, json.loads(body) if body else {}, query=query)


def _form(body: bytes, boundary: str) -> tuple[dict[str, str], bytes]:
    fields: dict[str, str] = {}
    file = b""
    for part in body.split(b"--" + boundary.strip('"').encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        if b"filename=" in head:
            file = content
        elif name is not None:
            fields[name.group(1).decode()] = content.decode()
    return fields, file


async def _whole(writer: asyncio.StreamWriter, answer: Answer) -> bool:
    """An answer in one piece: an error, words, or a transcript."""
    kind = answer.kind or ("text/plain" if answer.plain else "application/json")
    if answer.status != 200:
        body = json.dumps({"error": {"message": answer.words, "type": "error", "code": answer.code}}).encode()
    elif answer.kind is not None:
        body = answer.words.encode()
    elif answer.plain:
        body = f"{answer.words}\n".encode()
    else:
        usage = {"type": "duration", "seconds": 2}
        body = json.dumps({"text": answer.words, "usage": usage}).encode()
    headers = {"Content-Type": kind, "Content-Length": len(body), **answer.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {answer.status} Status\r\n{lines}\r\n".encode() + body)
    await writer.drain()
    return True


async def _stream(writer: asyncio.StreamWriter, kind: str, pieces: Iterable[Sent]) -> bool:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    begun = False
    for piece in pieces:
        if isinstance(piece, float):
            await asyncio.sleep(piece)
            continue
        if isinstance(piece, Broken):
            writer.transport.abort()
            return False
        # A pause before the first piece holds back the head, too: the server is not ready yet.
        writer.write((b"" if begun else head.encode()) + f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        begun = True
        await writer.drain()
    writer.write((b"" if begun else head.encode()) + b"0\r\n\r\n")
    await writer.drain()
    return True


def _echo(request: Request) -> Answer:
    said = [message["content"] for message in request.fields["messages"] if message["role"] == "user"]
    words = said[-1] if said and isinstance(said[-1], str) else "nothing"
    return Answer(["You said", f": {words} ", "That is all I know. ", "Ask me again."])


def _length(request: Request) -> Answer:
    seconds = max(len(request.file) - 44, 0) / 2 / 16000
    return Answer([f"I spoke for {seconds:.0f} seconds."])

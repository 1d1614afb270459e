"""The listening side: TLS, the upgrade, keys, and how a test makes it misbehave."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections import deque
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from .access import status_of
from .answers import Answer, parrot
from .certificate import HOST, make_certificate, temporary_folder
from .connection import Connection
from .state import Handles

if TYPE_CHECKING:
    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

Refusal: TypeAlias = int | tuple[int, str] | dict[str, Any] | str | None
"""See `GeminiEmulator.refusals`."""


class GeminiEmulator:
    """Gemini Live at `https://127.0.0.1:PORT`, on a port of the system's choice.

    Args:
        answer: What the model says, unless `answers` has something.
        key: The key that is accepted: of the Gemini API, an ephemeral token (`auth_tokens/...`), or the
            access token of Google Cloud where a client asks for Vertex AI.
        binary: Whether messages are sent as binary frames, as the service is said to do.
        handles: Whether sessions can be resumed.
        port: Where it listens; 0 is any that is free.
        folder: Where its certificate goes, for one that takes the place of another; None makes one.

    Attributes:
        url: What `base_url` has to be.
        certificate: What `SSL_CERT_FILE` has to be.
        connections: Every connection that sent a setup, in order.
        answers: Answers to the next requests, in order, over all connections.
        refusals: What becomes of the next connections, in order: an HTTP status at the upgrade; a close code
            with its reason, a message (dict), `silence` or `abort` in place of setupComplete; None for
            nothing unusual.
        refusing: What becomes of every connection once there are no `refusals`.
        retry_after: What `Retry-After` says where an HTTP status refuses a connection; None is not sent.
        models: The models there are; None has any.
        unknown_handle: Close code and reason for a resumption handle that is unknown or expired. The service
            mostly says this, and sometimes 1007 with "Invalid session handle".
    """

    def __init__(
        self,
        answer: Answer = parrot,
        *,
        key: str = "test-key",
        binary: bool = True,
        handles: bool = True,
        port: int = 0,
        folder: Path | None = None,
    ) -> None:
        self.answer = answer
        self.key = key
        self.binary = binary
        self.resumable = handles
        self.handles = Handles()
        self.connections: list[Connection] = []
        self.answers: deque[Answer] = deque()
        self.refusals: deque[Refusal] = deque()
        self.refusing: Refusal = None
        self.retry_after: int | None = None
        self.models: set[str] | None = None
        self.unknown_handle = (1008, "BidiGenerateContent session not found")
        self.url = ""
        self.certificate = Path()
        self.upgrades = 0
        self._calls = itertools.count(1)
        self._arrived = asyncio.Condition()
        self._port = port
        self._given_folder = folder
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._server: Server

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which any program on google-genai talks to this emulator."""
        return {
            "GOOGLE_GEMINI_BASE_URL": self.url,
            "SSL_CERT_FILE": str(self.certificate),
            "GOOGLE_API_KEY": self.key,
            "NO_PROXY": f"{HOST},localhost",
        }

    async def __aenter__(self) -> GeminiEmulator:
        from websockets.asyncio.server import serve

        folder = self._given_folder
        if folder is None:
            self._folder = temporary_folder()
            folder = Path(self._folder.name)
        self.certificate, context = make_certificate(folder)
        self._server = await serve(
            self._serve,
            HOST,
            self._port,
            ssl=context,
            process_request=self._upgrade,
            max_size=None,
            ping_interval=None,
            close_timeout=1,
        )
        self.url = f"https://{HOST}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self.connections:
            if not connection.closed.is_set():
                connection.thaw()
        self._server.close()
        await self._server.wait_closed()
        if self._folder is not None:
            self._folder.cleanup()

    async def connection(self, number: int) -> Connection:
        """Wait for the connection of that number, counted from 0, to have sent its setup."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.connections) > number)
        return self.connections[number]

    def _upgrade(self, socket: ServerConnection, request: Request) -> Response | None:
        self.upgrades += 1
        status = status_of(request.path, request.headers, self.key)
        refusal = self.refusals[0] if self.refusals else self.refusing
        if status is None and isinstance(refusal, int):
            status = HTTPStatus(refusal)
            if self.refusals:
                self.refusals.popleft()
        if status is None:
            return None
        response = socket.respond(status, "refused\n")
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(self.retry_after)
        return response

    async def _serve(self, socket: ServerConnection) -> None:
        connection = Connection(self, socket)
        refusal = self.refusals.popleft() if self.refusals else self.refusing
        if not await connection.open(refusal):
            return
        async with self._arrived:
            self.connections.append(connection)
            self._arrived.notify_all()
        await connection.run()

    def next_call(self) -> str:
        """An id for a tool call."""
        return f"call-{next(self._calls)}"

    def next_answer(self) -> Answer:
        """Return the next answer of the model."""
        return self.answers.popleft() if self.answers else self.answer

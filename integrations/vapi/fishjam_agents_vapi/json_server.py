"""JSON over HTTP/1.1: the webhook Vapi asks for tool results, and the REST side of the emulator."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

import h11

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.json_limits import read_json

logger = logging.getLogger(__name__)

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a request's body; a long conversation comes with every tool call."""
READ_DEADLINE = 10.0
"""Seconds a request may take to arrive."""
ANSWER_DEADLINE = 60.0
"""Seconds an answer may take; Vapi waits 20 s for a tool by default."""


@dataclass(frozen=True, slots=True)
class JsonRequest:
    """A request.

    Attributes:
        method: Upper case.
        path: Path with its query.
        headers: By lower-case name.
        body: The body decoded; None when it is empty or no JSON.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


Answer: TypeAlias = tuple[int, Any]
"""Status, and what is sent as JSON; None sends nothing."""


class JsonServer:
    """One request per connection, each answered by `answer`.

    Args:
        answer: Takes a request; what it raises becomes a 500.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
    """

    def __init__(
        self, answer: Callable[[JsonRequest], Awaitable[Answer]], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._answer = answer
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        """Base URL at which it listens."""
        return f"http://{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            FishjamAgentsError: The address cannot be listened on.
        """
        try:
            self._server = await asyncio.start_server(self._connected, self._host, self._port)
        except OSError as error:
            raise FishjamAgentsError(
                f"cannot listen on {self._host}:{self._port} ({error.strerror or error}): choose another port"
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Tasks that `start_server` makes itself log a traceback when they are cancelled (Python 3.11).
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._exchange(reader, writer)
        except (OSError, TimeoutError, h11.RemoteProtocolError) as error:
            logger.debug("a request was not answered: %r", error)
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        async with asyncio.timeout(READ_DEADLINE):
            request = await _read(connection, reader)
        try:
            async with asyncio.timeout(ANSWER_DEADLINE):
                status, content = (413, None) if request is None else await self._answer(request)
        except Exception:  # a request must not end the server, whatever was made of it
            logger.exception("a request could not be answered")
            status, content = 500, {"message": "internal error"}
        body = b"" if content is None else json.dumps(content).encode()
        headers = [("content-length", str(len(body))), ("connection", "close")]
        if body:
            headers.append(("content-type", "application/json"))
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            writer.write(connection.send(event) or b"")
        async with asyncio.timeout(READ_DEADLINE):
            await writer.drain()


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> JsonRequest | None:
    """The request; None when its body is too large."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY:
                return None
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            break
        else:
            raise h11.RemoteProtocolError("the client hung up")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
    try:
        content = read_json(bytes(body)) if body else None
    except ValueError:
        content = None
    return JsonRequest(head.method.decode(), head.target.decode("latin-1"), headers, content)

"""The WebSocket side of the emulator: OpenAI Realtime in the order of its own events."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from fishjam_agents_openai.emulator.answers import sound

_RATE = 24000
_LOUD = 500
"""Peak of a frame, of 32768, that the emulated `server_vad` takes for speech."""
_QUIET = 0.5


@dataclass(frozen=True, slots=True)
class Tool:
    """The model calls a tool."""

    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class Close:
    """The connection ends: with a code, or cut off at 1006."""

    code: int = 1006
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Raw:
    """An event as it is."""

    event: dict[str, Any]


Said: TypeAlias = str | float | Tool | Close | Raw
"""Words that are spoken, a pause in seconds, or something else that happens."""


@dataclass(eq=False)
class RealtimeEmulator:
    """The server; an async context manager.

    Attributes:
        answers: What the model says to each turn, the next one first; without one it says that it heard.
        key: The key it wants; None takes any.
        refuse: A status with which connections are refused.
        mute: Whether the session is never confirmed.
        beta: Whether audio has the names of the old beta.
        connections: Events received on each connection.
        queries: The query of each connection.
    """

    answers: deque[Sequence[Said]] = field(default_factory=deque)
    key: str | None = None
    refuse: int | None = None
    mute: bool = False
    beta: bool = False
    connections: list[list[dict[str, Any]]] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 is any that is free."""
        self._server: Server = await serve(
            self._serve, "127.0.0.1", port, process_request=self._admit, compression=None, max_size=None
        )

    @property
    def base_url(self) -> str:
        """What the backend is told."""
        return f"http://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}/v1"

    @property
    def received(self) -> list[dict[str, Any]]:
        """Events of all connections but the audio."""
        every = itertools.chain.from_iterable(self.connections)
        return [event for event in every if event["type"] != "input_audio_buffer.append"]

    async def stop(self) -> None:
        """End every connection."""
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

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.refuse is not None:
            return connection.respond(HTTPStatus(self.refuse), "refused\n")
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Incorrect API key provided\n")
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        events: list[dict[str, Any]] = []
        self.connections.append(events)
        assert socket.request is not None
        self.queries.append(parse_qs(urlsplit(socket.request.path).query))
        session = _Session(self, socket)
        try:
            await session.tell("session.created", session={"type": "realtime"})
            async for message in socket:
                event = json.loads(message)
                events.append(event)
                await session.take(event)
        except ConnectionClosed:
            pass
        finally:
            await session.end()


class _Session:
    def __init__(self, emulator: RealtimeEmulator, socket: ServerConnection) -> None:
        self._emulator = emulator
        self._socket = socket
        self._ids = itertools.count(1)
        self._audio = b""
        self._detects = False
        self._loud_until = 0.0
        self._heard = 0.0
        self._speech = False
        self._response: asyncio.Task[None] | None = None
        self._lengths: dict[str, float] = {}

    async def tell(self, kind: str, **fields: Any) -> None:
        await self._socket.send(json.dumps({"type": kind, "event_id": f"event_{next(self._ids)}", **fields}))

    async def take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                wanted = event["session"]
                if "audio" in wanted:
                    self._detects = wanted["audio"]["input"]["turn_detection"] is not None
                if not self._emulator.mute:
                    await self.tell("session.updated", session=wanted)
            case "input_audio_buffer.append":
                await self._append(base64.b64decode(event["audio"]))
            case "input_audio_buffer.commit":
                await self._commit()
            case "input_audio_buffer.clear":
                self._audio = b""
                await self.tell("input_audio_buffer.cleared")
            case "response.create":
                if self._active:
                    await self._refuse("conversation_already_has_active_response", "there is one already")
                else:
                    self._respond()
            case "response.cancel":
                if self._active:
                    await self._cancel("client_cancelled")
                else:
                    await self._refuse(
                        "response_cancel_not_active", "Cancellation failed: no active response found"
                    )
            case "conversation.item.create":
                item = {"id": f"item_{next(self._ids)}", **event["item"]}
                await self.tell("conversation.item.added", item=item, previous_item_id=None)
                await self.tell("conversation.item.done", item=item, previous_item_id=None)
            case "conversation.item.truncate":
                if event["audio_end_ms"] > 1000 * self._lengths.get(event["item_id"], 0.0):
                    await self._refuse("invalid_value", f"audio of {event['item_id']} is shorter than that")
                else:
                    kept = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
                    await self.tell("conversation.item.truncated", **kept)
            case "conversation.item.delete":
                await self.tell("conversation.item.deleted", item_id=event["item_id"])
            case other:
                await self._refuse("unknown_parameter", f"there is no event {other}")

    async def end(self) -> None:
        if self._response is not None:
            self._response.cancel()
            await asyncio.gather(self._response, return_exceptions=True)

    # --- what the user says ---

    async def _append(self, data: bytes) -> None:
        self._audio += data
        samples = np.frombuffer(data, "<i2")
        self._heard += len(samples) / _RATE
        if not self._detects:
            return
        if len(samples) and int(np.abs(samples.astype(int)).max()) > _LOUD:
            self._loud_until = self._heard
            if not self._speech:
                self._speech = True
                at = round(1000 * self._heard)
                await self.tell("input_audio_buffer.speech_started", audio_start_ms=at, item_id="item_user")
                if self._active:
                    await self._cancel("turn_detected")
        elif self._speech and self._heard - self._loud_until > _QUIET:
            self._speech = False
            at = round(1000 * self._heard)
            await self.tell("input_audio_buffer.speech_stopped", audio_end_ms=at, item_id="item_user")
            await self._commit()
            self._respond()

    async def _commit(self) -> None:
        seconds = len(self._audio) / 2 / _RATE
        self._audio = b""
        if seconds < 0.1:
            await self._refuse("input_audio_buffer_commit_empty", "the buffer is too small")
            return
        item = f"item_{next(self._ids)}"
        await self.tell("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        kind = "conversation.item.input_audio_transcription"
        words = f"I spoke for {seconds:.0f} seconds."
        await self.tell(f"{kind}.delta", item_id=item, content_index=0, delta=words[:7])
        usage = {"type": "duration", "seconds": seconds}
        await self.tell(f"{kind}.completed", item_id=item, content_index=0, transcript=words, usage=usage)

    # --- what the model says ---

    @property
    def _active(self) -> bool:
        return self._response is not None and not self._response.done()

    def _respond(self) -> None:
        answers = self._emulator.answers
        says = answers.popleft() if answers else ["I heard you. ", "That was all."]
        self._response = asyncio.get_running_loop().create_task(self._answer(says))

    async def _cancel(self, reason: str) -> None:
        await self.end()
        details = {"type": "cancelled", "reason": reason}
        await self._done(self._identity, "cancelled", [], status_details=details)

    async def _answer(self, says: Sequence[Said]) -> None:
        self._identity = identity = f"resp_{next(self._ids)}"
        item = f"item_{next(self._ids)}"
        place = {"response_id": identity, "item_id": item, "output_index": 0, "content_index": 0}
        name = "audio" if self._emulator.beta else "output_audio"
        await self.tell(
            "response.created",
            response={"id": identity, "object": "realtime.response", "status": "in_progress", "output": []},
        )
        message = {"id": item, "type": "message", "role": "assistant", "content": []}
        await self.tell("response.output_item.added", response_id=identity, output_index=0, item=message)
        output: list[dict[str, Any]] = [message]
        for step in says:
            match step:
                case str():
                    await self.tell(f"response.{name}_transcript.delta", **place, delta=step)
                    for piece in sound(step, _RATE):
                        delta = base64.b64encode(piece[: len(piece) & ~1]).decode()
                        self._lengths[item] = self._lengths.get(item, 0.0) + len(piece) // 2 / _RATE
                        await self.tell(f"response.{name}.delta", **place, delta=delta)
                        await asyncio.sleep(0)
                case float():
                    await asyncio.sleep(step)
                case Tool(tool, arguments):
                    call = f"call_{next(self._ids)}"
                    called = {
                        "id": f"item_{call}",
                        "type": "function_call",
                        "call_id": call,
                        "name": tool,
                        "arguments": arguments,
                    }
                    output.append(called)
                    where = {
                        "response_id": identity,
                        "item_id": called["id"],
                        "output_index": len(output) - 1,
                    }
                    await self.tell(
                        "response.function_call_arguments.done",
                        **where,
                        call_id=call,
                        name=tool,
                        arguments=arguments,
                    )
                case Close(1006):
                    self._socket.transport.abort()
                    return
                case Close(code, reason):
                    await self._socket.close(code, reason)
                    return
                case Raw(event):
                    await self._socket.send(json.dumps(event))
        await self.tell(f"response.{name}.done", **place)
        await self._done(identity, "completed", output)

    async def _done(self, identity: str, status: str, output: list[dict[str, Any]], **more: Any) -> None:
        tokens = {
            "total_tokens": 30,
            "input_tokens": 20,
            "output_tokens": 10,
            "input_token_details": {"cached_tokens": 5},
        }
        response = {
            "id": identity,
            "object": "realtime.response",
            "status": status,
            "output": output,
            "usage": tokens,
        }
        await self.tell("response.done", response=response | more)

    async def _refuse(self, code: str, message: str) -> None:
        await self.tell("error", error={"type": "invalid_request_error", "code": code, "message": message})

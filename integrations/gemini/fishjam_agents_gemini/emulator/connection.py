"""One client of the emulator: its setup, and what it is sent."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .access import refusal_of
from .listening import TOKENS_PER_SECOND, Listener
from .messages import OUTPUT_RATE, Request
from .record import Record
from .rules import JSON_SCHEMA, declarations, refusal_of_setup, runs_in_background, sees_json_schema
from .state import Handles, HistoryMessage, Session
from .vad import ServerVad

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection


class Service(Protocol):
    """The emulator as its connections know it: see `GeminiEmulator`."""

    key: str
    models: set[str] | None
    handles: Handles
    unknown_handle: tuple[int, str]
    resumable: bool
    binary: bool

    def next_call(self) -> str:
        """An id for a tool call."""

    def next_answer(self) -> Callable[[Connection, Request], Awaitable[None]]:
        """Return the next answer of the model."""


class Connection(Record):
    """A client's socket from its setup on.

    Attributes:
        setup: Its setup message.
        path: The path it asked for.
        headers: The headers of the upgrade.
        tools: The tools it declares, by name, as `FunctionDeclaration` has them; without what the model
            takes no notice of.
        session: The conversation as the model knows it.
        opened_at: When it came, loop time.
        closed: Set once it is over.
        resumed: The handle it came with, if that was accepted.
    """

    def __init__(self, emulator: Service, socket: ServerConnection) -> None:
        super().__init__()
        self._emulator = emulator
        self._socket = socket
        self.setup: dict[str, Any] = {}
        self.tools: dict[str, dict[str, Any]] = {}
        self.session = Session()
        self.resumed: str | None = None
        self.opened_at = asyncio.get_running_loop().time()
        self.closed = asyncio.Event()
        self._frozen = asyncio.Event()
        self._frozen.set()
        self._listener: Listener
        self._usage = [0, 0, 0]
        request = socket.request
        assert request is not None
        self.path = request.path
        self.headers: Mapping[str, str] = request.headers

    # --- opening ---

    async def open(self, refusal: int | tuple[int, str] | dict[str, Any] | str | None) -> bool:
        """Take the setup and answer it; False when the client was sent away."""
        from websockets.exceptions import ConnectionClosed

        try:
            first = json.loads(await self._socket.recv())
            why = refusal_of(self.path, self.headers, self._emulator.key)
            if why is not None:
                await self.close(1008, why)
                return False
            if "setup" not in first:
                await self.close(1007, "the first message must be a setup")
                return False
            self.setup = first["setup"]
            self.declare(self.setup.get("tools", []))
            return await self._welcome(refusal)
        except ConnectionClosed:
            return False

    async def _welcome(self, refusal: int | tuple[int, str] | dict[str, Any] | str | None) -> bool:
        if isinstance(refusal, tuple):
            await self.close(*refusal)
            return False
        if refusal == "silence":
            await self._socket.wait_closed()
            return False
        if refusal == "abort":
            self.abort()
            return False
        models, model = self._emulator.models, self.setup["model"].rpartition("/")[2]
        if models is not None and model not in models:
            why = (
                f"models/{model} is not found for API version v1, or is not supported for bidiGenerateContent"
            )
            await self.close(1008, why)
            return False
        unfit = refusal_of_setup(self.setup)
        if unfit is not None:
            await self.close(1007, unfit)
            return False
        handle = self.setup.get("sessionResumption", {}).get("handle")
        if handle is not None:
            known = self._emulator.handles.resume(handle)
            if known is None:
                await self.close(*self._emulator.unknown_handle)
                return False
            self.session, self.resumed = known, handle
        detection = self.setup.get("realtimeInputConfig", {}).get("automatic_activity_detection", {})
        vad = None
        if not detection.get("disabled"):
            vad = ServerVad(detection.get("silence_duration_ms", 500) / 1000)
        self._listener = Listener(self, lambda: partial(self._emulator.next_answer(), self), vad)
        if isinstance(refusal, dict):
            await self.send(refusal)
            return True
        await self.send({"setupComplete": {}})
        await self.send_handle()
        return True

    async def run(self) -> None:
        """Take messages until the client goes."""
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                await self._listener.take(json.loads(await self._socket.recv()))
        except ConnectionClosed:
            pass
        finally:
            self.closed.set()
            await self._listener.cancel()
            self.look()

    # --- what was agreed ---

    def declare(self, tools: list[dict[str, Any]]) -> None:
        """The client's tools, in the setup or in an update; they take the place of those before."""
        seen = sees_json_schema(self.setup["model"])
        self.tools = {
            each["name"]: {key: value for key, value in each.items() if seen or key not in JSON_SCHEMA}
            for each in declarations(tools)
        }

    def in_background(self, tool: str) -> bool:
        """Return whether the model talks on while a tool runs."""
        declared = self.tools.get(tool)
        return declared is not None and runs_in_background(self.setup["model"], declared)

    @property
    def interruptible(self) -> bool:
        """True if the user's speech ends the model's."""
        handling = self.setup.get("realtimeInputConfig", {}).get("activity_handling")
        return bool(handling != "NO_INTERRUPTION")

    # --- what the model does ---

    async def interrupt(self) -> None:
        """Decide that the user interrupts."""
        await self._listener.cancel()

    def add_usage(self, heard: int, seen: int) -> None:
        """Count tokens of audio and images that the turn is about."""
        self._usage[0] += heard
        self._usage[1] += seen

    async def finish_turn(self, **server_content: Any) -> None:
        """End the turn as the service does: generation, then turn with its usage, then a new handle."""
        await self.send({"serverContent": {"generationComplete": True}})
        (heard, seen, spoken), self._usage = self._usage, [0, 0, 0]
        self.session.history += (HistoryMessage("model"),)
        prompt = [{"modality": "AUDIO", "tokenCount": heard}]
        if seen:
            prompt.append({"modality": "IMAGE", "tokenCount": seen})
        await self.send(
            {
                "serverContent": {"turnComplete": True, **server_content},
                "usageMetadata": {
                    "promptTokenCount": heard + seen,
                    "responseTokenCount": spoken,
                    "totalTokenCount": heard + seen + spoken,
                    "promptTokensDetails": prompt,
                    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": spoken}],
                },
            }
        )
        await self.send_handle()

    async def send_handle(self) -> None:
        """Tell by which handle the session can be resumed from here."""
        if self._emulator.resumable and "sessionResumption" in self.setup:
            handle = self._emulator.handles.issue(self.session)
            await self.send({"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}})

    async def send_audio(self, pcm: bytes, mime_type: str = "audio/pcm;rate=24000") -> None:
        """A piece of the model's voice."""
        self._listener.spoke(len(pcm) / (2 * OUTPUT_RATE))
        self._usage[2] += len(pcm) * TOKENS_PER_SECOND // (2 * OUTPUT_RATE)
        data = base64.b64encode(pcm).decode()
        part = {"inlineData": {"mimeType": mime_type, "data": data}}
        await self.send({"serverContent": {"modelTurn": {"role": "model", "parts": [part]}}})

    async def send_transcription(self, side: Literal["input", "output"], text: str) -> None:
        """Words, if the client asked for them."""
        key = f"{side}AudioTranscription"
        if key in self.setup:
            await self.send({"serverContent": {f"{side}Transcription": {"text": text}}})

    async def call_tool(
        self, name: str, arguments: dict[str, Any] | None = None, call: str | None = None
    ) -> str:
        """Call a tool.

        Returns:
            The id of the call.
        """
        call = call or self._emulator.next_call()
        self.session.pending |= {call}
        self.session.calls = {**self.session.calls, call: name}
        made = {"id": call, "name": name, "args": _as_struct(arguments or {})}
        await self.send({"toolCall": {"functionCalls": [made]}})
        return call

    async def cancel_tool(self, call: str) -> None:
        """Take a tool call back."""
        self.session.pending -= {call}
        await self.send({"toolCallCancellation": {"ids": [call]}})

    async def go_away(self, seconds: float) -> None:
        """Announce the end of the connection."""
        await self.send({"goAway": {"timeLeft": f"{seconds:g}s"}})

    # --- the wire ---

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message of any shape."""
        await self.send_raw(json.dumps(message))

    async def send_raw(self, text: str) -> None:
        """Send text as one message, JSON or not."""
        await self._frozen.wait()
        await self._socket.send(text.encode() if self._emulator.binary else text)

    async def close(self, code: int, reason: str = "") -> None:
        """Close with a code."""
        await self._socket.close(code, reason[:120])

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._socket.transport.abort()

    def freeze(self) -> None:
        """Half-open: take nothing, say nothing, answer no ping, until the client gives up."""
        self._frozen.clear()
        self._socket.transport.pause_reading()

    def thaw(self) -> None:
        """End of `freeze`."""
        if not self._frozen.is_set():
            self._frozen.set()
            self._socket.transport.abort()

    # --- for tests ---

    def forget(self) -> None:
        """Let go of what a connection keeps beside its session: for long calls whose memory is measured."""
        self.received.clear()
        if self.closed.is_set():
            del self._socket

    async def until_received(self, name: str, times: int = 1) -> None:
        """Wait for messages of a name."""
        await self.until(lambda: len(self.of(name)) >= times)


def _as_struct(value: Any) -> Any:
    """Arguments as a protobuf `Struct` has them, and so the service: every number is a double, 7 is 7.0."""
    if isinstance(value, dict):
        return {name: _as_struct(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_struct(each) for each in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

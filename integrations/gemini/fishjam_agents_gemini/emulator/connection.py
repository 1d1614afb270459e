"""One client of the emulator: what it sent, and what it is sent."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .answers import INPUT_RATE, OUTPUT_RATE, Answer
from .messages import Received, Request, Turn
from .state import Said, Session
from .vad import ServerVad

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

    from .server import GeminiEmulator

_TOKENS_PER_SECOND = 25
_TOKENS_PER_IMAGE = 258


class Connection:
    """A client's socket from its setup on.

    Attributes:
        setup: Its setup message.
        path: The path it asked for.
        headers: The headers of the upgrade.
        received: Everything it sent after the setup.
        session: The conversation as the model knows it.
        opened_at: When it came, loop time.
        closed: Set once it is over.
        resumed: The handle it came with, if that was accepted.
    """

    def __init__(self, emulator: GeminiEmulator, socket: ServerConnection) -> None:
        self._emulator = emulator
        self._socket = socket
        self.setup: dict[str, Any] = {}
        self.received: list[Received] = []
        self.session = Session()
        self.resumed: str | None = None
        self.opened_at = asyncio.get_running_loop().time()
        self.closed = asyncio.Event()
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._turn: Turn | None = None
        self._images = 0
        self._talking: asyncio.Task[None] | None = None
        self._calls = itertools.count(1)
        self._frozen = asyncio.Event()
        self._frozen.set()
        self._vad: ServerVad | None = None
        self._spoken = [0, 0]
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
            if self.headers.get("x-goog-api-key") != self._emulator.key:
                await self.close(1008, "API key not valid. Please pass a valid API key.")
                return False
            if "setup" not in first:
                await self.close(1007, "the first message must be a setup")
                return False
            self.setup = first["setup"]
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
        models, model = self._emulator.models, self.setup["model"].removeprefix("models/")
        if models is not None and model not in models:
            why = (
                f"models/{model} is not found for API version v1, or is not supported for bidiGenerateContent"
            )
            await self.close(1008, why)
            return False
        handle = self.setup.get("sessionResumption", {}).get("handle")
        if handle is not None:
            known = self._emulator.handles.resume(handle)
            if known is None:
                await self.close(1007, "Session resumption handle is invalid or expired.")
                return False
            self.session, self.resumed = known, handle
        detection = self.setup.get("realtimeInputConfig", {}).get("automatic_activity_detection", {})
        if not detection.get("disabled"):
            self._vad = ServerVad(detection.get("silence_duration_ms", 500) / 1000)
        if isinstance(refusal, dict):
            await self.send(refusal)
            return True
        await self.send({"setupComplete": {"sessionId": f"session-{len(self._emulator.connections) + 1}"}})
        await self.send_handle()
        return True

    async def run(self) -> None:
        """Take messages until the client goes."""
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                message = json.loads(await self._socket.recv())
                await self._take(message)
        except ConnectionClosed:
            pass
        finally:
            self.closed.set()
            await self._hush()
            self._look()

    # --- what the client sends ---

    async def _take(self, message: dict[str, Any]) -> None:
        if "realtime_input" in message:
            await self._realtime(message["realtime_input"])
        elif "client_content" in message:
            await self._content(message["client_content"])
        elif "tool_response" in message:
            await self._results(message["tool_response"]["functionResponses"])
        elif "contextUpdate" in message:
            self._note("contextUpdate", message["contextUpdate"])
        else:
            await self.close(1007, f"Invalid JSON payload received. Unknown name {next(iter(message), '')!r}")

    async def _realtime(self, given: dict[str, Any]) -> None:
        manual = self._vad is None
        if "audio" in given:
            await self._audio(base64.urlsafe_b64decode(given["audio"]["data"]))
        elif "video" in given:
            self._images += 1
            data = base64.urlsafe_b64decode(given["video"]["data"])
            self._note("video", (given["video"]["mime_type"], data))
        elif "text" in given:
            self._note("text", given["text"])
            await self._answer(Request(text=given["text"]))
        elif "activityStart" in given or "activityEnd" in given:
            name = "activityStart" if "activityStart" in given else "activityEnd"
            self._note(name)
            if not manual:
                await self.close(
                    1007, "Explicit activity control is not supported when automatic detection is enabled."
                )
            elif name == "activityStart":
                await self._user_starts()
            else:
                await self._user_stops()
        elif "audioStreamEnd" in given:
            self._note("audioStreamEnd")
            if manual:
                await self.close(1007, "audioStreamEnd needs automatic activity detection.")
            elif self._vad is not None and self._vad.flush():
                await self._user_stops()

    async def _audio(self, data: bytes) -> None:
        self._note("audio", data)
        if self._vad is not None:
            verdict = self._vad.feed(np.frombuffer(data, "<i2"))
            if verdict == "start":
                await self._user_starts()
            if self._turn is not None:
                self._turn.audio.append(data)
            if verdict == "stop":
                await self._user_stops()
        elif self._turn is not None:
            self._turn.audio.append(data)

    async def _user_starts(self) -> None:
        if not self._no_interruption:
            await self._hush()
        self._turn = Turn()

    @property
    def _no_interruption(self) -> bool:
        return bool(self.setup.get("realtimeInputConfig", {}).get("activity_handling") == "NO_INTERRUPTION")

    async def _user_stops(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            await self._answer(Request(audio=b"".join(turn.audio), images=self._images))
            self._images = 0

    async def _content(self, content: dict[str, Any]) -> None:
        self._note("client_content", content)
        turns = content.get("turns", [])
        said = [Said(turn["role"], "".join(part.get("text", "") for part in turn["parts"])) for turn in turns]
        if not content.get("turnComplete"):
            self.session.history += tuple(said)
            await self.send_handle()
            return
        self.session.history += tuple(said[:-1])
        await self._answer(Request(text=said[-1].text if said else ""))

    async def _results(self, responses: list[dict[str, Any]]) -> None:
        self._note("tool_response", responses)
        session = self.session
        for response in responses:
            if response["id"] not in session.pending:
                await self.close(1007, f"No function call with id {response['id']} is pending.")
                return
            if not response.get("will_continue"):
                session.pending -= {response["id"]}
                session.answered |= {response["id"]}
        results = tuple((response["id"], response.get("response")) for response in responses)
        await self._answer(Request(results=results))

    def _note(self, name: str, value: Any = None) -> None:
        self.received.append(Received(name, value))
        self._look()

    # --- what the model does ---

    async def _answer(self, request: Request) -> None:
        await self._hush()
        self.session.history += (request.said(),)
        heard = len(request.audio) * _TOKENS_PER_SECOND // (2 * INPUT_RATE)
        self._spoken = [heard + request.images * _TOKENS_PER_IMAGE, 0]
        answer = self._emulator.next_answer()
        self._talking = asyncio.create_task(self._talk(answer, request))

    async def _talk(self, answer: Answer, request: Request) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            await answer(self, request)
        except ConnectionClosed:
            pass
        finally:
            self._talking = None

    async def _hush(self) -> None:
        """The user interrupts: what is being generated ends, and so does the turn."""
        from websockets.exceptions import ConnectionClosed

        talking, self._talking = self._talking, None
        if talking is None or talking is asyncio.current_task():
            return
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        try:
            await self.send({"serverContent": {"interrupted": True}})
            await self.send({"serverContent": {"turnComplete": True}})
            await self.send_handle()
        except ConnectionClosed:
            pass

    async def interrupt(self) -> None:
        """Decide that the user interrupts."""
        await self._hush()

    async def finish_turn(self, **server_content: Any) -> None:
        """End the turn as the service does: generation, then turn with its usage, then a new handle."""
        await self.send({"serverContent": {"generationComplete": True}})
        heard, spoken = self._spoken
        self.session.history += (Said("model"),)
        await self.send(
            {
                "serverContent": {"turnComplete": True, **server_content},
                "usageMetadata": {
                    "promptTokenCount": heard,
                    "responseTokenCount": spoken,
                    "totalTokenCount": heard + spoken,
                    "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": heard}],
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
        self._spoken[1] += len(pcm) * _TOKENS_PER_SECOND // (2 * OUTPUT_RATE)
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
        call = call or f"call-{next(self._calls)}"
        self.session.pending |= {call}
        await self.send(
            {"toolCall": {"functionCalls": [{"id": call, "name": name, "args": arguments or {}}]}}
        )
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

    def names(self) -> list[str]:
        """Names of what was received, runs of audio as one."""
        return [name for name, _ in itertools.groupby(entry.name for entry in self.received)]

    def of(self, name: str) -> list[Any]:
        """What the messages of a name carried."""
        return [entry.value for entry in self.received if entry.name == name]

    async def until(self, condition: Callable[[Connection], bool]) -> None:
        """Wait until what was received fulfils a condition."""
        if condition(self):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((lambda: condition(self), waiter))
        await waiter

    async def until_received(self, name: str, times: int = 1) -> None:
        """Wait for messages of a name."""
        await self.until(lambda connection: len(connection.of(name)) >= times)

    def _look(self) -> None:
        for entry in list(self._waiting):
            condition, waiter = entry
            if condition() and not waiter.done():
                waiter.set_result(None)
            if waiter.done():
                self._waiting.remove(entry)

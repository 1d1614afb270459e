"""One emulated call: it hears turns by their loudness and answers each with the caller's own words."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from fishjam_agents.audio.samples import Samples

from .behaviour import Behaviour, ToolUse

FRAME = 0.02
LOUD = 400
"""RMS of a frame in which somebody speaks."""
ONSET_FRAMES = 4
"""Loud frames in a row that begin a turn."""
MAX_ANSWER = 5.0
"""Seconds of a turn that are repeated."""
_NO_STATUS = 1005
TOOL_DEADLINE = 20.0
"""Seconds a webhook may take."""

logger = logging.getLogger(__name__)


class EmulatedCall:
    """A call from its creation to its end.

    Args:
        body: What it was created with.
        behaviour: How it behaves.
        tape: Takes what it is given.

    Attributes:
        id: Its id.
        status: As REST tells it.
        ended_reason: Why it ended.
        received: Control messages, in order, from the socket and `controlUrl`.
        frames: Binary frames taken.
        sounded: Those of them that were not silent.
        sizes: Their sizes in bytes.
        authorization: The header with which the media socket was opened.
        results: What webhooks answered.
        muted: Whether the assistant, and the customer, are.
    """

    def __init__(
        self, body: Mapping[str, Any], behaviour: Behaviour, tape: list[bytes | dict[str, Any]]
    ) -> None:
        self.id = str(uuid.uuid4())
        self.body = body
        self.status = "queued"
        self.ended_reason: str | None = None
        self.received: list[dict[str, Any]] = []
        self.frames = self.sounded = 0
        self.sizes: set[int] = set()
        self.authorization: str | None = None
        self.results: list[Any] = []
        self.muted = {"assistant": False, "customer": False}
        self.rate = int(body["transport"]["audioFormat"]["sampleRate"])
        self._behaviour = replace(behaviour)
        self._tape = tape
        self._socket: ServerConnection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._speaking: list[asyncio.Task[None]] = []
        self._uses = list(behaviour.tools)
        self._turn = 0
        self._loud = self._quiet = 0
        self._heard: list[Samples] = []
        self._in_turn = False
        self._last_frame = 0.0
        self._messages: list[dict[str, str]] = []
        self.stalled = False

    # --- the socket ---

    async def attend(self, socket: ServerConnection) -> None:
        """Serve its media socket until it closes."""
        self._socket = socket
        assert socket.request is not None
        self.authorization = socket.request.headers.get("Authorization")
        self.status = "in-progress"
        self._last_frame = asyncio.get_running_loop().time()
        await self._tell_status(status="in-progress")
        self._begin()
        try:
            async for message in socket:
                if isinstance(message, str):
                    self.take(json.loads(message))
                else:
                    self._hear(message)
        except ConnectionClosed:
            logger.debug("the call %s lost its socket", self.id)
        finally:
            self._socket = None
            if self.status != "ended":
                self.status, self.ended_reason = "ended", "customer-ended-call"
            await self.close()

    def _begin(self) -> None:
        behaviour = self._behaviour
        self._spawn(self._watch_silence())
        if behaviour.abort_after is not None:
            self._spawn(self._abort(behaviour.abort_after))
        if behaviour.end_after is not None:
            self._spawn(self._end_after(*behaviour.end_after))
        if behaviour.idle_audio:
            self._spawn(self._idle())
        if behaviour.garbage:
            self._spawn(self._garbage())
        first = (self.body.get("assistant") or {}).get("firstMessage")
        if isinstance(first, str):
            self._say(first, _tone(self.rate, 0.8))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is under way."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def end(self, reason: str) -> None:
        """End the call as Vapi does."""
        if self.status == "ended":
            return
        self.status, self.ended_reason = "ended", reason
        socket = self._socket
        if socket is not None:
            await self._tell_status(status="ended", endedReason=reason)
            await _close(socket, self._behaviour.close_with)

    async def _tell_status(self, **fields: str) -> None:
        asked = (self.body.get(name) or {} for name in ("assistant", "assistantOverrides"))
        if self._behaviour.status_updates or any(
            "status-update" in (each.get("clientMessages") or ()) for each in asked
        ):
            await self._tell({"type": "status-update", **fields})

    async def _tell_transcript(self, role: str, kind: str, text: str) -> None:
        if self._behaviour.finals_only and kind != "final":
            return
        name = 'transcript[transcriptType="final"]' if self._behaviour.finals_only else "transcript"
        await self._tell({"type": name, "role": role, "transcriptType": kind, "transcript": text})

    async def _tell(self, message: Mapping[str, Any]) -> None:
        if self._socket is not None and not self.stalled:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(json.dumps(message))

    async def _send(self, samples: Samples) -> None:
        if self._socket is not None and not self.stalled:
            quiet = self.muted["assistant"]
            data = np.zeros_like(samples) if quiet else samples
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(data.astype("<i2").tobytes())

    # --- what goes wrong ---

    async def _watch_silence(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._behaviour.silence_timeout
        while left > 0:
            await asyncio.sleep(left)
            left = self._last_frame + self._behaviour.silence_timeout - loop.time()
        await self.end("silence-timed-out")

    async def _abort(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.cut()

    async def _end_after(self, seconds: float, reason: str) -> None:
        await asyncio.sleep(seconds)
        await self.end(reason)

    async def _idle(self) -> None:
        while True:
            await asyncio.sleep(FRAME)
            if not self._speaking:
                await self._send(np.zeros(round(self.rate * FRAME), np.int16))

    async def _garbage(self) -> None:
        assert self._socket is not None
        for frame in (
            "no json",
            "[1]",
            '{"type": 3}',
            '{"type": "from-the-future", "x": 1}',
            b"\0",
            b"\0\0\0",
        ):
            await self._socket.send(frame)

    # --- control ---

    def take(self, message: dict[str, Any]) -> None:
        """A control message, from the socket or `controlUrl`."""
        self.received.append(message)
        self._tape.append(message)
        match message:
            case {"type": "say", "content": str(words)}:
                self._say(words, _tone(self.rate, 0.6), ends=message.get("endCallAfterSpoken") is True)
            case {"type": "add-message", "message": {"role": role, "content": words}}:
                self._messages.append({"role": str(role), "content": str(words)})
                if message.get("triggerResponseEnabled", True):
                    self._say(f"You wrote: {words}", _tone(self.rate, 0.6))
            case {"type": "control", "control": "say-first-message"}:
                self._say("Hello.", _tone(self.rate, 0.6))
            case {"type": "control", "control": str(what)}:
                verb, _, who = what.partition("-")
                self.muted[who] = verb == "mute"
            case {"type": "end-call"}:
                self._spawn(self.end("manually-canceled"))

    # --- hearing ---

    def _hear(self, data: bytes) -> None:
        self._last_frame = asyncio.get_running_loop().time()
        self.frames += 1
        self.sizes.add(len(data))
        samples = np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16)
        if samples.any():
            self.sounded += 1
            self._tape.append(data)
        if self.muted["customer"] or not len(samples):
            return
        loud = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) > LOUD
        self._loud = self._loud + 1 if loud else 0
        self._quiet = 0 if loud else self._quiet + 1
        if self._in_turn or loud:
            self._heard.append(samples)
        if not self._in_turn and not loud:
            self._heard.clear()
        if not self._in_turn and self._loud >= ONSET_FRAMES:
            self._in_turn = True
            self._turn += 1
            self._spawn(self._user(started=True))
        elif self._in_turn and self._quiet >= round(self._behaviour.quiet / FRAME):
            self._in_turn = False
            words, self._heard = np.concatenate(self._heard), []
            self._spawn(self._user(started=False))
            self._spawn(self._turn_over(words[: round(MAX_ANSWER * self.rate)]))

    async def _user(self, *, started: bool) -> None:
        if self._behaviour.speech_updates:
            status = "started" if started else "stopped"
            await self._tell({"type": "speech-update", "role": "user", "status": status, "turn": self._turn})
        if started and self._speaking:
            for speaking in self._speaking:
                speaking.cancel()
            await self._tell({"type": "user-interrupted", "turnId": str(self._turn)})
            await self._assistant("stopped")

    async def _turn_over(self, words: Samples) -> None:
        text = f"turn {self._turn}"
        for kind, said in (("partial", text[:4]), ("final", text)):
            await self._tell_transcript("user", kind, said)
        self._messages.append({"role": "user", "content": text})
        await self._tell({"type": "conversation-update", "messagesOpenAIFormatted": self._messages})
        if self._uses:
            await self._use(self._uses.pop(0))
        else:
            self._answer(text, words)

    def _answer(self, text: str, words: Samples) -> None:
        make = self._behaviour.answer
        if make is not None:
            sound = make(words)
        else:
            sound = np.resize(words, max(len(words), round(self._behaviour.at_least * self.rate)))
        if len(sound):
            self._say(f"You said {text}.", sound)

    def interrupt(self) -> None:
        """Decide that the user interrupts, without a turn."""
        self._turn += 1
        self._spawn(self._user(started=True))

    def use(self, tool: ToolUse) -> None:
        """Call a tool at once."""
        self._spawn(self._use(tool))

    def stall(self) -> None:
        """Go half-open: read nothing, say nothing, answer no ping, until it is cut."""
        if self._socket is not None:
            self.stalled = True
            self._socket.transport.pause_reading()

    async def garble(self) -> None:
        """Send frames that are no messages."""
        await self._garbage()

    async def tell_raw(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(frame)

    def cut(self) -> None:
        """Cut the socket, without a close frame."""
        if self._socket is not None:
            self._socket.transport.abort()

    @property
    def open(self) -> bool:
        """True while its socket is open."""
        return self._socket is not None and not self.stalled

    async def _use(self, tool: ToolUse) -> None:
        given: Any = dict(tool.arguments)
        if tool.arguments_as == "text":
            given = json.dumps(given)
        call = {"id": tool.id or f"call_{uuid.uuid4().hex[:8]}", "type": "function"}
        call["function"] = {"name": tool.name, "arguments": given}  # type: ignore[assignment]
        message = {"type": "tool-calls", "toolCallList": [call]}
        await self._tell(message)
        server = (self.body.get("assistantOverrides") or {}).get("server")
        if server is None:
            self._say(f"No server answers {tool.name}.", _tone(self.rate, 0.6))
            return
        plain = not server["url"].startswith("https")
        async with httpx.AsyncClient(trust_env=False, verify=not plain, timeout=TOOL_DEADLINE) as http:
            body = {"message": {**message, "call": {"id": self.id}}}
            answer = await http.post(server["url"], json=body, headers=server.get("headers"))
        self.results.append((answer.status_code, answer.json()))
        results = answer.json().get("results") or [{}]
        self._tape.extend(results)
        self._say(str(results[0].get("result", "It did not work.")), _tone(self.rate, 0.6))

    # --- speaking ---

    def _say(self, text: str, sound: Samples, *, ends: bool = False) -> None:
        before = self._speaking[-1] if self._speaking else None
        speaking = asyncio.get_running_loop().create_task(self._speak(text, sound, before, ends))
        self._speaking.append(speaking)
        self._tasks.add(speaking)
        speaking.add_done_callback(self._tasks.discard)
        speaking.add_done_callback(self._speaking.remove)

    async def _speak(self, text: str, sound: Samples, before: asyncio.Task[None] | None, ends: bool) -> None:
        if before is not None:
            await asyncio.wait({before})
        if self._behaviour.model_output:
            for piece in _pieces(text):
                await self._tell({"type": "model-output", "output": piece, "turnId": str(self._turn)})
        await self._assistant("started")
        size = round(self.rate * FRAME)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number, start in enumerate(range(0, len(sound), size), 1):
            await self._send(sound[start : start + size])
            if not self._behaviour.burst:
                await asyncio.sleep(begun + number * FRAME - loop.time())
        # It is speaking for as long as it takes to play, however soon the sound was sent.
        await asyncio.sleep(begun + len(sound) / self.rate - loop.time())
        self._messages.append({"role": "assistant", "content": text})
        await self._tell_transcript("assistant", "final", text)
        await self._assistant("stopped")
        if ends:
            await self.end("assistant-ended-call-after-message-spoken")

    async def _assistant(self, status: str) -> None:
        if self._behaviour.speech_updates:
            message = {"type": "speech-update", "role": "assistant", "status": status, "turn": self._turn}
            await self._tell(message)


async def _close(socket: ServerConnection, code: int) -> None:
    """Close a socket; 1005 stands for a close frame without a status (RFC 6455, 7.4.1)."""
    if code != _NO_STATUS:
        await socket.close(code)
        return
    with contextlib.suppress(ConnectionClosed):
        async with socket.send_context():
            socket.protocol.send_close()
        await socket.wait_closed()


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    return [word if number == 0 else f" {word}" for number, word in enumerate(words)]


def _tone(rate: int, seconds: float) -> Samples:
    times = np.arange(round(rate * seconds)) / rate
    tone: Samples = (6000 * np.sin(2 * np.pi * 330 * times)).astype(np.int16)
    return tone

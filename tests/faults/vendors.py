"""The vendors' emulators behind fault proxies, each with its real client, and what each was told."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import socket
import wave
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request, tone
from fishjam_agents_gemini.emulator.answers import speak
from fishjam_agents_openai import Chat, Speech, Transcription
from fishjam_agents_openai.emulator import Answer, Emulator
from fishjam_agents_openai.emulator import server as http_emulator
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator, Sound, Tool, Words
from fishjam_agents_openai.realtime import Realtime
from fishjam_agents_vapi import Vapi, WebhookSettings
from fishjam_agents_vapi.emulator import Behaviour, ToolUse, VapiEmulator

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.backends.port import Backend
from fishjam_agents.testing import FaultProxy

from .utterances import Utterance, joined

VendorName: TypeAlias = Literal["gemini", "realtime", "vapi", "stt", "llm", "tts"]
KEY = "key-of-the-matrix"
THINKING = 0.4
"""Seconds between the end of a turn and the first audio of its answer."""
REPLY = 2.0
"""Seconds of a reply."""


class Vendor:
    """A vendor of one call.

    Attributes:
        proxies: Ways to it, by name; `faulty` is the one that has faults.
    """

    names: Sequence[str]
    remembers = True

    def __init__(self, name: VendorName, *, tool: bool) -> None:
        self.name = name
        self.tool = tool
        self.proxies: dict[str, FaultProxy] = {}
        self.utterances: list[Utterance] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        raise NotImplementedError

    def backend(self) -> Backend:
        raise NotImplementedError

    def conversations(self) -> list[Samples]:
        """Sound that the model of each connection was told, 16 kHz; the last is the one that goes on."""
        raise NotImplementedError

    @property
    def faulty(self) -> Sequence[FaultProxy]:
        return list(self.proxies.values())

    async def _through(self, name: str, url: str) -> str:
        proxy = self.proxies[name] = await self._stack.enter_async_context(FaultProxy(url))
        return proxy.url


class GeminiVendor(Vendor):
    async def _start(self) -> None:
        called = itertools.count()

        async def answer(connection: Connection, request: Request) -> None:
            if self.tool and not request.results and next(called) == 0:
                await connection.call_tool("look_up", {})
                return
            await asyncio.sleep(THINKING)
            await speak(connection, tone(REPLY), ["All ", "is ", "well."], pace=2.0)
            await connection.finish_turn()

        self.emulator = await self._stack.enter_async_context(GeminiEmulator(answer, key=KEY))
        self.url = await self._through("gemini", self.emulator.url)

    def backend(self) -> Backend:
        return Gemini(api_key=KEY, base_url=self.url, setup_timeout=4.0, answer_timeout=2.0)

    def conversations(self) -> list[Samples]:
        return [
            joined(np.frombuffer(said.audio, "<i2") for said in line.session.history if said.role == "user")
            for line in self.emulator.connections
        ]


class RealtimeVendor(Vendor):
    async def _start(self) -> None:
        called = itertools.count()

        def answers(line: Any) -> Callable[[], Sequence[Any]]:
            def answer() -> Sequence[Any]:
                answered = any(item["type"] == "function_call_output" for item in line.items.values())
                if self.tool and not answered and next(called) == 0:
                    return [Tool("look_up", "{}")]
                piece = Sound(np.frombuffer(tone(0.1), "<i2").astype(np.int16))
                voice = [step for _ in range(round(REPLY * 10)) for step in (piece, 0.05)]
                return [THINKING, Words("All is well."), *voice]

            return answer

        self.emulator = await self._stack.enter_async_context(RealtimeEmulator(key=KEY, model=answers))
        self.url = await self._through("realtime", self.emulator.base_url)

    def backend(self) -> Backend:
        return Realtime(api_key=KEY, base_url=self.url, timeout=4.0, answer_timeout=2.0)

    def conversations(self) -> list[Samples]:
        return [joined(_committed(events), 24000) for events in self.emulator.connections]


def _committed(events: Sequence[dict[str, Any]]) -> list[Samples]:
    turns, open_turn = [], b""
    for event in events:
        match event:
            case {"type": "input_audio_buffer.append", "audio": audio}:
                open_turn += base64.b64decode(audio)
            case {"type": "input_audio_buffer.clear"}:
                open_turn = b""
            case {"type": "input_audio_buffer.commit"}:
                turns.append(open_turn)
                open_turn = b""
            case {"type": "conversation.item.create", "item": {"content": [{"audio": audio}]}}:
                turns.append(base64.b64decode(audio))
    return [np.frombuffer(turn[: len(turn) & ~1], "<i2").astype(np.int16) for turn in turns]


class VapiVendor(Vendor):
    async def _start(self) -> None:
        def answer(words: Samples) -> Samples:
            return np.frombuffer(tone(REPLY), "<i2").astype(np.int16)[::2].copy()

        tools = (ToolUse("look_up"),) if self.tool else ()
        behaviour = Behaviour(key=KEY, answer=answer, tools=tools)
        self.emulator = await self._stack.enter_async_context(VapiEmulator(behaviour))
        self.url = await self._through("vapi", self.emulator.url)
        self.emulator._media_url = await self._through("media", self.emulator._media_url)

    def backend(self) -> Backend:
        webhook = None
        if self.tool:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            webhook = WebhookSettings(port, public_url=f"http://127.0.0.1:{port}/")
        return Vapi(assistant_id="a", api_key=KEY, url=self.url, on_lost="new_call", webhook=webhook)

    def conversations(self) -> list[Samples]:
        frames = [item for item in self.emulator.tape if isinstance(item, bytes)]
        return [joined(np.frombuffer(frame[: len(frame) & ~1], "<i2") for frame in frames)]


class CascadeVendor(Vendor):
    async def _start(self) -> None:
        def chat(request: http_emulator.Request) -> Answer:
            messages = request.fields["messages"]
            called = any(message.get("tool_calls") for message in messages)
            if self.tool and not called and request.fields.get("tools"):
                function = {"name": "look_up", "arguments": "{}"}
                call = {"index": 0, "id": "call_1", "type": "function", "function": function}
                return Answer([{"tool_calls": [call]}])
            return Answer([THINKING, "All is well, ", 0.1, "and all is good. ", 0.1, "That is all."])

        parts = {name: Emulator(key=KEY, model=chat) for name in ("stt", "llm", "tts")}
        self.parts = parts
        urls = {}
        for name, part in parts.items():
            await self._stack.enter_async_context(part)
            urls[name] = await self._through(name, part.base_url)
        self.urls = urls
        part = parts["stt"]
        part.transcripts = _Understood(self)

    @property
    def faulty(self) -> Sequence[FaultProxy]:
        return [self.proxies[self.name]]

    def backend(self) -> Backend:
        access: dict[str, Any] = {"api_key": KEY, "timeout": 2.5}
        return Cascade(
            stt=[Transcription(base_url=self.urls["stt"], model="whisper-1", **access)],
            llm=[Chat(base_url=self.urls["llm"], model="m", **access)],
            tts=[Speech(base_url=self.urls["tts"], model="tts-1", voice="alloy", **access)],
        )

    def conversations(self) -> list[Samples]:
        """Audio of the turns that the language model was told of, as the last request has them."""
        chats = [request.fields["messages"] for request in self.parts["llm"].requests if _is_chat(request)]
        if not chats:
            return []
        words = [message["content"] for message in chats[-1] if message.get("role") == "user"]
        names = [name for text in words if isinstance(text, str) for name in text.split()]
        known = {item.name: item.samples for item in self.utterances}
        return [joined(known[name] for name in names if name in known)]


def _is_chat(request: http_emulator.Request) -> bool:
    return request.path == "/chat/completions" and isinstance(request.fields.get("messages"), list)


class _Understood(deque[Answer]):
    """Transcripts that name the utterances they are of, by their samples."""

    def __init__(self, vendor: CascadeVendor) -> None:
        super().__init__()
        self._vendor = vendor

    def __bool__(self) -> bool:
        return True

    def popleft(self) -> Answer:
        heard = _of_wav(self._vendor.parts["stt"].requests[-1].file)
        found = [item.name for item in self._vendor.utterances if item.counted_in(heard)[0] > 0.8]
        return Answer([" ".join(found) or "mumbling"])


def _of_wav(file: bytes) -> Samples:
    with wave.open(io.BytesIO(file)) as sound:
        return joined([np.frombuffer(sound.readframes(sound.getnframes()), "<i2")], sound.getframerate())


def vendor(name: VendorName, *, tool: bool) -> Vendor:
    kinds: dict[str, type[Vendor]] = {"gemini": GeminiVendor, "realtime": RealtimeVendor, "vapi": VapiVendor}
    return kinds.get(name, CascadeVendor)(name, tool=tool)

"""The conformance kit against OpenAI Realtime, through the `openai` client and the emulator of its wire."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
from fishjam_agents_openai.emulator.realtime import (
    Close,
    EmulatorConnection,
    Raw,
    RealtimeEmulator,
    Sound,
    Tool,
)
from fishjam_agents_openai.realtime import Realtime

from fishjam_agents.errors import FailureKind
from fishjam_agents.testing.conformance import ALL_KINDS, BackendConformance, FakeService, Received

KEY = "key-of-the-kit"
REFUSALS: Mapping[FailureKind, int | Close] = {
    "network": 503,
    "auth": Close(3000, f"invalid_request_error.invalid_api_key: {KEY}"),
    "config": Close(1008, "The model `x` does not exist or you do not have access to it."),
    "quota": 429,
}


GARBLED = (
    "no json",
    "[1]",
    "{}",
    '{"type": 3}',
    '{"type": "error"}',
    '{"type": "error", "error": "it is late"}',
    '{"type": "response.created", "response": 7}',
    '{"type": "response.done", "response": {"id": [], "output": 3}}',
    '{"type": "response.output_audio.delta", "response_id": {}, "delta": 7}',
    '{"type": "input_audio_buffer.speech_stopped", "audio_end_ms": "soon"}',
    '{"type": "from.the.future", "x": 1}',
)


class RealtimeService(FakeService):
    """The emulator of OpenAI Realtime, in the kit's hands."""

    # A turn of ours begins with its audio: the service is not told of it.
    sees = ALL_KINDS - {"turn_started"}
    resumes = True
    refusals = frozenset(REFUSALS)
    secret = KEY
    control: ClassVar[Mapping[str, Any]] = {"type": "input_audio_buffer.clear"}
    patience = 15.0
    # Loading the client takes its time, once.
    deadline = 10.0

    def __init__(self) -> None:
        self._emulator = RealtimeEmulator(key=KEY, words=self._understood)
        self._transcripts: set[str] = set()

    async def __aenter__(self) -> FakeService:
        await self._emulator.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._emulator.__aexit__(kind, error, trace)

    def backend(self) -> Realtime:
        port = self._emulator.base_url if self._emulator.listening else "http://127.0.0.1:9/v1"
        return Realtime(api_key=KEY, base_url=port, timeout=0.8, answer_timeout=1.0)

    def _understood(self, seconds: float) -> str:
        words = f"turn {len(self._transcripts) + 1}"
        self._transcripts.add(words)
        return words

    def received(self) -> Sequence[Received]:
        known: set[str] = set()
        found: list[Received] = []
        for events in self._emulator.connections:
            for event in events:
                item = event.get("item") or {}
                content = json.dumps({**item, "id": None}, sort_keys=True)
                # What a later connection is told of the past is new only if no earlier one has heard it.
                if str(item.get("id", "")).startswith("past_") and content in known:
                    continue
                known.add(content)
                found += _as_received(event)
        return [item for item in found if item.kind != "text" or item.value not in self._transcripts]

    def known(self) -> str:
        return json.dumps(self._emulator.connections)

    async def reply(self, seconds: float, sample: int) -> None:
        piece = Sound(np.full(2400, sample, np.int16))
        self._emulator.answers.append([step for _ in range(round(seconds * 10)) for step in (piece, 0.1)])

    async def late_audio(self) -> None:
        await self._last.late(np.full(2400, 2000, np.int16))

    async def interrupt(self) -> None:
        await self._last.speech()

    async def call_tool(self, call: str, name: str, arguments: Mapping[str, Any]) -> None:
        await self._last.idle()
        self._last.respond(Tool(name, json.dumps(arguments), call))

    async def answer_question(self, text: str) -> None:
        self._emulator.asides.append([text])

    async def stall(self) -> None:
        for line in self._emulator.open:
            line.stall()

    async def garble(self) -> None:
        for message in GARBLED:
            await self._last.raw(Raw(message))

    async def flood(self) -> None:
        await self._last.raw(Raw(json.dumps({"type": "session.updated", "padding": "x" * 17 * 2**20})))

    async def drop(self) -> None:
        for line in self._emulator.lines:
            line.abort()

    async def refuse(self, kind: FailureKind | None) -> None:
        self._emulator.mute = False
        self._emulator.refuse = None if kind is None else REFUSALS[kind]

    async def hold(self) -> None:
        self._emulator.mute = True

    def open_connections(self) -> int:
        return len(self._emulator.open)

    @property
    def _last(self) -> EmulatorConnection:
        return self._emulator.open[-1]


def _as_received(event: Mapping[str, Any]) -> list[Received]:
    match event:
        case {"type": "input_audio_buffer.append", "audio": audio}:
            return [Received("audio", len(base64.b64decode(audio)) / 48000)]
        case {"type": "session.update", "session": {"instructions": words, "tools": tools}}:
            names = tuple(tool["name"] for tool in tools)
            return [Received("instructions", words), Received("tools", names)]
        case {"type": "input_audio_buffer.clear"}:
            return [Received("control", event)]
        case {"type": "input_audio_buffer.commit"}:
            return [Received("turn_ended", 0.0)]
        case {"type": "conversation.item.truncate", "audio_end_ms": until}:
            return [Received("interrupt", until / 1000)]
        case {"type": "conversation.item.create", "item": {"type": "function_call_output"} as item}:
            return [Received("tool_result", item["output"], item["call_id"])]
        case {"type": "conversation.item.create", "item": {"role": "user", "content": [content]}}:
            return _of_user(content)
        case _:
            return []


def _of_user(content: Mapping[str, Any]) -> list[Received]:
    match content:
        case {"type": "input_text", "text": text}:
            return [Received("text", text)]
        case {"type": "input_audio", "audio": audio}:
            return [Received("audio", len(base64.b64decode(audio)) / 48000), Received("turn_ended", 0.0)]
        case {"type": "input_image", "image_url": url}:
            return [Received("image", base64.b64decode(url.partition(",")[2]))]
        case _:
            return []


class TestRealtime(BackendConformance):
    def fake_service(self) -> FakeService:
        return RealtimeService()

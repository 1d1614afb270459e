"""The conformance kit against Gemini, through Google's client and the emulator of its wire."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request

from fishjam_agents.backends import response_watchdog
from fishjam_agents.errors import FailureKind
from fishjam_agents.testing.conformance import ALL_KINDS, BackendConformance, FakeService, Received

KEY = "key-of-the-kit"
PONG = 0.5
"""Seconds for the answer to a ping, where a call has five."""
REFUSALS: Mapping[FailureKind, tuple[int, str] | str] = {
    "network": "abort",
    "auth": (1008, "API key not valid. Please pass a valid API key."),
    "config": (1008, "models/x is not found for API version v1, or is not supported for bidiGenerateContent"),
    "quota": (1011, "You exceeded your current quota, please check your plan and billing details."),
}


TAKEN_UP = 0.3
"""Seconds after which a connection is one for its client, too, and has been sent what waited for it."""


GARBLED = (
    "no json",
    "[1]",
    "{}",
    '{"from_the_future": {"x": 1}}',
    '{"serverContent": 7}',
    '{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": 3, "data": "?"}}]}}}',
    '{"toolCall": {"functionCalls": 1}}',
    '{"goAway": {"timeLeft": []}}',
)


class Always(deque[Any]):
    """Refuses every connection, in place of the next ones."""

    def popleft(self) -> Any:
        return self[0]


async def silent(connection: Connection, request: Request) -> None:
    """What is only told is answered with nothing."""
    await connection.finish_turn()


class GeminiService(FakeService):
    """The emulator of Gemini Live, in the kit's hands."""

    # Gemini is never told what was heard: it forgets what it has not sent.
    sees = ALL_KINDS - {"interrupt", "control"}
    resumes = True
    refusals = frozenset(REFUSALS)
    secret = KEY
    patience = 15.0
    # Loading Google's client takes its time, once.
    deadline = 10.0

    def __init__(self) -> None:
        self._emulator = GeminiEmulator(silent, key=KEY)
        self._environment: dict[str, str | None] = {}
        self._stalled: set[Connection] = set()

    async def __aenter__(self) -> FakeService:
        await self._emulator.__aenter__()
        self._pong, response_watchdog.PONG = response_watchdog.PONG, PONG
        wanted = self._emulator.environment
        self._environment = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        response_watchdog.PONG = self._pong
        await self._emulator.__aexit__(kind, error, trace)

    def backend(self) -> Gemini:
        return Gemini(api_key=KEY, base_url=self._emulator.url or None, setup_timeout=0.8, answer_timeout=1.0)

    def received(self) -> Sequence[Received]:
        return [
            item
            for connection in self._emulator.connections
            for item in itertools.chain(
                _as_set_up(connection.setup),
                *(_as_received(entry.name, entry.value) for entry in connection.received),
            )
        ]

    def known(self) -> str:
        return "\n".join(
            f"{connection.setup} {connection.session.history}" for connection in self._emulator.connections
        )

    async def reply(self, seconds: float, sample: int) -> None:
        piece = np.full(2400, sample, "<i2").tobytes()

        async def answer(connection: Connection, request: Request) -> None:
            try:
                for _ in range(round(seconds * 10)):
                    await connection.send_audio(piece)
                    await asyncio.sleep(0.1)
                await connection.finish_turn()
            except asyncio.CancelledError:
                # Generated before the service knew that it was interrupted.
                await connection.send_audio(piece)
                raise

        self._emulator.answers.append(answer)

    async def interrupt(self) -> None:
        await self._last.send({"serverContent": {"interrupted": True}})

    async def call_tool(self, call: str, name: str, arguments: Mapping[str, Any]) -> None:
        await self._last.call_tool(name, dict(arguments), call)
        await self._last.send_handle()

    async def cancel_tool(self, call: str) -> None:
        await self._last.cancel_tool(call)

    async def stall(self) -> None:
        for connection in self._emulator.connections:
            if not connection.closed.is_set():
                connection.freeze()
                self._stalled.add(connection)

    async def garble(self) -> None:
        for message in GARBLED:
            await self._last.send_raw(message)

    async def flood(self) -> None:
        await self._last.send({"serverContent": {"padding": "x" * 17 * 2**20}})

    async def drop(self) -> None:
        for connection in self._emulator.connections:
            if not connection.closed.is_set():
                connection.abort()

    async def refuse(self, kind: FailureKind | None) -> None:
        self._emulator.refusals = Always([] if kind is None else [REFUSALS[kind]])

    async def hold(self) -> None:
        self._emulator.refusals = Always(["silence"])

    def open_connections(self) -> int:
        now = asyncio.get_running_loop().time()
        return sum(
            connection not in self._stalled
            and not connection.closed.is_set()
            and now - connection.opened_at >= TAKEN_UP
            for connection in self._emulator.connections
        )

    @property
    def _last(self) -> Connection:
        return self._emulator.connections[-1]


def _as_set_up(setup: Mapping[str, Any]) -> list[Received]:
    """What a setup, or an update of it, tells."""
    found = []
    if "systemInstruction" in setup:
        found.append(Received("instructions", setup["systemInstruction"]["parts"][0]["text"]))
    if "tools" in setup:
        tools = setup["tools"]["tools"] if isinstance(setup["tools"], Mapping) else setup["tools"]
        named = (tool["name"] for group in tools for tool in group.get("functionDeclarations", ()))
        found.append(Received("tools", tuple(named)))
    return found


def _as_received(name: str, value: Any) -> list[Received]:
    match name:
        case "contextUpdate":
            return _as_set_up(value)
        case "activityStart":
            return [Received("turn_started")]
        case "activityEnd":
            return [Received("turn_ended", 0.0)]
        case "audio":
            return [Received("audio", len(value) / 32000)]
        case "client_content" if not value.get("turnComplete"):
            return [Received("text", turn["parts"][0]["text"]) for turn in value["turns"]]
        case "text":
            return [Received("text", value)]
        case "video":
            return [Received("image", value[1])]
        case "tool_response":
            return [Received("tool_result", item.get("response"), item["id"]) for item in value]
        case _:
            return []


class TestGemini(BackendConformance):
    def fake_service(self) -> FakeService:
        return GeminiService()

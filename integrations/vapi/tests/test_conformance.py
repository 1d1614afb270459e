"""The conformance kit against Vapi, through the emulator of its wire."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import pytest
from fishjam_agents_vapi import Vapi, WebhookSettings, control, session
from fishjam_agents_vapi.emulator import Behaviour, ToolUse, VapiEmulator

from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import FailureKind
from fishjam_agents.testing.conformance import BackendConformance, FakeService, Received

KEY = "key-of-the-kit"
PING = 0.5
"""Seconds between pings, where a call has ten."""
STATUSES: Mapping[FailureKind, int] = {"network": 503, "auth": 401, "config": 400, "quota": 429}


class Always(list[int]):
    """Refuses every call, in place of the next ones."""

    def pop(self, index: Any = -1) -> int:
        return self[0]


class VapiService(FakeService):
    """The emulator of Vapi, in the kit's hands."""

    # Vapi is never told of turns: it hears them. It is not told what was heard of it either.
    sees = frozenset({"audio", "text", "tool_result", "control", "instructions"})
    control = control.mute_customer()
    refusals = frozenset({*STATUSES, "protocol"})
    secret = KEY
    patience = 8.0

    def __init__(self) -> None:
        self._answers: list[Samples] = []
        self._vapi = VapiEmulator(Behaviour(key=KEY, answer=self._answer, quiet=0.2))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._webhook = WebhookSettings(port, public_url=f"http://127.0.0.1:{port}/")

    async def __aenter__(self) -> FakeService:
        await self._vapi.__aenter__()
        self._ping, session.PING_INTERVAL = session.PING_INTERVAL, PING
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session.PING_INTERVAL = self._ping
        await self._vapi.__aexit__(kind, error, trace)

    def backend(self) -> Vapi:
        return Vapi(
            assistant={"model": {"provider": "openai", "model": "gpt-4o"}},
            api_key=KEY,
            url=self._vapi.url,
            on_lost="new_call",
            webhook=self._webhook,
        )

    def received(self) -> Sequence[Received]:
        return [seen for item in self._vapi.tape for seen in _as_received(item)]

    def _answer(self, words: Samples) -> Samples:
        return self._answers.pop(0) if self._answers else np.zeros(0, np.int16)

    async def reply(self, seconds: float, sample: int) -> None:
        self._answers.append(np.full(round(seconds * 16000), sample, np.int16))

    async def interrupt(self) -> None:
        self._vapi.call.interrupt()

    async def call_tool(self, call: str, name: str, arguments: Mapping[str, Any]) -> None:
        self._vapi.call.use(ToolUse(name, arguments, id=call))

    async def stall(self) -> None:
        for call in self._vapi.calls.values():
            call.stall()

    async def garble(self) -> None:
        await self._vapi.call.garble()

    async def flood(self) -> None:
        await self._vapi.call.tell_raw(json.dumps({"type": "metadata", "padding": "x" * 17 * 2**20}))

    async def drop(self) -> None:
        for call in self._vapi.calls.values():
            call.cut()

    async def refuse(self, kind: FailureKind | None) -> None:
        behaviour = self._vapi.behaviour
        behaviour.silent = False
        behaviour.media_url = kind != "protocol"
        behaviour.statuses = Always([STATUSES[kind]] if kind in STATUSES else [])

    async def hold(self) -> None:
        self._vapi.behaviour.silent = True

    def open_connections(self) -> int:
        return sum(call.open for call in self._vapi.calls.values())


def _as_received(item: Any) -> list[Received]:
    match item:
        case bytes():
            return [Received("audio", len(item) / 32000)]
        case {"type": "add-message", "message": {"role": "user", "content": words}}:
            return [Received("text", words)]
        case {"type": "control"}:
            return [Received("control", item)]
        case {"type": "add-message", "message": {"role": "system", "content": words}}:
            # Notes are in brackets.
            return [Received("text" if words.startswith("[") else "instructions", words)]
        case {"toolCallId": call}:
            return [Received("tool_result", item.get("result", item.get("error")), call)]
        case _:
            return []


@pytest.fixture(autouse=True)
def silence_follows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kit sends a turn faster than it lasts; its end need not wait until it would have been spoken."""
    monkeypatch.setattr(session, "PATIENCE", -math.inf)


class TestVapi(BackendConformance):
    def fake_service(self) -> FakeService:
        return VapiService()

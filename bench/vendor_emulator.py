"""A vendor in a process of its own, which can be killed: `python -m bench.vendor_emulator JSON`.

It takes orders line by line: `refuse` (a status with `Retry-After`, and the end of every connection),
`accept`, and `count`, which tells how much was heard of each call. Calls are told apart by the value of
their samples, or by their words.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from fishjam_agents_gemini.emulator import GeminiEmulator
from fishjam_agents_openai.emulator.answers import Answer
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.emulator.server import Emulator, Request

from bench.child import requests, say

KEY = "emulated-key"


class _Vendor(Protocol):
    environment: Mapping[str, str]

    def refuse(self, status: int, seconds: int) -> None:
        """Refuse everything, and end every connection."""

    def accept(self) -> None:
        """Refuse nothing any more."""

    def heard(self) -> Mapping[str, int]:
        """Samples, or requests, by call."""

    def asked(self) -> list[float]:
        """Times at which it was asked, by the clock of the machine; none where connections are counted."""


class _Gemini:
    def __init__(self, emulator: GeminiEmulator) -> None:
        self._emulator = emulator
        self.environment = emulator.environment

    def refuse(self, status: int, seconds: int) -> None:
        self._emulator.refusing, self._emulator.retry_after = status, seconds
        for connection in self._emulator.connections:
            connection.abort()

    def accept(self) -> None:
        self._emulator.refusing = None

    def heard(self) -> Mapping[str, int]:
        counts = Counter[str]()
        for connection in self._emulator.connections:
            for audio in connection.of("audio"):
                _count(audio, counts)
        return counts

    def asked(self) -> list[float]:
        return []


class _Realtime:
    def __init__(self, emulator: RealtimeEmulator) -> None:
        self._emulator = emulator
        self.environment = {"OPENAI_BASE_URL": emulator.base_url, "OPENAI_API_KEY": KEY}

    def refuse(self, status: int, seconds: int) -> None:
        self._emulator.refuse, self._emulator.retry_after = status, seconds
        for line in self._emulator.open:
            line.abort()

    def accept(self) -> None:
        self._emulator.refuse = None

    def heard(self) -> Mapping[str, int]:
        counts = Counter[str]()
        for events in self._emulator.connections:
            for event in events:
                if event["type"] == "input_audio_buffer.append":
                    _count(base64.b64decode(event["audio"]), counts)
        return counts

    def asked(self) -> list[float]:
        return []


class _Chat:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._refusal: Answer | None = None
        self._times: list[float] = []
        self._counts = Counter[str]()
        emulator.model = self._answer
        self.environment = {"OPENAI_BASE_URL": emulator.base_url, "OPENAI_API_KEY": KEY}

    def _answer(self, request: Request) -> Answer | None:
        self._times.append(time.monotonic())
        if self._refusal is None:
            self._counts[request.fields["messages"][-1]["content"]] += 1
        return self._refusal

    def refuse(self, status: int, seconds: int) -> None:
        self._refusal = Answer(["busy"], status=status, headers={"Retry-After": str(seconds)})

    def accept(self) -> None:
        self._refusal = None

    def heard(self) -> Mapping[str, int]:
        return self._counts

    def asked(self) -> list[float]:
        return self._times


def _count(audio: bytes, counts: Counter[str]) -> None:
    for value, number in zip(*np.unique(np.frombuffer(audio, "<i2"), return_counts=True), strict=True):
        counts[str(value)] += int(number)


@asynccontextmanager
async def _vendor(kind: str, port: int, folder: Path) -> AsyncIterator[_Vendor]:
    if kind == "gemini":
        async with GeminiEmulator(port=port, folder=folder) as gemini:
            yield _Gemini(gemini)
        return
    emulator = RealtimeEmulator(key=KEY) if kind == "realtime" else Emulator()
    await emulator.start(port)
    try:
        yield _Realtime(emulator) if isinstance(emulator, RealtimeEmulator) else _Chat(emulator)
    finally:
        await emulator.stop()


async def _serve(kind: str, port: int, folder: str) -> None:
    async with _vendor(kind, port, Path(folder)) as vendor:
        say(environment=dict(vendor.environment))
        async for order in requests():
            _obey(vendor, order)


def _obey(vendor: _Vendor, order: Mapping[str, Any]) -> None:
    match order["do"]:
        case "refuse":
            vendor.refuse(order["status"], order["seconds"])
            say()
        case "accept":
            vendor.accept()
            say()
        case "count":
            say(heard=dict(vendor.heard()), asked=vendor.asked())
        case unknown:
            raise ValueError(unknown)


if __name__ == "__main__":
    asyncio.run(_serve(**json.loads(sys.argv[1])))

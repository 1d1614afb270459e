"""The part of llama.cpp held to its port: in place of xllamacpp's server is one that can be steered."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from fishjam_agents_local.llama_cpp import LlamaCpp
from fishjam_agents_local.llama_cpp.component import Connected
from fishjam_agents_local.llama_cpp.messages import conversation
from fishjam_agents_local.worker import ModelWorker

from fishjam_agents.backends.cascade import LanguageModel, LLMToolCall, Message, Reasoning
from fishjam_agents.errors import FailureKind
from fishjam_agents.testing.conformance import FakeComponentService, LanguageModelConformance
from fishjam_agents.testing.conformance.components import Cut, Fails, PartStep, Unknown

_ERRORS = {
    "network": {"code": 503, "type": "unavailable_error", "message": "Loading model"},
    "config": {"code": 400, "type": "invalid_request_error", "message": "Unknown field"},
}


class SteeredServer:
    """Answers as xllamacpp's server does, in the words that a test wants."""

    def __init__(self) -> None:
        self.answers: deque[Sequence[PartStep] | str] = deque()
        self.requests: list[Mapping[str, Any]] = []
        self.open = 0
        self._lock = threading.Lock()

    def answer(self, request: Mapping[str, Any], take: Callable[[Mapping[str, Any]], bool]) -> None:
        with self._lock:
            self.requests.append(request)
            self.open += 1
            steps = self.answers.popleft() if self.answers else ("Hello.",)
        try:
            if isinstance(steps, str):
                take({"error": _ERRORS[steps]})
                return
            if take(self._delta({"role": "assistant", "content": None})):
                return
            for index, step in enumerate(steps):
                if isinstance(step, Cut) or self._step(step, index, take):
                    return
            take(
                {
                    "choices": [{"delta": {}, "finish_reason": "stop"}],
                    "timings": {"prompt_n": 3, "predicted_n": 2},
                }
            )
        finally:
            with self._lock:
                self.open -= 1

    def _step(self, step: PartStep, index: int, take: Callable[[Mapping[str, Any]], bool]) -> bool:
        match step:
            case str():
                # A piece at a time, as tokens come.
                return any(take(self._delta({"content": word})) for word in step.split("\0"))
            case float():
                end = time.monotonic() + step
                while time.monotonic() < end:
                    time.sleep(0.005)
                    if take(self._delta({})):
                        return True
            case Reasoning():
                return take(self._delta({"reasoning_content": step.text}))
            case LLMToolCall():
                written = json.dumps(dict(step.arguments))
                head = {"name": step.name, "arguments": ""}
                call = {"index": index, "id": f"id{index}", "type": "function", "function": head}
                if take(self._delta({"tool_calls": [call]})):
                    return True
                for at in range(0, len(written), 5):
                    rest = {"index": index, "function": {"arguments": written[at : at + 5]}}
                    if take(self._delta({"tool_calls": [rest]})):
                        return True
            case Fails():
                take({"error": {"code": 500, "type": "server_error", "message": step.message}})
                return True
            case Unknown():
                return take({"object": "chat.completion.news", "choices": [{"delta": {"mood": "glad"}}]})
        return False

    @staticmethod
    def _delta(delta: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered(LlamaCpp):
    """The part with the steered server in place of a loaded model."""

    server: Any = None

    def check(self) -> None:
        """There are no files."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LanguageModel]:
        with ModelWorker("llama.cpp").call(20.0) as call:
            yield Connected(self, self.server, call)


class SteeredService(FakeComponentService):
    refusals: frozenset[FailureKind] = frozenset({"network", "config"})

    def __init__(self) -> None:
        self._server = SteeredServer()

    def part(self) -> LlamaCpp:
        return Steered(server=self._server, tools=True)

    async def answer(self, *steps: PartStep) -> None:
        self._server.answers.append(steps)

    async def refuse(self, kind: FailureKind) -> None:
        self._server.answers.append(kind)

    def requests(self) -> int:
        return len(self._server.requests)

    def open_requests(self) -> int:
        return self._server.open

    def received(self) -> Sequence[Any]:
        return [[_read(entry) for entry in request["messages"]] for request in self._server.requests]


def _read(entry: Mapping[str, Any]) -> Message:
    calls = [
        LLMToolCall(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in entry.get("tool_calls", ())
    ]
    return Message(entry["role"], entry["content"], calls=calls, call=entry.get("tool_call_id"))


class TestSteeredLlamaCpp(LanguageModelConformance):
    def fake_service(self) -> FakeComponentService:
        return SteeredService()


def test_a_mistake_of_ours_in_reading_an_answer_is_not_told_as_the_users() -> None:
    class Odd:
        def answer(self, request: Mapping[str, Any], take: Callable[[Mapping[str, Any]], bool]) -> None:
            take({"choices": 5})

    async def scenario() -> None:
        async with asyncio.timeout(20), Steered(server=Odd()).connect() as part:
            with pytest.raises(TypeError):
                _ = [piece async for piece in part.reply([Message("user", "Hello.")], [])]

    asyncio.run(scenario())


def test_templates_are_given_nobody_who_speaks_twice_in_a_row() -> None:
    messages = [
        Message("system", "Be brief."),
        Message("user", "Hello."),
        Message("user", "Are you there?"),
        Message("assistant", "", calls=[LLMToolCall("c1", "weather", {})]),
        Message("tool", "sunny", call="c1"),
        Message("assistant", "It is sunny."),
    ]
    assert conversation(messages, tools=False) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello.\nAre you there?"},
        {"role": "assistant", "content": "It is sunny."},
    ]
    assert [entry["role"] for entry in conversation(messages, tools=True)] == [
        *("system", "user", "assistant", "tool", "assistant")
    ]

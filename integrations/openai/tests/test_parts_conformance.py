"""The kit for parts of a cascade against each part, through the real client and the emulator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from fishjam_agents_openai import Chat, Speech, Transcription
from fishjam_agents_openai.emulator import DIALECTS, Answer, Broken, Emulator, Failed, Raw

from fishjam_agents.backends.cascade import LLMToolCall, Message, Reasoning
from fishjam_agents.errors import FailureKind
from fishjam_agents.testing.conformance import (
    Cut,
    Fails,
    FakeComponentService,
    LanguageModelConformance,
    PartStep,
    SpeechToTextConformance,
    TextToSpeechConformance,
    Unknown,
)

KEY = "sk-of-the-kit"
HEADER = 44
"""Bytes before the samples of a WAV file."""
UNKNOWN = Raw(b': a comment\n\ndata: {"object": "ping", "type": "ping", "new": [1]}\n\n')
REFUSALS: Mapping[FailureKind, Answer] = {
    "network": Answer([f"overloaded, {KEY}\nand more"], 503),
    "auth": Answer([f"Incorrect API key provided: {KEY}"], 401),
    "config": Answer(["The model does not exist"], 404),
    "quota": Answer(["You exceeded your current quota"], 429, "insufficient_quota"),
}


class Server(FakeComponentService):
    """The emulator, in the kit's hands."""

    secret = KEY
    path = ""

    def __init__(self, dialect: str = "openai") -> None:
        self.emulator = Emulator(key=KEY, dialect=DIALECTS[dialect])
        # Once for each port is enough; elsewhere a busy machine has its time.
        self.deadline = 1.5 if dialect == "openai" else None

    @property
    def access(self) -> dict[str, Any]:
        return {
            "base_url": self.emulator.base_url,
            "api_key": KEY,
            "timeout": self.deadline or 10.0,
            "model": "kokoro",
        }

    async def __aenter__(self) -> FakeComponentService:
        await self.emulator.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.emulator.stop()

    async def answer(self, *steps: PartStep) -> None:
        calls = [step for step in steps if isinstance(step, LLMToolCall)]
        sent: list[Any] = []
        for step in steps:
            match step:
                case Reasoning(text):
                    sent.append({"reasoning_content": text})
                case Cut():
                    sent.append(Broken())
                case Fails(message):
                    sent.append(Failed(message))
                case Unknown():
                    sent.append(UNKNOWN)
                case LLMToolCall():
                    sent += _pieces(calls.index(step), step)
                case _:
                    sent.append(step)
        self._queue.append(Answer(sent))

    async def refuse(self, kind: FailureKind) -> None:
        self._queue.append(REFUSALS[kind])

    @property
    def _queue(self) -> Any:
        queues = {
            "/audio/transcriptions": "transcripts",
            "/chat/completions": "chats",
            "/audio/speech": "speeches",
        }
        return getattr(self.emulator, queues[self.path])

    def requests(self) -> int:
        return len(self.emulator.requests)

    def open_requests(self) -> int:
        return self.emulator.answering


def _pieces(index: int, call: LLMToolCall) -> list[dict[str, Any]]:
    """A call as it is streamed: its name first, then its arguments cut anywhere."""
    text = json.dumps(call.arguments)
    pieces = [{"index": index, "id": call.call, "type": "function", "function": {"name": call.name}}]
    pieces += [
        {"index": index, "function": {"arguments": text[at : at + 7]}} for at in range(0, len(text), 7)
    ]
    return [{"tool_calls": [piece]} for piece in pieces]


class Ear(Server):
    path = "/audio/transcriptions"

    def __init__(self, dialect: str = "openai", *, stream: bool = True) -> None:
        super().__init__(dialect)
        self.streams = stream
        if not stream:
            self.deadline = None
            self.shows = frozenset({Cut})

    def part(self) -> Transcription:
        return Transcription(**self.access, stream=self.streams)

    def received(self) -> Sequence[float]:
        return [(len(request.file) - HEADER) / 32000 for request in self.emulator.requests]


class Mind(Server):
    path = "/chat/completions"

    def part(self) -> Chat:
        return Chat(**self.access)

    def received(self) -> Sequence[Sequence[Message]]:
        return [[_message(sent) for sent in request.fields["messages"]] for request in self.emulator.requests]


def _message(sent: Mapping[str, Any]) -> Message:
    calls = [
        LLMToolCall(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in sent.get("tool_calls", ())
    ]
    return Message(sent["role"], sent["content"] or "", calls=calls, call=sent.get("tool_call_id"))


class Voice(Server):
    path = "/audio/speech"
    # Raw PCM is nothing but samples.
    shows = frozenset({Cut})

    def part(self) -> Speech:
        return Speech(**self.access, voice="v")

    def received(self) -> Sequence[str]:
        return [request.fields["input"] for request in self.emulator.requests]


class TestTranscription(SpeechToTextConformance):
    def fake_service(self) -> FakeComponentService:
        return Ear()


class TestTranscriptionInOnePiece(SpeechToTextConformance):
    def fake_service(self) -> FakeComponentService:
        return Ear(stream=False)


class TestTranscriptionOfVllm(SpeechToTextConformance):
    def fake_service(self) -> FakeComponentService:
        return Ear("vllm")


class TestChat(LanguageModelConformance):
    def fake_service(self) -> FakeComponentService:
        return Mind()


class TestChatOfLlamaCpp(LanguageModelConformance):
    def fake_service(self) -> FakeComponentService:
        return Mind("llama.cpp")


class TestSpeech(TextToSpeechConformance):
    def fake_service(self) -> FakeComponentService:
        return Voice()


class TestSpeechOfKokoro(TextToSpeechConformance):
    def fake_service(self) -> FakeComponentService:
        return Voice("kokoro")

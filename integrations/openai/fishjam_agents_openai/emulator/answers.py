"""What the emulator answers, and how it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection is cut at this point."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The server says in the middle of an answer that it failed."""

    message: str = "the model ran out of memory"


Step: TypeAlias = str | bytes | float | Mapping[str, Any] | Broken | Failed
"""Words, bytes of sound, a pause in seconds, a delta as it is on the wire, or a failure."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        steps: What comes, in order.
        status: Its status; anything but 200 is an error with the words as its message.
        done: Whether a stream ends with `[DONE]`, which not every server sends.
        plain: Whether a transcript is plain text, as some servers send it.
    """

    steps: Sequence[Step] = ()
    status: int = 200
    done: bool = True
    plain: bool = False

    @property
    def words(self) -> str:
        """All words of it."""
        return "".join(step for step in self.steps if isinstance(step, str))


def chat_events(answer: Answer, model: str, usage: bool) -> Iterator[bytes | float | Broken]:
    """The answer as `chat.completion.chunk` events; what is neither is to be done between them."""

    def event(choices: Sequence[Mapping[str, Any]], **more: Any) -> bytes:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        return _event({**head, "choices": choices, **more})

    def choice(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        return event([{"index": 0, "delta": delta, "finish_reason": finish}])

    yield choice({"role": "assistant", "content": ""})
    calls = False
    for step in answer.steps:
        if isinstance(step, str):
            yield choice({"content": step})
        elif isinstance(step, Mapping):
            calls = calls or "tool_calls" in step
            yield choice(step)
        elif isinstance(step, Failed):
            yield _event({"error": {"message": step.message, "type": "server_error"}})
        elif not isinstance(step, bytes):
            yield step
    yield choice({}, "tool_calls" if calls else "stop")
    if usage:
        counts = {
            "prompt_tokens": 9,
            "completion_tokens": len(answer.steps),
            "total_tokens": 9 + len(answer.steps),
        }
        yield event([], usage=counts)
    if answer.done:
        yield b"data: [DONE]\n\n"


def transcript_events(answer: Answer) -> Iterator[bytes | float | Broken]:
    """The answer as `transcript.text` events."""
    for step in answer.steps:
        if isinstance(step, str):
            yield _event({"type": "transcript.text.delta", "delta": step})
        elif isinstance(step, Failed):
            yield _event({"error": {"message": step.message, "type": "server_error"}})
        elif isinstance(step, float | Broken):
            yield step
    yield _event({"type": "transcript.text.done", "text": answer.words})


def _event(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def sound(text: str, rate: int = 24000) -> Iterator[bytes]:
    """A tone for each letter, in pieces of an odd size: 16-bit little-endian mono."""
    at = np.arange(rate // 20) / rate
    letters = [440 + 20 * (ord(letter) % 16) for letter in text]
    waves = [(8000 * np.sin(2 * np.pi * hertz * at)).astype("<i2") for hertz in letters]
    pcm = np.concatenate(waves).tobytes() if waves else b""
    for begin in range(0, len(pcm), 4801):
        yield pcm[begin : begin + 4801]

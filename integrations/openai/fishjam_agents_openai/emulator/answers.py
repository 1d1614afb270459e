"""Answers of the emulator, and its ways to fail."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from fishjam_agents_openai.emulator.dialects import OPENAI, Dialect

_THOUGHT = "What do they want? Let me think."
SIGNATURE = "c2lnbmF0dXJl"
"""Signature that comes with the first call of an answer of Gemini."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection is cut at this point."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The server says in the middle of an answer that it failed."""

    message: str = "the model ran out of memory"


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes of a stream as they are: comments, events of another kind, rubbish."""

    data: bytes


Step: TypeAlias = str | bytes | float | Mapping[str, Any] | Broken | Failed | Raw
"""Words, bytes of sound, a pause in seconds, a delta as it is on the wire, a failure, or something else."""
Sent: TypeAlias = bytes | float | Broken
"""Item that is put on the wire, or done in between."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        steps: What comes, in order.
        status: Its status; anything but 200 is an error with the words as its message.
        code: The `code` of an error.
        headers: Further headers: `Retry-After`.
        done: Whether a stream ends with `[DONE]`, which not every server sends.
        plain: Whether a transcript is plain text, as some servers send it.
        kind: The content type it is sent as, whatever it is; a whole answer then, of its words.
        label: The content type of speech, whatever its bytes are.
        crumbs: Whether a stream comes byte by byte, so that letters are cut in pieces.
        streams: Whether it streams where it is asked to; some servers answer at once.
    """

    steps: Sequence[Step] = ()
    status: int = 200
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    done: bool = True
    plain: bool = False
    kind: str | None = None
    label: str = "audio/pcm"
    crumbs: bool = False
    streams: bool = True

    @property
    def words(self) -> str:
        """All words of it."""
        return "".join(step for step in self.steps if isinstance(step, str))

    @property
    def pauses(self) -> float:
        """Seconds it takes, where it comes at once."""
        return sum(step for step in self.steps if isinstance(step, float))


def chat_events(answer: Answer, request: Mapping[str, Any], dialect: Dialect = OPENAI) -> Iterator[Sent]:
    """The answer as `chat.completion.chunk` events."""

    def event(choices: Sequence[Mapping[str, Any]], **more: Any) -> bytes:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1}
        if dialect.counts_on and usage:
            more.setdefault("usage", counts(sent))
        return _event({**head, "model": request["model"], "choices": choices, **more})

    def choice(delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> bytes:
        return event([{"index": 0, "delta": delta, "finish_reason": finish}], **more)

    def counts(tokens: int) -> Mapping[str, int]:
        return {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}

    usage = bool((request.get("stream_options") or {}).get("include_usage"))
    sent = 0
    yield choice({"role": "assistant", "content": ""})
    if dialect.thinks(request):
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": _THOUGHT}]}
        yield choice({dialect.thoughts or "content": _THOUGHT if dialect.thoughts else [thinking]})
    calls = False
    for step in answer.steps:
        sent += 1
        if isinstance(step, str):
            yield choice({"content": [{"type": "text", "text": step}] if dialect.in_parts else step})
        elif isinstance(step, Mapping):
            yield choice(_in_its_way(step, dialect, first=not calls))
            calls = calls or "tool_calls" in step
        elif not isinstance(step, bytes):
            yield _other(step)
    yield choice({}, "tool_calls" if calls else "stop", **dialect.more)
    if usage:
        yield event([], usage=counts(sent))
    if answer.done and dialect.ends:
        yield b"data: [DONE]\n\n"


def _in_its_way(delta: Mapping[str, Any], dialect: Dialect, *, first: bool) -> Mapping[str, Any]:
    """A delta with its calls of tools as a server writes them."""
    given = delta.get("tool_calls")
    if not isinstance(given, list) or not all(isinstance(call, Mapping) for call in given):
        return delta
    calls = [dict(call) for call in given]
    for call in calls:
        if dialect.calls_at_zero:
            call["index"] = 0
        if dialect.short_ids and call.get("id"):
            call["id"] = re.sub("[^a-zA-Z0-9]", "", call["id"]).zfill(9)[-9:]
        if dialect.bare_calls:
            call.pop("index", None)
            call.pop("id", None)
            with suppress(ValueError):
                call["function"] = call["function"] | {"arguments": json.loads(call["function"]["arguments"])}
    if dialect.signs and first and calls:
        calls[0]["extra_content"] = {"google": {"thought_signature": SIGNATURE}}
    return {**delta, "tool_calls": calls}


def transcript_events(answer: Answer, dialect: Dialect = OPENAI) -> Iterator[Sent]:
    """The answer as `transcript.text` events, or as vLLM has them."""
    for step in answer.steps:
        if isinstance(step, str):
            delta = {"type": "transcript.text.delta", "delta": step}
            chunk = {"object": "transcription.chunk", "choices": [{"delta": {"content": step}}]}
            yield _event(chunk if dialect.chunked_transcripts else delta)
        elif isinstance(step, float | Failed | Broken | Raw):
            yield _other(step)
    if dialect.chunked_transcripts:
        yield _event({"object": "transcription.chunk", "choices": [{"delta": {}, "finish_reason": "stop"}]})
        yield b"data: [DONE]\n\n"
        return
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": len(answer.steps)}
    yield _event(
        {"type": "transcript.text.done", "text": "" if dialect.ends_empty else answer.words, "usage": usage}
    )


def _other(step: float | Failed | Broken | Raw) -> Sent:
    if isinstance(step, Failed):
        return _event({"error": {"message": step.message, "type": "server_error"}})
    return step.data if isinstance(step, Raw) else step


def _event(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def crumbs(pieces: Iterator[Sent]) -> Iterator[Sent]:
    """A stream byte by byte."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield from (piece[at : at + 1] for at in range(len(piece)))
        else:
            yield piece


def in_wav(answer: Answer, rate: int) -> Answer:
    """Raw PCM behind the header of a WAV file that does not know how long it becomes, as it is streamed."""
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16
    )
    return replace(
        answer, steps=[head + struct.pack("<4sI", b"data", 0xFFFFFFFF), *answer.steps], label="audio/wav"
    )


def sound(text: str, rate: int = 24000) -> Iterator[bytes]:
    """A tone for each letter, in pieces of an odd size: 16-bit little-endian mono."""
    at = np.arange(rate // 20) / rate
    letters = [440 + 20 * (ord(letter) % 16) for letter in text]
    waves = [(8000 * np.sin(2 * np.pi * hertz * at)).astype("<i2") for hertz in letters]
    pcm = np.concatenate(waves).tobytes() if waves else b""
    for begin in range(0, len(pcm), 4801):
        yield pcm[begin : begin + 4801]

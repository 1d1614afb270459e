"""Output of Vapi's media socket as events of the port. Pure: times are given, nothing is awaited.

Audio comes without an envelope, in real time or in bursts, perhaps with silence between replies, so where a
reply begins and ends is worked out from `speech-update` and from the sound itself
(docs.vapi.ai/calls/websocket-transport).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.backends.arguments import read_arguments
from fishjam_agents.json_limits import read_json

SILENCE_PEAK = 32
"""Audio whose loudest sample is below this (-60 dBFS) is an open line, not speech."""
TAIL = 0.2
"""Seconds without sound after which a reply that Vapi called stopped is over."""
UNANNOUNCED_TAIL = 1.0
"""The same for a reply of which no `speech-update` told."""
LOST_TAIL = 10.0
"""The same for one whose end was never told."""
GAP = 0.1
"""After `user-interrupted`, audio that follows the interrupted one within this time belongs to it."""
ANSWERED = 30.0
"""Seconds within which what the assistant was asked to say in its own words begins, if it is said at all."""

TextSource = Literal["model", "say", "transcript"]


class Translator:
    """The events of one call.

    Args:
        emit: Takes the port's events.
        name: Prefix of reply ids, unique in the conversation.
        tools: Whether tool calls on the socket are passed on; no, where a webhook brings them.

    Attributes:
        over: Whether Vapi said that the call has ended.
        ended_reason: Why, if it said so.
    """

    def __init__(self, emit: Callable[[port.BackendEvent], None], name: str, *, tools: bool = True) -> None:
        self.over = False
        self.ended_reason: str | None = None
        self._emit = emit
        self._tools = tools
        self._ids = (f"{name}-{number}" for number in itertools.count(1))
        self._reply: str | None = None
        self._last: str | None = None
        self._announced = False
        self._stopped = False
        self._interrupted = False
        self._sounded = float("-inf")
        self._odd = b""
        self._unspoken: list[str] = []
        self._turn: object = None
        self._text_source: TextSource | None = None
        self._expected: deque[tuple[str | None, str | None, float]] = deque()

    def expect(self, reply: str | None, text: str | None, now: float) -> None:
        """Take the next reply to begin for what the assistant was told to say.

        Args:
            reply: Its id.
            text: Its words; None where they are the assistant's own, which may never come: what begins
                over `ANSWERED` seconds later is another reply.
            now: The loop's time.
        """
        self._expected.append((reply, text, now))

    # --- sound ---

    def audio(self, data: bytes, now: float) -> None:
        """Take a binary frame: signed 16-bit little-endian mono PCM of any length."""
        data = self._odd + data
        whole = len(data) & ~1
        self._odd = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.int16, copy=False)
        sounds = _sounds(samples)
        if self._interrupted:
            if not sounds:
                return
            if now - self._sounded < GAP:
                self._sounded = now
                return
            self._interrupted = False
        if sounds:
            self._sounded = now
            if self._reply is None:
                self._begin(now)
        if self._reply is not None and len(samples):
            self._emit(port.ReplyAudio(self._reply, samples))

    def tick(self, now: float) -> None:
        """Called often: ends a reply of which nothing more is to be expected."""
        if self._reply is None:
            return
        tail = TAIL if self._stopped else LOST_TAIL if self._announced else UNANNOUNCED_TAIL
        if now - self._sounded >= tail:
            self._end()

    def _begin(self, now: float) -> None:
        self._announced = self._stopped = False
        self._text_source = None
        while self._expected and self._expected[0][1] is None and now - self._expected[0][2] > ANSWERED:
            self._expected.popleft()
        reply, words, _ = self._expected.popleft() if self._expected else (None, None, now)
        self._reply = self._last = reply or next(self._ids)
        self._emit(port.ReplyStarted(self._reply))
        if words is not None:
            self._text_source = "say"
            self._emit(port.ReplyTextDelta(self._reply, words))
        unspoken, self._unspoken = self._unspoken, []
        for text in unspoken:
            self._model_output(text)

    def _end(self) -> None:
        if self._reply is not None:
            self._emit(port.ReplyAudioEnded(self._reply))
            self._reply = None

    # --- events ---

    def message(self, text: str, now: float) -> None:
        """Take a text frame: one flat JSON object with a `type`. Anything else is a warning and no more."""
        try:
            message = read_json(text)
        except ValueError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            self._emit(port.BackendWarning("Vapi sent a message that is none: it was left out"))
            return
        kind = message["type"]
        name, _, only = kind.partition("[")
        match name:
            case "speech-update":
                self._speech(message.get("role"), message.get("status"), now)
            case "transcript":
                # `clientMessages` may ask for the final ones alone, which then carry that in their type.
                self._transcript(message, final=message.get("transcriptType") == "final" or "final" in only)
            case "model-output":
                self._output(message)
            case "user-interrupted":
                self._interrupt()
            case "tool-calls" if self._tools:
                for call in tool_calls(message):
                    self._emit(call)
            case "hang":
                self._emit(port.BackendWarning("Vapi's assistant hangs: its model or voice does not answer"))
            case "status-update" if message.get("status") == "ended":
                reason = message.get("endedReason")
                self.finish(reason if isinstance(reason, str) else None)
        self._emit(port.VendorEvent(kind, message))

    def finish(self, reason: str | None) -> None:
        """The call has ended: so is what it was saying."""
        self.over = True
        self.ended_reason = reason
        self._end()

    def _speech(self, role: object, status: object, now: float) -> None:
        if role == "user" and status in ("started", "stopped"):
            self._emit(port.UserSpeech(status == "started"))
        elif role == "assistant" and status == "started":
            self._interrupted = False
            if self._stopped:
                self._end()
            if self._reply is None:
                self._begin(now)
            self._announced = True
            self._sounded = max(self._sounded, now)
        elif role == "assistant" and status == "stopped":
            self._stopped = True

    def _interrupt(self) -> None:
        self._interrupted = True
        self._reply = None
        self._unspoken.clear()
        self._emit(port.Interrupted())

    def _transcript(self, message: Mapping[str, Any], *, final: bool) -> None:
        text = message.get("transcript")
        if not isinstance(text, str) or not text:
            return
        if message.get("role") == "user":
            self._emit(port.UserTranscript(text, final))
        elif final and self._last is not None and self._text_source in (None, "transcript"):
            first = self._text_source is None
            self._text_source = "transcript"
            self._emit(port.ReplyTextDelta(self._last, text if first else f" {text}"))

    def _output(self, message: Mapping[str, Any]) -> None:
        text = message.get("output")
        # What the model calls is no text and is not spoken.
        if not isinstance(text, str) or not text:
            return
        if self._reply is not None and not self._stopped:
            self._model_output(text)
            return
        if message.get("turnId") != self._turn:
            self._turn = message.get("turnId")
            self._unspoken.clear()
        self._unspoken.append(text)

    def _model_output(self, text: str) -> None:
        if self._reply is not None and self._text_source in (None, "model"):
            self._text_source = "model"
            self._emit(port.ReplyTextDelta(self._reply, text))


def tool_calls(message: Mapping[str, Any]) -> Iterator[port.ToolCall]:
    """The calls of a `tool-calls` message, from the socket or a webhook, in each documented shape.

    Names stand in `function.name` or beside the id; arguments are an object or its JSON text, under
    `arguments` or `parameters`.
    """
    listed = message.get("toolCallList") or message.get("toolCalls") or ()
    for item in listed if isinstance(listed, Sequence) else ():
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            continue
        function = item.get("function")
        source = function if isinstance(function, dict) else item
        name = source.get("name")
        if isinstance(name, str):
            given = source.get("arguments")
            if given is None:
                given = source.get("parameters")
            yield port.ToolCall(item["id"], name, *read_arguments(given))


def _sounds(samples: Samples) -> bool:
    return bool(len(samples)) and max(int(samples.max()), -int(samples.min())) >= SILENCE_PEAK

"""The model's responses: which is live, what of it may be said, which tools it waits for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fishjam_agents.backends import port
from fishjam_agents.events import Heard
from fishjam_agents_openai.realtime.memory import Memory

_RATE = 24000


@dataclass(slots=True)
class _Response:
    """A response and the items it speaks: seconds of sound by item id, in order."""

    reply: str
    items: dict[str, float] = field(default_factory=dict)
    started: bool = False
    done: bool = False
    dead: bool = False


class Responses:
    """All responses of a connection.

    Attributes:
        latest: Id of the last reply that had sound, None before the first and once it was cut.
    """

    def __init__(self, emit: Callable[[port.BackendEvent], None], memory: Memory) -> None:
        self.latest: str | None = None
        self._emit = emit
        self._memory = memory
        self._live: dict[str, _Response] = {}
        self._replies: dict[str, _Response] = {}
        self._waiting: set[str] = set()

    @property
    def quiet(self) -> bool:
        """Whether nothing is generated and no tool is waited for."""
        return not self._waiting and all(response.done for response in self._live.values())

    def may_ask(self) -> bool:
        """Whether an answer may be asked for now: while tools run, their last answer asks."""
        return not self._waiting

    def answered(self, call: str) -> bool:
        """A tool has answered; whether it was the last one waited for."""
        known = call in self._waiting
        self._waiting.discard(call)
        return known and not self._waiting

    def cut(self, heard: Heard | None) -> Iterator[dict[str, Any]]:
        """What the service is to be told of an interruption.

        Args:
            heard: What was heard of the reply that was interrupted.
        """
        for identity, response in self._live.items():
            if not response.done and not response.dead:
                response.dead = True
                yield {"type": "response.cancel", "response_id": identity}
        if heard is None or heard.reply not in self._replies:
            return
        response = self._replies[heard.reply]
        response.dead = True
        if self.latest == heard.reply:
            self.latest = None
        self._memory.heard(heard.reply, heard.text)
        left = heard.seconds
        for item, seconds in response.items.items():
            played = min(max(left, 0.0), seconds)
            left -= seconds
            if played <= 0:
                yield {"type": "conversation.item.delete", "item_id": item}
            elif played < seconds:
                # More than there is would be an error: rounded down.
                milliseconds = int(played * 1000)
                yield {
                    "type": "conversation.item.truncate",
                    "item_id": item,
                    "content_index": 0,
                    "audio_end_ms": milliseconds,
                }

    def handle(self, event: Any) -> None:
        """Take an event about a response; others are passed over. Old beta names are understood."""
        kind: str = event.type
        if kind == "response.created":
            self._memory.replies += 1
            response = _Response(f"openai-{self._memory.replies}")
            self._live[event.response.id] = self._replies[response.reply] = response
            return
        identity = getattr(event, "response_id", None)
        if kind == "response.done":
            self._done(event.response)
            return
        found = self._live.get(identity) if identity is not None else None
        if found is None or found.dead:
            return
        if kind in ("response.output_audio.delta", "response.audio.delta"):
            self._sound(found, event.item_id, event.delta)
        elif kind in ("response.output_audio_transcript.delta", "response.audio_transcript.delta"):
            self._begin(found)
            self._memory.reply(found.reply, event.delta)
            self._emit(port.ReplyText(found.reply, event.delta))

    def _begin(self, response: _Response) -> None:
        if not response.started:
            response.started = True
            self._emit(port.ReplyStarted(response.reply))

    def _sound(self, response: _Response, item: str, delta: str) -> None:
        data = base64.b64decode(delta)
        samples = np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16, copy=False)
        if not len(samples):
            return
        self._begin(response)
        self.latest = response.reply
        response.items[item] = response.items.get(item, 0.0) + len(samples) / _RATE
        self._emit(port.ReplyAudio(response.reply, samples))

    def _done(self, told: Any) -> None:
        response = self._live.pop(getattr(told, "id", None) or "", None)
        if response is None:
            return
        response.done = True
        if response.started:
            self._emit(port.ReplyEnded(response.reply))
        usage = getattr(told, "usage", None)
        if usage is not None:
            self._emit(port.Usage(_counts(usage.model_dump())))
        status = getattr(told, "status", None)
        if status == "failed":
            error = getattr(getattr(told, "status_details", None), "error", None)
            reason = getattr(error, "code", None) or getattr(error, "type", None) or "no reason given"
            self._emit(port.Warning(f"the model could not answer ({reason})"))
        elif status == "completed" and not response.dead:
            self._call(told)

    def _call(self, told: Any) -> None:
        calls = [item for item in getattr(told, "output", None) or () if item.type == "function_call"]
        self._waiting.update(item.call_id for item in calls)
        for item in calls:
            try:
                arguments = json.loads(item.arguments or "{}")
            except ValueError:
                arguments = None
            if not isinstance(arguments, dict):
                self._emit(port.Warning(f"the model called {item.name} with arguments that are no object"))
                arguments = {}
            self._emit(port.ToolCall(item.call_id, item.name, arguments))


def _counts(usage: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The counts of a usage, nested ones with dots in their names."""
    found: dict[str, float] = {}
    for name, value in usage.items():
        if isinstance(value, dict):
            found |= _counts(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool) and value:
            found[prefix + name] = value
    return found

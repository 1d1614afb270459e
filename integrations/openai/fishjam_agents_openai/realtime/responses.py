"""The model's responses: which is live, what of it may be said, when the next may be asked for."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fishjam_agents.backends import port
from fishjam_agents.backends.arguments import read_arguments
from fishjam_agents.events import Heard
from fishjam_agents_openai.realtime.failures import fatal, said
from fishjam_agents_openai.realtime.history import RATE
from fishjam_agents_openai.realtime.memory import Memory

Event = Mapping[str, Any]
CREATE = "create"
"""Id of the events that ask for a response."""
_REMEMBERED = 32
"""Replies of a connection that may still turn out to have been interrupted."""


@dataclass(slots=True)
class _Response:
    """A response and the items it speaks: seconds of sound by item id, in order."""

    reply: str
    items: dict[str, float] = field(default_factory=dict)
    started: bool = False
    done: bool = False
    dead: bool = False


class Responses:
    """All responses of a connection that belong to the conversation.

    Args:
        emit: Takes our events.
        memory: Of the call.
        later: Takes what the service is to be told next.
        begun: Called when the model begins to answer.

    Attributes:
        latest: Id of the last reply that had sound, None before the first and once it was cut.
    """

    def __init__(
        self,
        emit: Callable[[port.BackendEvent], None],
        memory: Memory,
        later: Callable[[dict[str, Any]], None],
        begun: Callable[[], None],
    ) -> None:
        self.latest: str | None = None
        self._emit = emit
        self._memory = memory
        self._later = later
        self._begun = begun
        self._loop = asyncio.get_running_loop()
        self._live: dict[str, _Response] = {}
        self._replies: OrderedDict[str, _Response] = OrderedDict()
        self._asked = False
        self._wanted = False
        self._stillborn = False
        self._plays_until = 0.0

    @property
    def quiet(self) -> bool:
        """Whether nothing is generated, asked for or, as far as can be known, still being played."""
        return not (self._live or self._asked or self._wanted) and self._loop.time() >= self._plays_until

    # --- asking ---

    def ask(self) -> None:
        """An answer is wanted: now, or when the response that is live is done.

        While tools run it is the last of their results that asks.
        """
        self._memory.owed = True
        if self._memory.pending:
            return
        if self._asked or self._live:
            self._wanted = True
            return
        self._asked, self._wanted = True, False
        self._later({"type": "response.create", "event_id": CREATE})

    def refused(self, code: str) -> None:
        """What was asked for is not given."""
        self._asked = self._stillborn = False
        if code == "conversation_already_has_active_response":
            self._wanted = True
        else:
            self._memory.owed = False

    def cut(self, heard: Heard | None) -> Iterator[dict[str, Any]]:
        """What the service is to be told of an interruption.

        Args:
            heard: What was heard of the reply that was interrupted.
        """
        self._wanted = self._memory.owed = False
        self._plays_until = 0.0
        if self._asked:
            # It will be there by the time this arrives: the service takes one event after the other.
            self._stillborn = True
            yield {"type": "response.cancel", "event_id": "cancel"}
        for identity, live in self._live.items():
            if not live.dead:
                live.dead = True
                yield {"type": "response.cancel", "event_id": "cancel", "response_id": identity}
        if heard is None:
            return
        response = self._replies.get(heard.reply)
        if response is None:
            # Of an earlier connection: its items are not here, but what was told of them may be.
            yield from self._memory.history.heard(heard.reply, heard.text)
            return
        complete, response.dead = response.done, True
        if self.latest == heard.reply:
            self.latest = None
        for _ in self._memory.history.heard(heard.reply, heard.text):
            pass
        left = heard.seconds
        for item, seconds in response.items.items():
            played = min(max(left, 0.0), seconds)
            left -= seconds
            if int(played * 1000) <= 0:
                yield _deletion(item)
            elif played < seconds or not complete:
                # More than there is would be an error: rounded down. Of what is not done more is on its way.
                yield {
                    "type": "conversation.item.truncate",
                    "event_id": "truncate",
                    "item_id": item,
                    "content_index": 0,
                    "audio_end_ms": int(played * 1000),
                }

    # --- what the service tells ---

    def handle(self, event: Event) -> bool:
        """Take an event about a response of the conversation; False for others."""
        kind: str = event["type"]
        if kind == "response.created":
            self._created(event.get("response") or {})
        elif kind == "response.done":
            self._done(event.get("response") or {})
        elif kind in ("response.output_audio.delta", "response.audio.delta"):
            response = self._speaking(event)
            if response is not None:
                self._sound(response, event.get("item_id") or "", event.get("delta") or "")
        elif kind in ("response.output_audio_transcript.delta", "response.audio_transcript.delta"):
            response = self._speaking(event)
            if response is not None and event.get("delta"):
                self._start(response)
                self._memory.history.spoken(response.reply, event["delta"])
                self._emit(port.ReplyText(response.reply, event["delta"]))
        else:
            return kind.startswith("response.")
        return True

    def close(self) -> None:
        """The connection is over: so is what it was saying."""
        for response in self._live.values():
            self._end(response)
        self._live.clear()

    def _created(self, told: Event) -> None:
        self._asked = False
        self._memory.replies += 1
        response = _Response(f"openai-{self._memory.replies}", dead=self._stillborn)
        self._stillborn = False
        self._live[told.get("id") or ""] = self._replies[response.reply] = response
        if len(self._replies) > _REMEMBERED:
            self._replies.popitem(last=False)

    def _speaking(self, event: Event) -> _Response | None:
        response = self._live.get(event.get("response_id") or "")
        return None if response is None or response.dead else response

    def _start(self, response: _Response) -> None:
        if not response.started:
            response.started = True
            self._memory.owed = False
            self._begun()
            self._emit(port.ReplyStarted(response.reply))

    def _sound(self, response: _Response, item: str, delta: str) -> None:
        try:
            data = base64.b64decode(delta, validate=True)
        except (binascii.Error, ValueError):
            self._emit(port.Warning("OpenAI Realtime sent sound that is none: it was left out"))
            return
        samples = np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16, copy=False)
        if not len(samples):
            return
        self._start(response)
        self.latest = response.reply
        seconds = len(samples) / RATE
        response.items[item] = response.items.get(item, 0.0) + seconds
        self._plays_until = max(self._plays_until, self._loop.time()) + seconds
        self._emit(port.ReplyAudio(response.reply, samples))

    def _end(self, response: _Response) -> None:
        if response.started and not response.done:
            self._emit(port.ReplyEnded(response.reply))
        response.done = True

    def _done(self, told: Event) -> None:
        response = self._live.pop(told.get("id") or "", None)
        if response is None:
            return
        self._end(response)
        status = told.get("status")
        if status == "failed":
            self._failed(told, begun=response.started)
        elif status == "incomplete":
            reason = (told.get("status_details") or {}).get("reason") or "no reason given"
            self._emit(port.Warning(f"the model stopped in the middle of its answer ({reason})"))
        if response.dead:
            self._forget(response, told)
        else:
            self._memory.owed = False
            self._begun()
            if status == "completed":
                self._call(told)
        if self._wanted:
            self._wanted = False
            self.ask()

    def _failed(self, told: Event, *, begun: bool) -> None:
        error = (told.get("status_details") or {}).get("error") or {}
        ended = fatal(error)
        if ended is not None and not ended.retryable:
            raise ended
        reason = error.get("code") or error.get("type") or "no reason given"
        # An answer that has begun is one, such as it is.
        message = f"the model could not answer ({reason}): {said(error)}"
        failure = "network" if ended is None else ended.failure
        self._emit(port.Warning(message) if begun else port.Unanswered(message, failure))

    def _forget(self, response: _Response, told: Event) -> None:
        """Delete items of an interrupted response that nobody had heard of when it was."""
        for item in told.get("output") or ():
            if item.get("type") == "message" and item.get("id") and item["id"] not in response.items:
                self._later(_deletion(item["id"]))

    def _call(self, told: Event) -> None:
        for item in told.get("output") or ():
            if item.get("type") != "function_call":
                continue
            call, name = item.get("call_id") or item.get("id") or "", item.get("name") or ""
            given = item.get("arguments") or "{}"
            if self._memory.called(call, name, given if isinstance(given, str) else json.dumps(given)):
                self._emit(port.ToolCall(call, name, *read_arguments(given)))


def _deletion(item: str) -> dict[str, Any]:
    return {"type": "conversation.item.delete", "event_id": "delete", "item_id": item}

"""One connection to the emulated Realtime service: client events in, the conversation's items, errors out."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from fishjam_agents.audio.samples import Samples
from fishjam_agents_openai.emulator.input_buffer import InputBuffer
from fishjam_agents_openai.emulator.output import EmulatedOutput, beta_name
from fishjam_agents_openai.emulator.steps import Close, Raw, ScriptStep, ServerError

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection


class Service(Protocol):
    """The emulator as its connections know it: see `RealtimeEmulator`."""

    beta: bool
    stumbles: int
    model: Callable[[EmulatorConnection], Callable[[], Sequence[ScriptStep]]] | None

    @property
    def words(self) -> Callable[[float], str]:
        """Words that a turn is understood as, given its seconds."""

    def answer(self, line: EmulatorConnection, apart: bool) -> Sequence[ScriptStep]:
        """Return the steps to say next."""


class EmulatorConnection:
    """A connection.

    Args:
        emulator: Whose it is.
        socket: Its socket.

    Attributes:
        session: The session as it was asked for.
        items: The conversation: items by id.
        asked: What the response that was asked for last was asked for with.
        calls: Ids of the calls in it.
        model: What answers, where the emulator has a model.
        stalled: Whether it reads and says nothing any more.
    """

    def __init__(self, emulator: Service, socket: ServerConnection) -> None:
        self.session: dict[str, Any] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.calls: set[str] = set()
        self.stalled = False
        self.ended = False
        self._emulator = emulator
        self._socket = socket
        self._ids = itertools.count(1)
        self.hearing = InputBuffer(self.send_event, self._ids, emulator.words)
        self.asked: Mapping[str, Any] = {}
        self.model = emulator.model(self) if emulator.model is not None else None
        self.speaking = EmulatedOutput(self.send_event, self.raw, self.close, self._ids, self.hearing.write)

    @property
    def open(self) -> bool:
        """True while it is open, configured, and answers."""
        return bool(self.session) and not (self.ended or self.stalled)

    # --- what a test does ---

    def abort(self) -> None:
        """Cut it off."""
        self.ended = True
        self._socket.transport.abort()

    def stall(self) -> None:
        """Stop reading and answering, pings too, without closing it."""
        self.stalled = True
        self._socket.transport.pause_reading()

    async def idle(self) -> None:
        """Wait until the model says nothing."""
        while self.speaking.active is not None:  # noqa: ASYNC110 - for tests
            await asyncio.sleep(0.005)

    def respond(self, *says: ScriptStep) -> None:
        """Have the model say something by itself."""
        self.speaking.respond(says, {})

    async def speech(self) -> None:
        """Find that the user speaks."""
        item = f"item_{next(self._ids)}"
        await self.send_event("input_audio_buffer.speech_started", audio_start_ms=0, item_id=item)
        await self.speaking.cancel("turn_detected")

    async def late(self, samples: Samples) -> None:
        """Send more sound of the response that was cancelled."""
        await self.speaking.late(samples)

    # --- on the wire ---

    async def send_event(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        if kind in ("conversation.item.added", "response.output_item.done"):
            self._keep(fields["item"])
        name = beta_name(kind) if self._emulator.beta else kind
        if name is not None and not self.stalled:
            event = {"type": name, "event_id": f"event_{next(self._ids)}", **fields}
            await self._socket.send(json.dumps(event))

    async def raw(self, raw: Raw) -> None:
        """Send something as it is."""
        await self._socket.send(raw.event if isinstance(raw.event, str) else json.dumps(raw.event))

    async def close(self, close: Close) -> None:
        """End it."""
        self.ended = True
        if close.code == 1006:
            self._socket.transport.abort()
        else:
            await self._socket.close(close.code, close.reason)

    async def end(self) -> None:
        """It has ended."""
        self.ended = True
        await self.speaking.end()
        await self.hearing.end()

    def _keep(self, item: dict[str, Any]) -> None:
        self.items[item["id"]] = item
        if item["type"] == "function_call":
            self.calls.add(item["call_id"])

    async def take(self, event: dict[str, Any]) -> None:
        """Take an event of the client."""
        match event["type"]:
            case "session.update":
                await self._configure(event)
            case "input_audio_buffer.append":
                await self._append(base64.b64decode(event["audio"]))
            case "input_audio_buffer.commit":
                if not await self.hearing.commit():
                    await self._refuse(event, "input_audio_buffer_commit_empty", "the buffer is too small")
            case "input_audio_buffer.clear":
                await self.hearing.clear()
            case "response.create":
                await self._create(event)
            case "response.cancel":
                if self.speaking.active is None:
                    await self._refuse(
                        event, "response_cancel_not_active", "Cancellation failed: no active response found"
                    )
                else:
                    await self.speaking.cancel("client_cancelled")
            case "conversation.item.create":
                await self._item(event)
            case "conversation.item.truncate":
                await self._truncate(event)
            case "conversation.item.delete":
                if self.items.pop(event["item_id"], None) is None:
                    await self._refuse(event, "item_delete_invalid_item_id", "there is no such item")
                else:
                    await self.send_event("conversation.item.deleted", item_id=event["item_id"])
            case "conversation.item.retrieve" if event["item_id"] in self.items:
                await self.send_event("conversation.item.retrieved", item=self.items[event["item_id"]])
            case other:
                await self._refuse(event, "invalid_value", f"there is no event {other}")

    async def _configure(self, event: dict[str, Any]) -> None:
        asked = event["session"]
        if self._emulator.stumbles > 0:
            self._emulator.stumbles -= 1
            await self.send_event("error", error=ServerError().error)
            return
        if self._emulator.beta == (asked.get("type") == "realtime"):
            await self._refuse(event, "unknown_parameter", "this is not the form of a session here")
            return
        self.session |= asked
        if self._emulator.beta and "input_audio_format" in asked:
            transcription = asked.get("input_audio_transcription")
            self.hearing.configure(
                {"turn_detection": asked.get("turn_detection"), "transcription": transcription}
            )
        elif "audio" in asked:
            self.hearing.configure(asked["audio"]["input"])
        await self.send_event("session.updated", session=self.session)

    async def _append(self, data: bytes) -> None:
        detection = self.hearing.detection or {}
        if await self.hearing.append(data) and detection.get("interrupt_response", True):
            await self.speaking.cancel("turn_detected")
        elif await self.hearing.pause() and detection.get("create_response", True):
            self.asked = {}
            self.speaking.respond(self._emulator.answer(self, False), self.asked)

    async def _create(self, event: dict[str, Any]) -> None:
        fields = event.get("response") or {}
        apart = fields.get("conversation") == "none"
        if self.speaking.active is not None and not apart:
            message = "Conversation already has an active response in progress"
            await self._refuse(event, "conversation_already_has_active_response", message)
            return
        self.asked = fields
        self.speaking.respond(self._emulator.answer(self, apart), fields)
        # What is asked for exists from now on, also for a cancellation that comes right behind.
        await asyncio.sleep(0)

    async def _item(self, event: dict[str, Any]) -> None:
        item = {"id": f"item_{next(self._ids)}", **event["item"]}
        if item["type"] == "function_call_output" and item["call_id"] not in self.calls:
            message = f"Tool call ID {item['call_id']!r} not found in conversation."
            await self._refuse(event, "invalid_tool_call_id", message)
            return
        previous = event.get("previous_item_id")
        if previous not in (None, "root") and previous not in self.items:
            await self._refuse(event, "item_create_invalid_previous_item_id", f"there is no {previous}")
            return
        await self.send_event("conversation.item.added", item=item, previous_item_id=previous)
        await self.send_event("conversation.item.done", item=item, previous_item_id=previous)

    async def _truncate(self, event: dict[str, Any]) -> None:
        item, until = event["item_id"], event["audio_end_ms"]
        if item not in self.items:
            await self._refuse(event, "item_truncate_invalid_item_id", "there is no such item")
            return
        there = 1000 * self.speaking.lengths.get(item, 0.0)
        if until > there:
            message = f"Audio content of {there:.0f}ms is already shorter than {until}ms"
            await self._refuse(event, "invalid_value", message)
            return
        self.speaking.lengths[item] = until / 1000
        kept = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
        await self.send_event("conversation.item.truncated", **kept)

    async def _refuse(self, event: dict[str, Any], code: str, message: str) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message}
        await self.send_event("error", error=error | {"event_id": event.get("event_id"), "param": None})

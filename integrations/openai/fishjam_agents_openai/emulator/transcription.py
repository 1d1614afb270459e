"""A session of the emulated Realtime service that only transcribes (`intent=transcription`)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from websockets.exceptions import ConnectionClosed

from fishjam_agents_openai.emulator.connection import EmulatorConnection, Service
from fishjam_agents_openai.emulator.input_buffer import RATE, audio_item
from fishjam_agents_openai.emulator.steps import Close, Raw, ServerError

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection


LIVE_MODELS = frozenset({"gpt-live-transcribe", "gpt-realtime-whisper"})
"""Models that write while they hear; these take no turn detection of the service's."""
_WORD = 0.25
"""Seconds of sound after which a model that writes while it hears has another word."""
_SHORTEST = 0.1
"""Seconds below which a buffer is not committed."""
_WRITTEN = "conversation.item.input_audio_transcription"


@dataclass(frozen=True, slots=True)
class NotWritten:
    """A segment cannot be transcribed."""

    message: str = "The audio could not be decoded."


TranscriptStep: TypeAlias = str | float | Close | Raw | ServerError | NotWritten
"""Words, a pause in seconds, or trouble."""


class TranscriptionService(Service, Protocol):
    """The emulator as these connections know it: see `RealtimeEmulator`."""

    transcribers: frozenset[str] | None
    completed: list[float]

    def transcript(self) -> Sequence[TranscriptStep]:
        """Return what the next segment is understood as."""


class TranscriptionConnection(EmulatorConnection):
    """A connection.

    Args:
        emulator: Whose it is; its `transcripts` are what the next segments are understood as.
        socket: Its socket.

    Attributes:
        seconds: Sound of each segment that was committed.
        segments: How many have begun.
        writing: Ids of the items that are being transcribed.
        withdrawn: Segments that the client took back: cleared, or deleted while they were transcribed.
    """

    def __init__(self, emulator: TranscriptionService, socket: ServerConnection) -> None:
        super().__init__(emulator, socket)
        self.seconds: list[float] = []
        self.segments = 0
        self.writing: dict[str, asyncio.Task[None]] = {}
        self.withdrawn = 0
        self._server = emulator
        self._buffer = b""
        self._segment: str | None = None
        self._steps: list[TranscriptStep] = []
        self._told = 0
        self._words = ""
        self._previous: str | None = None

    @property
    def is_live(self) -> bool:
        """True if the model writes while it hears."""
        return self._transcription.get("model") in LIVE_MODELS

    @property
    def is_heard(self) -> bool:
        """True while there is sound that is not committed, or a transcript that is not complete."""
        return bool(self._buffer or self.writing)

    @property
    def _transcription(self) -> dict[str, Any]:
        if self._server.beta:
            flat: dict[str, Any] = self.session.get("input_audio_transcription") or {}
            return flat
        hears = (self.session.get("audio") or {}).get("input") or {}
        asked: dict[str, Any] = hears.get("transcription") or {}
        return asked

    async def take(self, event: dict[str, Any]) -> None:
        """Take an event of the client."""
        match event["type"]:
            case "session.update" | "transcription_session.update" as kind:
                await self._configure_transcription(event, kind)
            case "input_audio_buffer.append":
                await self._hear(base64.b64decode(event["audio"]))
            case "input_audio_buffer.commit":
                await self._commit(event)
            case "input_audio_buffer.clear":
                self.withdrawn += bool(self._buffer)
                self._buffer, self._segment, self._told, self._words = b"", None, 0, ""
                await self.send_event("input_audio_buffer.cleared")
            case "conversation.item.delete":
                await self._delete(event)
            case other:
                await self._refuse(event, "invalid_value", f"there is no event {other} in this session")

    async def end(self) -> None:
        """It has ended."""
        for task in self.writing.values():
            task.cancel()
        await asyncio.gather(*self.writing.values(), return_exceptions=True)
        self._buffer = b""
        await super().end()

    async def _configure_transcription(self, event: dict[str, Any], kind: str) -> None:
        asked, server = event["session"], self._server
        if server.stumbles > 0:
            server.stumbles -= 1
            await self.send_event("error", error=ServerError().error)
            return
        if server.beta != (kind == "transcription_session.update") or (
            not server.beta and asked.get("type") != "transcription"
        ):
            await self._refuse(event, "invalid_value", "this is not the form of a session here")
            return
        self.session |= asked
        hears = asked if server.beta else asked["audio"]["input"]
        model = self._transcription.get("model")
        if server.transcribers is not None and model not in server.transcribers:
            self.session.clear()
            await self._refuse(event, "model_not_found", f"The model {model!r} does not exist.")
            return
        if self.is_live and hears.get("turn_detection") is not None:
            self.session.clear()
            message = "Turn detection is not supported for this transcription model"
            await self._refuse(event, "invalid_value", message)
            return
        updated = "transcription_session.updated" if server.beta else "session.updated"
        await self.send_event(updated, session=self.session)

    async def _hear(self, data: bytes) -> None:
        if not self._buffer:
            self.segments += 1
            self._steps = list(self._server.transcript())
            self._segment = f"item_{next(self._ids)}"
        self._buffer += data
        while self.is_live and self._steps and isinstance(self._steps[0], str):
            if len(self._buffer) / 2 / RATE < _WORD * (self._told + 1):
                return
            self._told += 1
            words = str(self._steps.pop(0))
            self._words += words
            await self.send_event(f"{_WRITTEN}.delta", item_id=self._segment, content_index=0, delta=words)

    async def _commit(self, event: dict[str, Any]) -> None:
        seconds = len(self._buffer) / 2 / RATE
        if seconds < _SHORTEST:
            message = f"Error committing input audio buffer: buffer too small, only {1000 * seconds:.2f}ms"
            await self._refuse(event, "input_audio_buffer_commit_empty", message)
            return
        item, previous = self._segment or "", self._previous
        steps, self._buffer, self._segment = self._steps, b"", None
        self.seconds.append(seconds)
        words, self._words = self._words, ""
        self._told, self._previous = 0, item
        await self.send_event("input_audio_buffer.committed", item_id=item, previous_item_id=previous)
        added = audio_item(item)
        await self.send_event("conversation.item.added", item=added, previous_item_id=previous)
        await self.send_event("conversation.item.done", item=added, previous_item_id=previous)
        task = asyncio.get_running_loop().create_task(self._write(item, words, steps, seconds))
        self.writing[item] = task
        task.add_done_callback(lambda task: self.writing.pop(item, None))

    async def _delete(self, event: dict[str, Any]) -> None:
        item = event["item_id"]
        task = self.writing.get(item)
        if self.items.pop(item, None) is None:
            await self._refuse(event, "item_delete_invalid_item_id", "there is no such item")
            return
        if task is not None:
            self.withdrawn += 1
            task.cancel()
        await self.send_event("conversation.item.deleted", item_id=item)

    async def _write(self, item: str, words: str, steps: Sequence[TranscriptStep], seconds: float) -> None:
        place = {"item_id": item, "content_index": 0}
        with contextlib.suppress(ConnectionClosed):
            for step in steps:
                match step:
                    case str():
                        words += step
                        await self.send_event(f"{_WRITTEN}.delta", **place, delta=step)
                    case float():
                        await asyncio.sleep(step)
                    case Close():
                        await self.close(step)
                        return
                    case Raw():
                        await self.raw(step)
                    case ServerError():
                        await self.send_event("error", error=step.error)
                        return
                    case NotWritten(message):
                        error = {"type": "server_error", "code": "audio_unintelligible", "message": message}
                        await self.send_event(f"{_WRITTEN}.failed", **place, error=error)
                        return
            usage = {"type": "duration", "seconds": seconds}
            self._server.completed.append(asyncio.get_running_loop().time())
            await self.send_event(f"{_WRITTEN}.completed", **place, transcript=words, usage=usage)

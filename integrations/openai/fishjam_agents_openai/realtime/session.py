"""One connection to OpenAI Realtime: entries to client events, server events to ours."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from fishjam_agents.backends import port
from fishjam_agents.errors import BackendError
from fishjam_agents_openai.realtime.failures import BENIGN, connection_errors, fatal
from fishjam_agents_openai.realtime.memory import Memory
from fishjam_agents_openai.realtime.responses import Responses

if TYPE_CHECKING:
    from openai.resources.realtime.realtime import AsyncRealtimeConnection

    from fishjam_agents_openai.realtime.backend import Realtime

logger = logging.getLogger(__name__)

SETUP_SECONDS = 10.0
_LOOK = 1.0
"""How often a renewal looks for a quiet moment, seconds."""
_LATEST = 180.0
"""Seconds after `renew_after` at which it waits for none any more."""


class RealtimeSession(port.BackendSession):
    """A live connection.

    Args:
        settings: The backend.
        conversation: The call.
        memory: What outlives the connection.
        live: The client's connection.
    """

    def __init__(
        self,
        settings: Realtime,
        conversation: port.Conversation,
        memory: Memory,
        live: AsyncRealtimeConnection,
    ) -> None:
        self._settings = settings
        self._emit = conversation.emit
        self._local = conversation.owner == "local"
        self._memory = memory
        self._live = live
        self._responses = Responses(conversation.emit, memory)
        self._speaking = False
        self._peer: str | None = None
        self._understood: dict[str, str] = {}

    async def begin(self, session: dict[str, Any]) -> None:
        """Configure the session and wait until it is.

        Raises:
            BackendError: The service refuses.
        """
        await self._say({"type": "session.update", "session": session})
        for item in self._memory.items():
            await self._say({"type": "conversation.item.create", "item": item})
        try:
            async with asyncio.timeout(SETUP_SECONDS):
                while True:
                    event = await self._live.recv()
                    if event.type == "session.updated":
                        return
                    if event.type == "error":
                        error = fatal(event.error)
                        if error is not None:
                            raise error
                        said = getattr(event.error, "message", None)
                        raise BackendError(
                            f"OpenAI Realtime refuses the session ({said}): check the settings",
                            failure="config",
                        )
        except TimeoutError as error:
            raise BackendError(
                f"OpenAI Realtime did not accept the session within {SETUP_SECONDS:g} s", retryable=True
            ) from error

    async def send(self, entry: port.Entry) -> None:
        """Pass an entry on."""
        with connection_errors():
            await self._pass_on(entry)

    async def _pass_on(self, entry: port.Entry) -> None:
        match entry:
            case port.AudioEntry(peer, samples):
                self._peer = peer
                await self._append(samples)
            case port.TurnStartedEntry(peer):
                self._speaking, self._peer = True, peer
            case port.TurnEndedEntry():
                self._speaking = False
                await self._say({"type": "input_audio_buffer.commit"})
                await self._answer()
            case port.TurnCancelledEntry():
                self._speaking = False
                await self._say({"type": "input_audio_buffer.clear"})
            case port.TextEntry(text):
                self._memory.user(text)
                await self._write([{"type": "input_text", "text": text}])
                if not entry.note:
                    await self._answer()
            case port.ImageEntry(data, kind):
                url = f"data:{kind};base64,{base64.b64encode(data).decode()}"
                await self._write([{"type": "input_image", "image_url": url}])
            case port.InterruptEntry(heard):
                for event in self._responses.cut(heard):
                    await self._say(event)
            case port.ToolResultEntry() if not entry.will_continue:
                item = {"type": "function_call_output", "call_id": entry.call, "output": entry.result}
                await self._say({"type": "conversation.item.create", "item": item})
                if self._responses.answered(entry.call):
                    await self._answer()
            case port.UpdateEntry(instructions, tools):
                if instructions is not None:
                    self._memory.instructions = instructions
                if tools is not None:
                    self._memory.tools = tools
                memory = self._memory
                update = self._settings.session(memory.instructions, memory.tools, self._local)
                # The voice and the formats are fixed once something was said.
                del update["audio"]
                await self._say({"type": "session.update", "session": update})

    async def read(self) -> None:
        """Read until the connection ends.

        Raises:
            BackendError: It was lost, or the service gave up.
            Renewal: Its hour is nearly over.
        """
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + self._settings.renew_after
        with connection_errors():
            receiving = asyncio.ensure_future(self._live.recv())
            try:
                while True:
                    await asyncio.wait({receiving}, timeout=_LOOK)
                    if receiving.done():
                        self._handle(receiving.result())
                        receiving = asyncio.ensure_future(self._live.recv())
                    late = loop.time() - renew_at
                    if late > _LATEST or (late > 0 and not self._speaking and self._responses.quiet):
                        raise port.Renewal
            finally:
                receiving.cancel()
                await asyncio.gather(receiving, return_exceptions=True)

    def _handle(self, event: Any) -> None:
        # By the name: the client makes of what it does not know an instance of an unrelated class.
        kind: str = event.type
        if kind == "input_audio_buffer.speech_started":
            self._speaking = True
            self._emit(port.UserSpeech(True))
            if self._responses.latest is not None:
                self._emit(port.Interrupted(self._responses.latest))
        elif kind == "input_audio_buffer.speech_stopped":
            self._speaking = False
            self._emit(port.UserSpeech(False))
        elif kind == "conversation.item.input_audio_transcription.delta":
            text = self._understood.get(event.item_id, "") + (getattr(event, "delta", None) or "")
            self._understood[event.item_id] = text
            self._emit(port.UserTranscript(text, peer=self._peer))
        elif kind == "conversation.item.input_audio_transcription.completed":
            self._understood.pop(event.item_id, None)
            self._memory.user(event.transcript)
            self._emit(port.UserTranscript(event.transcript, final=True, peer=self._peer))
        elif kind == "conversation.item.input_audio_transcription.failed":
            self._emit(port.Warning("what the user said was heard, but could not be written down"))
        elif kind == "error":
            self._error(event.error)
        else:
            self._responses.handle(event)

    def _error(self, error: Any) -> None:
        ended = fatal(error)
        if ended is not None:
            raise ended
        if getattr(error, "code", None) in BENIGN:
            logger.debug("OpenAI Realtime says: %s", getattr(error, "message", error))
        else:
            self._emit(port.Warning(f"OpenAI Realtime says: {getattr(error, 'message', error)}"))

    # --- on the wire ---

    async def _say(self, event: dict[str, Any]) -> None:
        # Typed parameters cost 140 us for each frame of audio.
        await self._live.send_raw(json.dumps(event))

    async def _append(self, samples: port.Samples) -> None:
        audio = base64.b64encode(np.ascontiguousarray(samples, "<i2").tobytes()).decode()
        await self._live.send_raw(f'{{"type":"input_audio_buffer.append","audio":"{audio}"}}')

    async def _write(self, content: list[dict[str, Any]]) -> None:
        item = {"type": "message", "role": "user", "content": content}
        await self._say({"type": "conversation.item.create", "item": item})

    async def _answer(self) -> None:
        if self._responses.may_ask():
            await self._say({"type": "response.create"})

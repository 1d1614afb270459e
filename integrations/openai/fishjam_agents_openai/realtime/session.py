"""One connection to OpenAI Realtime: entries to client events, server events to ours."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from fishjam_agents.backends import port
from fishjam_agents.backends.response_watchdog import ResponseWatchdog
from fishjam_agents.errors import BackendError
from fishjam_agents.race import race
from fishjam_agents_openai.realtime.events import ServerEvents
from fishjam_agents_openai.realtime.failures import connection_errors, error_in, fatal, passes, said
from fishjam_agents_openai.realtime.history import RATE, HistoryItem, encoded
from fishjam_agents_openai.realtime.memory import Memory
from fishjam_agents_openai.realtime.out_of_band import OutOfBandRequests
from fishjam_agents_openai.realtime.responses import Responses
from fishjam_agents_openai.realtime.settings import RealtimeSettings

if TYPE_CHECKING:
    from openai.resources.realtime.realtime import AsyncRealtimeConnection


_LOOK = 0.5
"""Interval at which a renewal looks for a quiet moment, seconds."""
_MAX_IMAGE = 10_000_000
"""Bytes of the largest picture; as text it stays below the 15 MiB the API takes in one event."""
_MARGIN = 0.5
"""Seconds of quiet beyond what the service waits for."""
_LATEST = 180.0
"""Seconds after `renew_after` at which it waits for none any more."""


class RealtimeSession(port.BackendSession):
    """A live connection.

    Args:
        settings: The backend.
        context: The call.
        memory: What outlives the connection.
        live: The client's connection.
    """

    def __init__(
        self,
        settings: RealtimeSettings,
        context: port.BackendContext,
        memory: Memory,
        live: AsyncRealtimeConnection,
    ) -> None:
        self._settings = settings
        self._local = context.turn_mode == "local"
        self._emit = context.emit
        self._memory = memory
        self._live = live
        self._unsent: deque[dict[str, Any]] = deque()
        self._more = asyncio.Event()
        self._turn_open = False
        self._sending = False
        self._leaving = False
        self._watchdog = ResponseWatchdog("OpenAI Realtime", settings.answer_timeout, self._ping)
        self._responses = Responses(
            context.emit,
            memory,
            self._later,
            begun=lambda: self._watchdog.over(answered=True),
            over=self._watchdog.over,
            somebody_speaks=lambda: self._turn_open or self._events.speaking,
        )
        self._out_of_band = OutOfBandRequests(context.emit, memory)
        self._events = ServerEvents(
            settings,
            context.emit,
            memory,
            self._responses,
            self._out_of_band,
            self._watchdog,
            local=self._local,
        )

    async def begin(self) -> None:
        """Configure the session, wait until it is, and tell it what was said before.

        Raises:
            BackendError: The service refuses.
        """
        memory, settings = self._memory, self._settings
        await self._say(
            {
                "type": "session.update",
                "event_id": "session",
                "session": settings.session(memory.instructions, memory.tools, self._local),
            }
        )
        await self._configured()
        memory.reconnected()
        for event in memory.history.retold(memory.pending, settings.beta):
            await self._say(event)
        for samples in memory.open_turn:
            await self._append(samples)
            self._events.sent += len(samples) / RATE
        for question, text in tuple(memory.questions.items()):
            await self._say(self._out_of_band.ask(question, text))
        if memory.owed:
            self._ask()
        self._responses.ask_next()
        await self._flush()

    async def _configured(self) -> None:
        while True:
            event = self._events.read(await self._live.recv_bytes())
            kind = None if event is None else event["type"]
            if event is not None and kind == "session.updated":
                return
            if event is not None and kind == "error":
                error = error_in(event)
                if passes(error):
                    raise BackendError(
                        f"OpenAI Realtime could not begin the session ({said(error)}): a new connection is "
                        "made",
                        retryable=True,
                    )
                raise fatal(error) or BackendError(
                    f"OpenAI Realtime refuses the session ({said(error)}): check the settings",
                    failure="config",
                )

    # --- what the user says and does ---

    async def send(self, item: port.BackendInput) -> None:
        """Pass an input on; while the connection is being left, wait for the end instead.

        Raises:
            BackendError: The connection is lost.
        """
        if self._leaving:
            await asyncio.Future()
        self._sending = True
        try:
            with connection_errors(self._settings.secrets):
                if isinstance(item, port.AudioInput):
                    await self._hear(item)
                else:
                    # What was decided earlier goes first: an answer is asked for before it is cancelled.
                    await self._flush()
                    await self._pass_on(item)
                    await self._flush()
        finally:
            self._sending = False

    async def _hear(self, item: port.AudioInput) -> None:
        self._events.peer = item.peer
        await self._sound(item.samples)

    async def _sound(self, samples: port.Samples) -> None:
        await self._append(samples)
        self._events.sent += len(samples) / RATE
        self._memory.heard(samples, speech=self._local or self._events.speaking)

    async def _pass_on(self, item: port.BackendInput) -> None:
        memory = self._memory
        match item:
            case port.TurnStartedInput(peer):
                self._turn_open, self._events.peer = True, peer
            case port.TurnEndedInput(turn):
                await self._say({"type": "input_audio_buffer.commit", "event_id": "commit"})
                self._turn_open = False
                memory.committed(turn.peer)
                self._ask()
            case port.AudioEndedInput() if self._events.speaking:
                # Who has gone in the middle of a word would never be done speaking.
                seconds = self._settings.detection.quiet + _MARGIN
                await self._sound(np.zeros(round(seconds * RATE), np.int16))
            case port.TurnCancelledInput():
                await self._say({"type": "input_audio_buffer.clear"})
                self._turn_open = False
                memory.cancelled()
                self._responses.ask_next()
            case port.TextInput(text, reply=str(reply), instructs=True):
                self._responses.respond(reply, text)
                self._watchdog.begin(certain=False, counts=False)
            case port.TextInput(text):
                await self._add(HistoryItem("user", text))
                if not item.note:
                    self._ask()
            case port.ImageInput(data) if len(data) > _MAX_IMAGE:
                self._emit(
                    port.BackendWarning(f"a picture of {len(data)} bytes is too large: it was not sent")
                )
            case port.ImageInput(data, kind):
                await self._add(HistoryItem("image", f"data:{kind};base64,{base64.b64encode(data).decode()}"))
            case port.InterruptInput(heard):
                self._watchdog.over()
                for event in self._responses.cut(heard):
                    await self._say(event)
            case port.ToolResultInput() if not item.will_continue:
                line = HistoryItem("result", item.result, item.call)
                await self._say({"type": "conversation.item.create", "item": line.item()})
                if memory.answered(item.call, item.result):
                    self._ask()
            case port.UpdateInput(instructions, tools):
                await self._update(instructions, tools)
            case port.OutOfBandInput(question, text):
                await self._say(self._out_of_band.ask(question, text))
            case port.ControlInput(message):
                await self._say(dict(message))
            case port.AudioInput():
                await self._hear(item)
            case port.AudioEndedInput() | port.ToolResultInput():
                # Nobody was speaking; progress is not taken.
                pass
            case port.TurnPausedInput() | port.TurnResumedInput() | port.SpeechSuspectedInput():
                pass
            case _:
                assert_never(item)

    async def _add(self, line: HistoryItem) -> None:
        await self._say({"type": "conversation.item.create", "item": line.item(self._settings.beta)})
        self._memory.history.add(line)

    def _ask(self) -> None:
        self._responses.ask()
        if not self._memory.pending:
            self._watchdog.begin()

    async def _update(self, instructions: str | None, tools: Sequence[port.ToolDeclaration] | None) -> None:
        memory = self._memory
        if instructions is not None:
            memory.instructions = instructions
        if tools is not None:
            memory.tools = tools
        update = self._settings.session_update(memory.instructions, memory.tools)
        await self._say({"type": "session.update", "session": update})

    # --- what the service says ---

    async def read(self) -> None:
        """Read until the connection ends.

        Raises:
            BackendError: It was lost, or the service gave up.
            SessionRefresh: Its hour is over, or nearly.
        """
        try:
            with connection_errors(self._settings.secrets):
                await race(
                    "openai",
                    receive=self._receive(),
                    speak_up=self._speak_up(),
                    watchdog=self._watchdog.watch(),
                    renew=self._renew(),
                )
        finally:
            self._responses.close()

    async def _receive(self) -> None:
        while True:
            event = self._events.read(await self._live.recv_bytes())
            if event is not None:
                self._events.handle(event)

    async def _speak_up(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            await self._flush()

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + self._settings.renew_after
        await asyncio.sleep(self._settings.renew_after)
        while not self._quiet() and loop.time() < at + _LATEST:  # noqa: ASYNC110 - of many things, some by time
            await asyncio.sleep(min(_LOOK, self._settings.renew_after))
        # Nothing may be half sent when it is left.
        self._leaving = True
        while self._sending:  # noqa: ASYNC110 - under the link's deadline
            await asyncio.sleep(0.01)
        raise port.SessionRefresh("its hour is nearly over")

    def _quiet(self) -> bool:
        """Return whether nobody would notice a new connection."""
        return not (
            self._turn_open
            or self._events.speaking
            or self._memory.owed
            or self._memory.pending
            or self._memory.questions
            or not self._responses.quiet
        )

    # --- on the wire ---

    def _later(self, event: dict[str, Any]) -> None:
        self._unsent.append(event)
        self._more.set()

    async def _flush(self) -> None:
        while self._unsent:
            await self._say(self._unsent.popleft())

    async def _say(self, event: dict[str, Any]) -> None:
        # Typed parameters cost 140 us for each frame of audio.
        await self._live.send_raw(json.dumps(event))

    async def _append(self, samples: port.Samples) -> None:
        await self._live.send_raw(f'{{"type":"input_audio_buffer.append","audio":"{encoded(samples)}"}}')

    async def _ping(self) -> None:
        # The client has no ping of its own; its socket has had this name since its first version.
        socket = getattr(self._live, "_connection", None)
        if socket is not None:
            await (await socket.ping())

"""A call's media socket: 20 ms binary frames of PCM both ways, JSON text frames beside them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, assert_never

import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.protocol import State

from fishjam_agents.backends import port
from fishjam_agents.backends.port import BackendInput, BackendSession, ConversationEnded
from fishjam_agents.cut_handshake import is_cut_handshake
from fishjam_agents.errors import BackendError
from fishjam_agents.fishjam.dial import DirectDial
from fishjam_agents.fishjam.direct import DirectConnection
from fishjam_agents.loopback import is_loopback_url
from fishjam_agents.playout.ticker import Ticker

from . import control
from .api import CallInfo, VapiApi
from .failures import ended
from .translator import Translator
from .webhook import ToolResultBroker

INSTRUCTIONS = "vapi.instructions"
"""The name in `BackendContext.memory` of the instructions as they are now."""
OPEN_DEADLINE = 5.0
"""Seconds until the socket must be open; the call was created before, within the link's 15 s."""
PING_INTERVAL = 10.0
"""Seconds between pings, and the patience for each answer."""
GOODBYE_DEADLINE = 1.0
"""Seconds Vapi has to close the socket after `end-call`."""
PATIENCE = 0.2
"""Seconds without audio after which silence is sent: longer than the pipeline's own 120 ms, so that the two
never fill the same gap."""
FRAME_SECONDS = 0.02
"""Audio in one binary frame, as Vapi prefers it."""
_HUNG_UP = "customer-ended-call"
"""The `endedReason` of a call that whoever called has left (docs.vapi.ai/calls/call-ended-reason)."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Largest message taken; a conversation-update holds the whole conversation."""

logger = logging.getLogger(__name__)


@asynccontextmanager
async def media_socket(url: str, key: str) -> AsyncIterator[DirectConnection]:
    """Open the media socket of a call.

    Raises:
        BackendError: It cannot be opened.
    """
    try:
        socket = await DirectDial(
            url,
            additional_headers={"Authorization": f"Bearer {key}"},
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=OPEN_DEADLINE,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_INTERVAL,
            close_timeout=GOODBYE_DEADLINE,
            proxy=None if is_loopback_url(url) else True,
            create_connection=DirectConnection,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        raise BackendError(
            f"Vapi's media socket answered with {status}: the call may have ended already",
            retryable=status >= 500,
            failure="auth" if status in (401, 403) else "protocol" if status < 500 else "network",
        ) from error
    except (OSError, TimeoutError) as error:
        why = str(error) or type(error).__name__
        raise BackendError(
            f"cannot reach Vapi's media socket ({why}): check the network", retryable=True
        ) from error
    except (InvalidHandshake, InvalidURI) as error:
        if is_cut_handshake(error):
            raise BackendError(
                "the connection to Vapi's media socket was cut before it was open: check the network",
                retryable=True,
            ) from error
        raise BackendError(
            f"Vapi's media socket is no WebSocket ({type(error).__name__}): check url", failure="protocol"
        ) from error
    assert isinstance(socket, DirectConnection)
    async with socket:
        yield socket


class VapiSession(BackendSession):
    """One call.

    Args:
        socket: Its media socket.
        api: For what the socket can no longer take.
        call: The call.
        translator: Makes events of what comes.
        broker: Where tool results go; None without a webhook.
        rate: Hz both ways.
        new_call: Whether a new call follows when this one's socket is lost.
        memory: What the next call is to know (`BackendContext.memory`).
    """

    def __init__(
        self,
        socket: DirectConnection,
        api: VapiApi,
        call: CallInfo,
        translator: Translator,
        broker: ToolResultBroker | None,
        *,
        rate: int,
        new_call: bool,
        memory: MutableMapping[str, Any],
    ) -> None:
        self._memory = memory
        self._socket = socket
        self._api = api
        self._call = call
        self._translator = translator
        self._broker = broker
        self._rate = rate
        self._new_call = new_call
        self._loop = asyncio.get_running_loop()
        self._frame = round(rate * FRAME_SECONDS) * 2
        self._carry = b""
        self._covered = self._loop.time()
        self._verdict: asyncio.Future[BackendError | ConversationEnded] | None = None

    # --- to Vapi ---

    async def send(self, item: BackendInput) -> None:
        """Part of `BackendSession`.

        Raises:
            BackendError: The socket is lost.
            ConversationEnded: The conversation is over.
        """
        try:
            match item:
                case port.AudioInput():
                    await self._hear(item)
                case port.TextInput(verbatim=True):
                    self._translator.expect(item.reply, item.text, self._loop.time())
                    await self.post(control.say(item.text))
                case port.TextInput(instructs=True):
                    self._translator.expect(item.reply, None, self._loop.time())
                    await self.post(control.add_message(item.text, role="system"))
                case port.TextInput(note=True):
                    await self.post(control.add_message(item.text, role="system", respond=False))
                case port.TextInput():
                    await self.post(control.add_message(item.text))
                case port.UpdateInput(instructions=str(words)):
                    await self.post(control.add_message(words, role="system", respond=False))
                    self._memory[INSTRUCTIONS] = words
                case port.ControlInput():
                    await self.post(item.message)
                case port.ToolResultInput() if self._broker is not None:
                    self._broker.answer(item)
                case port.ToolResultInput() | port.UpdateInput() | port.AudioEndedInput():
                    pass
                case port.TurnStartedInput() | port.TurnEndedInput() | port.TurnCancelledInput():
                    pass
                case port.TurnPausedInput() | port.TurnResumedInput() | port.InterruptInput():
                    pass
                case port.ImageInput() | port.OutOfBandInput() | port.SpeechSuspectedInput():
                    pass
                case _:
                    assert_never(item)
        except ConnectionClosed as error:
            raise await self._lost(error) from error

    async def post(self, message: Mapping[str, Any]) -> None:
        """Send a message as a text frame."""
        await self._socket.send(json.dumps(message))

    async def _hear(self, item: port.AudioInput) -> None:
        data = self._carry + np.ascontiguousarray(item.samples, "<i2").tobytes()
        whole = len(data) - len(data) % self._frame
        for start in range(0, whole, self._frame):
            frame = data[start : start + self._frame]
            if self._socket.state is not State.OPEN or not self._socket.post(frame):
                await self._socket.send(frame)
        self._carry = data[whole:]
        self._covered = max(self._covered, self._loop.time()) + len(item.samples) / self._rate

    def _tick(self, now: float) -> None:
        self._translator.tick(now)
        if now - self._covered < PATIENCE or self._socket.state is not State.OPEN:
            return
        frame, self._carry = self._carry.ljust(self._frame, b"\0"), b""
        # Where the socket pushes back, Vapi has more than enough to hear.
        self._socket.post(frame)

    # --- from Vapi ---

    async def read(self) -> None:
        """Part of `BackendSession`.

        Raises:
            BackendError: The call failed, or its socket was lost.
            ConversationEnded: The conversation is over.
        """
        unsubscribe = Ticker.shared().subscribe(self._tick)
        try:
            await self._socket.listen(self._take)
        except ConnectionClosed as error:
            raise await self._lost(error) from error
        finally:
            unsubscribe()

    def _take(self, message: str | bytes) -> None:
        translator = self._translator
        if isinstance(message, bytes):
            translator.audio(message, self._loop.time())
            return
        translator.message(message, self._loop.time())
        if translator.over:
            raise _end(translator.ended_reason)

    async def _lost(self, error: ConnectionClosed) -> BackendError | ConversationEnded:
        """Meaning of the end of the socket: whoever sees it first asks, for both who send and who read."""
        if self._verdict is None:
            self._verdict = asyncio.ensure_future(self._judge(error))
        return await asyncio.shield(self._verdict)

    async def _judge(self, error: ConnectionClosed) -> BackendError | ConversationEnded:
        if self._translator.over:
            return _end(self._translator.ended_reason)
        received = error.rcvd
        # Vapi need not tell of the end on the socket, and often closes it without a status.
        call = await self._api.ended(self._call, patient=received is not None)
        told = None if call is None else call.ended_reason
        # Of a call whose socket was cut Vapi says that the customer hung up: from there it looks the same.
        if call is not None and (received is not None or told not in (None, _HUNG_UP)):
            self._translator.finish(told)
            return _end(told)
        if received is not None and received.code == 1000:
            self._translator.finish(None)
            return ConversationEnded(received.reason or "Vapi closed the media socket")
        said = f"code {1006 if received is None else received.code}"
        if self._new_call:
            return BackendError(
                f"the socket of Vapi's call was lost ({said}): a new call begins", retryable=True
            )
        return BackendError(
            f"the socket of Vapi's call was lost ({said}), and Vapi cannot resume one: start the bot again, "
            "or set on_lost to new_call",
            failure="network",
        )

    async def hang_up(self) -> None:
        """End the call at Vapi, unless it has ended."""
        if self._verdict is not None:
            self._verdict.cancel()
            await asyncio.gather(self._verdict, return_exceptions=True)
        if self._translator.over:
            return
        try:
            async with asyncio.timeout(GOODBYE_DEADLINE):
                await self.post(control.end_call())
                await self._socket.wait_closed()
        except TimeoutError:
            logger.debug("the call %s took its end without closing the socket", self._call.id)
        except ConnectionClosed:
            await self._api.hang_up(self._call)


def _end(reason: str | None) -> BackendError | ConversationEnded:
    """Meaning of the end of a call, by its `endedReason`."""
    return ended(reason) or ConversationEnded(reason or "Vapi gave no reason")

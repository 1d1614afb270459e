"""`type: vapi_peer`: Fishjam itself bridges the room to a Vapi call; no audio passes through this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from fishjam_agents.backends import port
from fishjam_agents.backends.port import BackendContext, BackendInput
from fishjam_agents.backends.remote import BridgedPeer, RemoteBackend, RemoteCall, VapiInvitation
from fishjam_agents.errors import BackendError

from . import control
from .failures import ended, redact
from .settings import CallSettings

if TYPE_CHECKING:
    from .api import CallInfo, VapiApi

RATE = 16000
"""Hz at which Fishjam wants calls for its peers to be made (Fishjam's page on its Vapi integration)."""
LOOK_EVERY = 5.0
"""Seconds between two looks at the call."""
LOST_AFTER = 6
"""Looks in a row that may fail."""
REASON_LOOKS = 4
"""Number of looks for the reason that ended a call that has just been left."""
REASON_PAUSE = 0.25
"""Seconds between them."""


@dataclass(frozen=True, slots=True)
class VapiPeer(CallSettings, RemoteBackend):
    """A Vapi assistant as a peer of the room.

    Attributes:
        auto_close: Whether Fishjam ends the call when the last participant leaves the room.
    """

    auto_close: bool = True

    @asynccontextmanager
    async def call(self, context: BackendContext) -> AsyncIterator[RemoteCall]:
        """Create a call that Fishjam can join; leaving ends it.

        Raises:
            BackendError: Vapi refuses, cannot be reached, or answers with something else.
            ConfigError: There is no key.
        """
        from .api import VapiApi

        async with VapiApi(self.api_url, self.key) as api:
            info = await api.create(self.body(RATE))
            call = _PeerCall(self, api, info, context)
            try:
                yield call
            finally:
                if not call.over:
                    await api.hang_up(info)


class _PeerCall:
    """One call, seen from beside its audio."""

    def __init__(self, settings: VapiPeer, api: VapiApi, info: CallInfo, context: BackendContext) -> None:
        self.over = False
        self._settings = settings
        self._api = api
        self._info = info
        self._emit = context.emit

    @property
    def invitation(self) -> VapiInvitation:
        """Part of `RemoteCall`."""
        return VapiInvitation(self._settings.key, self._info.id, self._settings.auto_close)

    async def send(self, item: BackendInput) -> None:
        """Part of `RemoteCall`.

        Raises:
            BackendError: Vapi does not take it.
        """
        match item:
            case port.TextInput(note=True):
                message = control.add_message(item.text, role="system", respond=False)
            case port.TextInput():
                message = control.add_message(item.text)
            case port.UpdateInput(instructions=str(words)):
                message = control.add_message(words, role="system", respond=False)
            case port.ControlInput():
                message = item.message
            case port.UpdateInput() | port.ToolResultInput() | port.ImageInput() | port.OutOfBandInput():
                return
            case port.AudioInput() | port.AudioEndedInput() | port.InterruptInput():
                return
            case port.TurnStartedInput() | port.TurnEndedInput() | port.TurnCancelledInput():
                return
            case port.TurnPausedInput() | port.TurnResumedInput() | port.SpeechSuspectedInput():
                return
            case _:
                assert_never(item)
        await self._api.control(self._info, message)

    async def follow(self, peer: BridgedPeer) -> str:
        """Part of `RemoteCall`: by the peer, and by looking at the call now and then.

        Raises:
            BackendError: The call failed, or Fishjam could not join it.
        """
        gone = asyncio.create_task(peer.left(), name=f"VAPI peer {peer.peer_id}")
        status, lost = self._info.status, 0
        try:
            while True:
                await asyncio.wait({gone}, timeout=LOOK_EVERY)
                if gone.done():
                    return await self._why(gone.result())
                try:
                    info = await self._api.get(self._info.id)
                except BackendError as error:
                    lost += 1
                    if not error.retryable or lost >= LOST_AFTER:
                        raise
                    self._emit(port.BackendWarning(f"it is not known how the call is: {error}"))
                    continue
                lost = 0
                if info.status != status:
                    status = info.status
                    self._emit(port.VendorEvent("status-update", {"type": "status-update", "status": status}))
                if status == "ended":
                    return self._judge(info.ended_reason)
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    async def _why(self, crashed: str | None) -> str:
        """Return the reason for which the peer is gone."""
        if crashed is not None:
            raise BackendError(
                f"Fishjam gave up the Vapi peer ({redact(crashed, self._settings.key)}): check that Fishjam "
                "reaches Vapi, and that the key is that of the call's account",
                failure="protocol",
            )
        for _ in range(REASON_LOOKS):
            try:
                info = await self._api.get(self._info.id)
            except BackendError as error:
                return f"its peer left the room, and Vapi does not tell why: {error}"
            if info.status == "ended":
                return self._judge(info.ended_reason)
            await asyncio.sleep(REASON_PAUSE)
        return "its peer left the room"

    def _judge(self, reason: str | None) -> str:
        self.over = True
        failure = ended(reason)
        if failure is not None:
            raise failure
        return reason or "Vapi gave no reason"

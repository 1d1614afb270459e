"""A running call whose audio the media server carries itself: hooks, people and messages, and no media."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.backends.remote import BridgedPeer, RemoteBackend, RemoteCall, VapiInvitation
from fishjam_agents.backends.tracebacks import raised_at
from fishjam_agents.errors import BackendError
from fishjam_agents.events import EndReason, Event
from fishjam_agents.pipeline.actions import put_from_anywhere
from fishjam_agents.pipeline.hooks import Hooks
from fishjam_agents.pipeline.names import Names
from fishjam_agents.session import PeerType, RoomView

if TYPE_CHECKING:
    from fishjam_agents.pipeline.agent import AgentPipeline

logger = logging.getLogger(__name__)

BEGIN_DEADLINE = 15.0
"""Seconds until the conversation must have begun at the vendor, as for other backends."""
SEND_DEADLINE = 10.0
"""Seconds a message may take."""
MAX_WAITING = 256
"""Messages that may wait to be sent."""

Invite: TypeAlias = Callable[[VapiInvitation], AbstractAsyncContextManager[BridgedPeer]]
"""Asks the media server for the model's peer; leaving the context removes it."""


class RemoteRun:
    """One run of a pipeline whose backend is a `RemoteBackend`.

    Args:
        pipeline: The user's bot.
        backend: Its backend.
        invite: Brings the model into the room.
        room: What is known of the room.

    Attributes:
        id: Id of the call.
        name: What peers are called.
    """

    def __init__(
        self, pipeline: AgentPipeline, backend: RemoteBackend, invite: Invite, room: RoomView
    ) -> None:
        self.id = uuid.uuid4().hex[:8]
        self.name = Names(room)
        self._pipeline = pipeline
        self._backend = backend
        self._invite = invite
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        self._stop = asyncio.Event()
        self._end_reason: EndReason | None = None
        self._waiting: asyncio.Queue[port.BackendInput] = asyncio.Queue(MAX_WAITING)
        self._hooks = Hooks(pipeline, pipeline.hook_base, self._hook_failed)
        self._present: set[str] = set()

    def now(self) -> float:
        """Call time, seconds."""
        return self._loop.time() - self._zero

    def emit(self, event: Event) -> None:
        """Publish an event to everyone who subscribed."""
        for observer in self._pipeline.observers:
            try:
                observer(event)
            except Exception:
                logger.exception("An observer of the call's events failed on %s", event.kind)

    def instruct(self, instructions: str) -> None:
        """Give the model new instructions; from whichever thread."""
        put_from_anywhere(self._loop, self.put, port.UpdateInput(instructions=instructions))

    def put(self, entry: port.BackendInput) -> None:
        """Pass an entry to the vendor, in order. Never waits."""
        try:
            self._waiting.put_nowait(entry)
        except asyncio.QueueFull:
            self._warn(f"the backend takes no messages: one was dropped after {MAX_WAITING} that wait")

    def send_text(self, entry: port.TextInput, peer: str | None) -> None:
        """Pass text on; whom it is of makes no difference to one conversation."""
        self.put(entry)

    def stop(self, reason: EndReason = "stopped") -> None:
        """End the call, for the reason that is given first."""
        self._end_reason = self._end_reason or reason
        self._stop.set()

    async def run(self) -> None:
        """Run until stopped, or until the conversation is over.

        Raises:
            BackendError: It could not begin, or failed.
        """
        conversation = port.BackendContext(self.id, self._backend_event, self._pipeline.instructions)
        try:
            beginning = self._backend.call(conversation)
            try:
                async with asyncio.timeout(BEGIN_DEADLINE):
                    call = await beginning.__aenter__()
            except TimeoutError as error:
                raise BackendError(
                    f"the backend did not answer within {BEGIN_DEADLINE:g} s", retryable=True
                ) from error
            try:
                async with self._invite(call.invitation) as guest:
                    await self._attend(call, guest)
            finally:
                await beginning.__aexit__(None, None, None)
        except BackendError as error:
            self.emit(events.BackendFailure(str(error), error.failure, False, at=self.now()))
            raise

    async def _attend(self, call: RemoteCall, guest: BridgedPeer) -> None:
        if self._pipeline.instructions:
            self.put(port.UpdateInput(instructions=self._pipeline.instructions))
        following = self._loop.create_task(call.follow(guest), name=f"follow-{self.id}")
        tasks: list[asyncio.Task[Any]] = [
            following,
            self._loop.create_task(self._send(call, guest), name=f"send-{self.id}"),
            self._loop.create_task(self._stop.wait(), name=f"stop-{self.id}"),
        ]
        failure: str | None = None
        self.emit(events.CallStarted(self.now()))
        unsubscribe = self._room.subscribe(self._look)
        self._look()
        self._hooks.start("on_start")
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                self.emit(events.BackendEnded(self.now(), following.result()))
                self._end_reason = self._end_reason or "model"
        except BackendError as error:
            failure = str(error)
            self._end_reason = self._end_reason or "backend_failure"
            raise
        finally:
            self.emit(events.CallEnded(self.now(), self._end_reason or "stopped", failure))
            unsubscribe()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._hooks.start("on_stop")
            await self._hooks.finish()

    async def _send(self, call: RemoteCall, guest: BridgedPeer) -> None:
        await guest.joined()
        while True:
            entry = await self._waiting.get()
            try:
                async with asyncio.timeout(SEND_DEADLINE):
                    await call.send(entry)
            except TimeoutError:
                self._warn(f"a message was not taken within {SEND_DEADLINE:g} s and is lost")
            except BackendError as error:
                self._warn(f"a message is lost: {error}")

    # --- what happens ---

    def _look(self) -> None:
        present = {
            peer_id
            for peer_id, peer in self._room.peers.items()
            if peer.connected and peer.type is PeerType.WEBRTC
        }
        for peer_id in sorted(present - self._present):
            self.emit(events.PeerJoined(self.now(), peer_id))
            self._hooks.start("on_peer_joined", peer_id)
        for peer_id in sorted(self._present - present):
            self.emit(events.PeerLeft(self.now(), peer_id))
            self._hooks.start("on_peer_left", peer_id)
        self._present = present

    def _backend_event(self, event: port.BackendEvent) -> None:
        if isinstance(event, port.VendorEvent):
            self._hooks.start("on_vendor_event", event.kind, event.message)
        elif isinstance(event, port.BackendWarning):
            self._warn(event.message)

    def _warn(self, message: str) -> None:
        self.emit(events.BackendWarning(message, at=self.now()))

    def _hook_failed(self, name: str, error: Exception) -> None:
        self.emit(
            events.ErrorRaised(
                self.now(), f"failed: {error!r}, raised at {raised_at(error, foreign=True)}", name
            )
        )
        if name != "on_error":
            self._hooks.start("on_error", error)

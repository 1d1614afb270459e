"""A running call whose audio the media server carries itself: hooks, people and messages, and no media."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeAlias, assert_never

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.backends.remote import BridgedPeer, RemoteBackend, RemoteCall, VapiInvitation
from fishjam_agents.backends.vendors import PATIENCE, CallVendors, Vendors, VendorUse, telling
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.ports import run_from_any_thread
from fishjam_agents.session import PeerType, RoomView

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
        context: The call.
        backend: Its backend.
        instructions: The system prompt.
        invite: Brings the model into the room.
        room: What is known of the room.
        vendors: Places that were taken for the call; None where none was.
    """

    def __init__(
        self,
        context: CallContext,
        backend: RemoteBackend,
        instructions: str | None,
        invite: Invite,
        room: RoomView,
        vendors: CallVendors | None = None,
    ) -> None:
        self._context = context
        self._backend = backend
        self._instructions = instructions
        self._invite = invite
        self._room = room
        self._vendors = vendors
        self._waiting: asyncio.Queue[port.BackendInput] = asyncio.Queue(MAX_WAITING)
        self._present: set[str] = set()

    def update(self, instructions: str | None, tools: object = None) -> None:
        """Give the model new instructions; from whichever thread. It calls no tools of ours."""
        self._instructions = self._instructions if instructions is None else instructions
        run_from_any_thread(self._context.loop, self.put, port.UpdateInput(instructions=instructions))

    def put(self, entry: port.BackendInput) -> None:
        """Pass an entry to the vendor, in order. Never waits."""
        try:
            self._waiting.put_nowait(entry)
        except asyncio.QueueFull:
            self._warn(f"the backend takes no messages: one was dropped after {MAX_WAITING} that wait")

    def send_text(self, entry: port.TextInput, peer: str | None) -> None:
        """Pass text on; there is one conversation, whoever it is of."""
        self.put(entry)

    def submit_text(self, text: str, peer: str | None) -> None:
        """Pass on what a person wrote. Whether it interrupts what is being said is up to the vendor."""
        self._context.emit(events.UserText(self._context.now(), text, peer))
        self.put(port.TextInput(text))

    async def run(self) -> None:
        """Run until stopped, or until the conversation is over.

        Raises:
            BackendError: It could not begin, or failed.
        """
        context = self._context
        try:
            async with AsyncExitStack() as stack:
                call = await self._begin(stack)
                bridged = await stack.enter_async_context(self._invite(call.invitation))
                await self._attend(call, bridged)
        except BackendError as error:
            context.emit(events.BackendFailure.of(error, at=context.now()))
            raise

    async def _begin(self, stack: AsyncExitStack) -> RemoteCall:
        conversation = port.BackendContext(self._context.id, self._backend_event, self._instructions)
        endpoint, use = self._backend.endpoint, VendorUse(self._vendors)
        stack.callback(use.close)
        if endpoint is None:
            return await self._call(conversation, stack)
        account = Vendors.shared().account(endpoint, self._backend.limits)
        use.hold(account)
        permit = await use.admit(account, self._backend_event, patience=PATIENCE)
        with telling(permit):
            call = await self._call(conversation, stack)
            permit.succeeded()
        return call

    async def _call(self, conversation: port.BackendContext, stack: AsyncExitStack) -> RemoteCall:
        try:
            async with asyncio.timeout(BEGIN_DEADLINE):
                return await stack.enter_async_context(self._backend.call(conversation))
        except TimeoutError as error:
            raise BackendError(
                f"the backend did not answer within {BEGIN_DEADLINE:g} s", retryable=True
            ) from error

    async def _attend(self, call: RemoteCall, bridged: BridgedPeer) -> None:
        context, end = self._context, self._context.end
        if self._instructions:
            self.put(port.UpdateInput(instructions=self._instructions))
        following = context.loop.create_task(call.follow(bridged), name=f"follow-{context.id}")
        sending = context.loop.create_task(self._send(call, bridged), name=f"send-{context.id}")
        tasks: list[asyncio.Task[Any]] = [
            following,
            sending,
            context.loop.create_task(end.requested(), name=f"stop-{context.id}"),
        ]
        failure: str | None = None
        context.emit(events.CallStarted(context.now()))
        unsubscribe = self._room.subscribe(self._look)
        self._look()
        context.start_hook("on_start")
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                context.emit(events.BackendEnded(context.now(), following.result()))
                end.note("model")
            elif sending.done():
                sending.result()
        except Exception as error:
            failure = str(error)
            end.note("backend_failure" if isinstance(error, BackendError) else "error")
            raise
        finally:
            context.emit(events.CallEnded(context.now(), end.reason or "stopped", failure))
            unsubscribe()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            context.start_hook("on_stop")
            await context.hooks.finish()

    async def _send(self, call: RemoteCall, bridged: BridgedPeer) -> None:
        await bridged.joined()
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
        context = self._context
        present = {
            peer_id
            for peer_id, peer in self._room.peers.items()
            if peer.connected and peer.type is PeerType.WEBRTC
        }
        for peer_id in sorted(present - self._present):
            context.emit(events.PeerJoined(context.now(), peer_id))
            context.start_hook("on_peer_joined", peer_id)
        for peer_id in sorted(self._present - present):
            context.emit(events.PeerLeft(context.now(), peer_id))
            context.start_hook("on_peer_left", peer_id)
        self._present = present

    def _backend_event(self, event: port.BackendEvent) -> None:
        context = self._context
        match event:
            case port.VendorEvent():
                context.start_hook("on_vendor_event", event.kind, event.message)
            case port.UserTranscript():
                context.emit(event.stamped(context.now()))
                context.start_hook("on_transcript", event.text, event.final, event.peer)
            case port.BackendWarning() | port.BackendUsage():
                context.emit(event.stamped(context.now()))
            case port.VendorUnavailable() | port.VendorAvailable():
                context.emit(event.stamped(context.now()))
            case port.ReplyStarted() | port.ReplyAudio() | port.ReplyTextDelta() | port.ReplyAudioEnded():
                pass
            case port.ReplyLatency() | port.PreemptiveReply() | port.Interrupted() | port.UserSpeech():
                pass
            case port.PauseTranscript():
                pass
            case port.ToolCall() | port.ToolCallCancelled() | port.OutOfBandResponse():
                pass
            case port.BackendFailure():
                # A remote call fails by raising.
                pass
            case _:
                assert_never(event)

    def _warn(self, message: str) -> None:
        self._context.emit(events.BackendWarning(message, at=self._context.now()))

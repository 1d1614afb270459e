"""Models that the media server itself brings into a room: no audio of theirs passes through this process."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from fishjam_agents.backends.capabilities import Capabilities
from fishjam_agents.backends.port import Backend, BackendContext, BackendInput, BackendSession, InlineSession
from fishjam_agents.errors import BackendError


@dataclass(frozen=True, slots=True)
class VapiInvitation:
    """Data with which Fishjam brings a Vapi call into a room (Fishjam OpenAPI, `PeerOptionsVapi`).

    Attributes:
        api_key: The key of the call's account.
        call_id: The call.
        auto_close: Whether Fishjam ends it when the last participant leaves the room.
    """

    api_key: str = field(repr=False)
    call_id: str
    auto_close: bool = False


class BridgedPeer(Protocol):
    """The model as a peer of the room."""

    @property
    def peer_id(self) -> str:
        """Its peer."""
        ...

    async def joined(self) -> None:
        """Wait until it is connected, or gone."""
        ...

    async def left(self) -> str | None:
        """Wait until it is gone; why, if it crashed."""
        ...


class RemoteCall(Protocol):
    """One conversation with the model, beside its audio."""

    @property
    def invitation(self) -> VapiInvitation:
        """Data that the media server is asked to bring the call in with."""
        ...

    async def send(self, item: BackendInput) -> None:
        """Pass on text, or a message of the vendor's own.

        Raises:
            BackendError: It was not taken; the conversation goes on.
        """
        ...

    async def follow(self, peer: BridgedPeer) -> str:
        """Follow the conversation to its end.

        Returns:
            Why it ended.

        Raises:
            BackendError: It failed.
        """
        ...


class RemoteBackend(Backend):
    """Settings of a model that the media server brings into a room."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate=0, output_rate=0, own_turn_detection=True, text=True, control=True
    )

    @abstractmethod
    def call(self, context: BackendContext) -> AbstractAsyncContextManager[RemoteCall]:
        """Begin a conversation that can be joined; leaving the context ends it.

        Raises:
            BackendError: It cannot begin.
        """

    def connect(self, context: BackendContext) -> AbstractAsyncContextManager[BackendSession | InlineSession]:
        """Refuse: there is no audio to connect.

        Raises:
            BackendError: Always.
        """
        raise BackendError(
            f"{type(self).__name__} is brought into rooms by Fishjam itself: run it with a Worker",
            failure="config",
        )

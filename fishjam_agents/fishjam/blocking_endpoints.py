"""Endpoints that block; written by `make clients` from the endpoints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from . import endpoints, recording_endpoints
from .models import MoqAccess, Peer, Room
from .options import AgentOptions, PeerOptions, PeerOptionsVapi, RoomOptions
from .recording import CompositionSource, Recording, RecordingStatus, TemplateSource
from .requests import Request

if TYPE_CHECKING:
    from .agent import Agent

T = TypeVar("T")


class BlockingEndpoints(ABC):
    """Endpoints that block: methods of `FishjamClient`."""

    url: str

    @abstractmethod
    def _call(self, request: Request[T]) -> T:
        """Send a request and read its answer."""

    def check_credentials(self) -> None:
        """Ask the server whether it knows the ID and the token.

        Raises:
            InvalidFishjamCredentialsError: It does not.
        """
        return self._call(endpoints.check_credentials())

    def create_room(self, options: RoomOptions | None = None) -> Room:
        """Make a room.

        Args:
            options: What to make it with; a conference without limits if left out.
        """
        return self._call(endpoints.create_room(options))

    def get_all_rooms(self) -> list[Room]:
        """All rooms, livestreams included."""
        return self._call(endpoints.get_all_rooms())

    def get_room(self, room_id: str) -> Room:
        """The room as it is now."""
        return self._call(endpoints.get_room(room_id))

    def delete_room(self, room_id: str) -> None:
        """Delete a room and everybody in it."""
        return self._call(endpoints.delete_room(room_id))

    def create_peer(self, room_id: str, options: PeerOptions | None = None) -> tuple[Peer, str]:
        """Make a peer for a browser or an app.

        Args:
            room_id: The room.
            options: What to make it with.

        Returns:
            The peer and its token.
        """
        return self._call(endpoints.create_peer(room_id, options))

    def create_agent(self, room_id: str, options: AgentOptions | None = None) -> Agent:
        """Make an agent. It is in the room until deleted, and hears once `Agent.connect` is entered.

        Args:
            room_id: The room.
            options: What to make it with; it hears every track at 16 kHz if left out.

        Returns:
            The agent; enter its `connect` to join the room.
        """
        return self._call(endpoints.create_agent(room_id, options, _url=self.url))

    def create_vapi_agent(self, room_id: str, options: PeerOptionsVapi) -> Peer:
        """Bring a VAPI call into the room.

        Args:
            room_id: The room.
            options: The call and the key to it.

        Returns:
            The call's peer. A wrong key or call shows later, as a `ServerMessagePeerCrashed`.
        """
        return self._call(endpoints.create_vapi_agent(room_id, options))

    def delete_peer(self, room_id: str, peer_id: str) -> None:
        """Delete a peer or an agent; if it is connected, it is cut off."""
        return self._call(endpoints.delete_peer(room_id, peer_id))

    def refresh_peer_token(self, room_id: str, peer_id: str) -> str:
        """A new token for a peer; tokens are valid for a day."""
        return self._call(endpoints.refresh_peer_token(room_id, peer_id))

    def subscribe_peer(self, room_id: str, peer_id: str, target_peer_id: str) -> None:
        """Let a `manual` peer get all tracks of another, those it publishes later included.

        Args:
            room_id: The room.
            peer_id: Who gets them.
            target_peer_id: Whose tracks.
        """
        return self._call(endpoints.subscribe_peer(room_id, peer_id, target_peer_id))

    def subscribe_tracks(self, room_id: str, peer_id: str, track_ids: list[str]) -> None:
        """Let a `manual` peer get single tracks. Subscriptions add up; there is no way back.

        Args:
            room_id: The room.
            peer_id: Who gets them.
            track_ids: Which tracks.
        """
        return self._call(endpoints.subscribe_tracks(room_id, peer_id, track_ids))

    def forward_room_tracks(self, room_id: str, composition_url: str) -> None:
        """Forward every track of the room, now and later, into a composition.

        Args:
            room_id: The room.
            composition_url: The composition.
        """
        return self._call(endpoints.forward_room_tracks(room_id, composition_url))

    def create_livestream_viewer_token(self, room_id: str) -> str:
        """A token to watch a livestream room with."""
        return self._call(endpoints.create_livestream_viewer_token(room_id))

    def create_livestream_streamer_token(self, room_id: str) -> str:
        """A token to publish into a livestream room with."""
        return self._call(endpoints.create_livestream_streamer_token(room_id))

    def create_moq_access(
        self, publish_path: str | None = None, subscribe_path: str | None = None, ttl: int | None = None
    ) -> MoqAccess:
        """Access to the MoQ relay, for publishing, for subscribing or for both.

        Args:
            publish_path: What may be published: this path and all below it.
            subscribe_path: What may be subscribed to: this path and all below it.
            ttl: Seconds it is valid, 604800 at most; an hour if left out.
        """
        return self._call(endpoints.create_moq_access(publish_path, subscribe_path, ttl))

    def create_moq_token(self, publish_path: str | None = None, subscribe_path: str | None = None) -> str:
        """The token alone of what `create_moq_access` gives, under its older name."""
        return self._call(endpoints.create_moq_token(publish_path, subscribe_path))

    def create_composition_recording(
        self, source: CompositionSource, metadata: dict[str, Any] | None = None
    ) -> Recording:
        """Start to record an output of a composition. The recording is `active` at once.

        Args:
            source: What to record.
            metadata: A label to find it again with.
        """
        return self._call(recording_endpoints.create_composition_recording(source, metadata))

    def create_template_recording(
        self, source: TemplateSource, template: bytes | str | Path, metadata: dict[str, Any] | None = None
    ) -> Recording:
        """Start to record a scene that a template renders. The recording is `active` at once.

        Args:
            source: What to record.
            template: The bundle that renders, 1 MiB at most: its bytes, or the path of its file. Never take a
                path from somebody else; the file is uploaded.
            metadata: A label to find it again with.

        Raises:
            OSError: The file cannot be read.
        """
        return self._call(recording_endpoints.create_template_recording(source, template, metadata))

    def create_recording(
        self, source: CompositionSource, metadata: dict[str, Any] | None = None
    ) -> Recording:
        """Deprecated name of `create_composition_recording`."""
        return self._call(recording_endpoints.create_recording(source, metadata))

    def get_recording(self, recording_id: str) -> Recording:
        """The recording as it is now."""
        return self._call(recording_endpoints.get_recording(recording_id))

    def get_all_recordings(
        self, metadata: dict[str, Any] | None = None, *, status: RecordingStatus | str | None = None
    ) -> list[Recording]:
        """All recordings, or those that match.

        Args:
            metadata: Only recordings whose metadata has all of these keys and values, nested ones included.
            status: Only recordings in this state.
        """
        return self._call(recording_endpoints.get_all_recordings(metadata, status=status))

    def stop_recording(self, recording_id: str) -> Recording:
        """Stop capturing. It becomes `finished` when its end is written, and later `available`; not at once.

        Stopping twice does nothing.
        """
        return self._call(recording_endpoints.stop_recording(recording_id))

    def delete_recording(self, recording_id: str) -> None:
        """Delete a recording and its files.

        Raises:
            ConflictError: It is still active: stop it first.
        """
        return self._call(recording_endpoints.delete_recording(recording_id))

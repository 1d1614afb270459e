"""Interface of a room for an owner of turns: its actions and its state."""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.events import Event, Heard
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.turns.settings import TurnSettings


class Room(Protocol):
    """The whole room (`pipeline.call.Call`), or one peer's part of it (`pipeline.per_peer.Place`)."""

    settings: TurnSettings
    capabilities: port.Capabilities
    speaker_notes: bool

    def now(self) -> float:
        """Call time, seconds."""
        ...

    def emit(self, event: Event) -> None:
        """Publish an event."""
        ...

    def hook(self, name: str, *arguments: object) -> None:
        """Start a hook."""
        ...

    def put(self, entry: port.BackendInput) -> None:
        """Pass an entry to the backend."""
        ...

    def for_backend(self, samples: Samples) -> Samples:
        """Audio at the backend's rate."""
        ...

    def interrupt_replies(self, everything: bool = False) -> Heard | None:
        """Interrupt every reply that may be, and tell the backend; what was heard of the one playing."""
        ...

    def pause(self) -> None:
        """Hold the replies."""
        ...

    def resume(self) -> None:
        """Let the replies go on."""
        ...

    def paused(self) -> bool:
        """Return whether the replies are being held."""
        ...

    def bot_speaks(self) -> bool:
        """Return whether a reply is under way."""
        ...

    def current_reply(self) -> str | None:
        """The reply under way."""
        ...

    def anyone_in_speech(self, but: Container[Microphone] = ()) -> bool:
        """Whether any microphone but these follows a sound that is not known as noise."""
        ...

    def name(self, peer: str) -> str:
        """Return the name of a peer."""
        ...

    def next_turn(self) -> str:
        """An id for a turn, unique in the call."""
        ...

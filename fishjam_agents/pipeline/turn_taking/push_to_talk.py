"""`turns.mode: push_to_talk`: a turn is what is said while a button is pressed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from fishjam_agents.audio.samples import Samples
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.pipeline.room import Room
from fishjam_agents.pipeline.turn_taking.local import LocalTurnController
from fishjam_agents.session import RoomView
from fishjam_agents.turns.machine import CANCELLED, TurnEvent

BUTTON = "talking"
"""Key of a peer's metadata that is true while its button is pressed."""


class WholeRoom(Room, Protocol):
    """A room with everybody's microphones; `pipeline.call.Call` is one."""

    @property
    def microphones(self) -> Iterable[Microphone]:
        """Every microphone."""
        ...

    @property
    def listening(self) -> bool:
        """True while the bot listens."""
        ...


class PushToTalkTurnController(LocalTurnController):
    """The button decides: what is said while nobody presses reaches nobody.

    Buttons are states: one that is pressed before its microphone is heard, or while the connection is lost or
    the bot's ears are closed, opens the turn when there is something to hear.
    """

    def __init__(self, room: WholeRoom) -> None:
        super().__init__(room)
        self._whole_room = room
        self._pressed: set[str] = set()
        self._released: dict[str, float] = {}

    def deliver(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        """Take a frame of a microphone, or its silence (None), with what follows from it."""
        super().deliver(microphone, frame, happened)
        if frame is None or happened or microphone.machine.turn_open:
            return
        if microphone.peer in self._pressed:
            self._open_turn(microphone)

    def press(self, peer: str) -> None:
        """A peer's turn begins; it interrupts the bot."""
        self._pressed.add(peer)
        # Who presses again at once goes on.
        self._released.pop(peer, None)
        if self._whole_room.listening:
            for microphone in self._of(peer):
                self._open_turn(microphone)

    def release(self, peer: str, *, cancel: bool = False) -> None:
        """A peer's turn is over as soon as its last word is here, or taken back at once."""
        self._pressed.discard(peer)
        if cancel:
            self._end(peer, CANCELLED)
        elif peer not in self._released and any(mic.machine.turn_open for mic in self._of(peer)):
            self._released[peer] = self._room.now()

    def _end(self, peer: str, reason: str) -> None:
        self._released.pop(peer, None)
        for microphone in self._of(peer):
            microphone.close(reason)

    def tick(self) -> None:
        """Called every 20 ms."""
        if self._released:
            due = self._room.now() - self._room.settings.release_delay + 1e-6
            for peer in [peer for peer, at in self._released.items() if at <= due]:
                self._end(peer, "released")
        super().tick()

    def left(self, peer: str) -> None:
        """A peer is gone, and its button with it."""
        self._pressed.discard(peer)
        self._released.pop(peer, None)

    def _open_turn(self, microphone: Microphone) -> None:
        microphone.open(self._room.now(), self._room.bot_speaks())

    def _of(self, peer: str) -> list[Microphone]:
        return [microphone for microphone in self._whole_room.microphones if microphone.peer == peer]


class PushToTalkButtons:
    """Presses by what peers say of themselves in their metadata: `{"talking": true}`.

    Args:
        room: Who is in the room.
        press: Called with the peer whose button goes down.
        release: Called with the peer whose button comes up.
    """

    def __init__(self, room: RoomView, press: Callable[[str], None], release: Callable[[str], None]) -> None:
        self._room = room
        self._press = press
        self._release = release
        self._down: set[str] = set()
        self._unsubscribe: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Begin to follow the room."""
        self._unsubscribe = self._room.subscribe(self._look)
        self._look()

    def close(self) -> None:
        """Stop following the room."""
        self._unsubscribe()

    def _look(self) -> None:
        # Only what the peer itself writes counts: it is what an app changes while a button is held.
        down = {
            peer
            for peer, view in self._room.peers.items()
            if view.connected and view.client_metadata.get(BUTTON) is True
        }
        before, self._down = self._down, down
        for peer in sorted(before - down):
            self._release(peer)
        for peer in sorted(down - before):
            self._press(peer)

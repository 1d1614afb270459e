"""Turns by push to talk (`turns.mode: push_to_talk`): all that is said while a button is pressed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fishjam_agents.audio.samples import Samples
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.ports import BackendInputSink, PlaybackControl
from fishjam_agents.pipeline.turn_taking.local import LocalTurnController
from fishjam_agents.session import RoomView
from fishjam_agents.turns.machine import CANCELLED, TurnEvent

BUTTON = "talking"
"""Key of a peer's metadata that is true while its button is pressed."""


class PushToTalkTurnController(LocalTurnController):
    """Turns that buttons decide on: all that is said while nobody presses reaches nobody.

    Buttons are states: one that is pressed before its microphone is heard, or while the connection is lost or
    the bot does not listen, opens the turn when there is something to hear.
    """

    def __init__(self, context: CallContext, playback: PlaybackControl, backend: BackendInputSink) -> None:
        super().__init__(context, playback, backend)
        self._listening = True
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
        """Begin a peer's turn; it interrupts the bot."""
        self._pressed.add(peer)
        # Who presses again at once goes on.
        self._released.pop(peer, None)
        if self._listening:
            for microphone in self._of(peer):
                self._open_turn(microphone)

    def release(self, peer: str, *, cancel: bool = False) -> None:
        """End a peer's turn as soon as its last word is here, or take it back at once."""
        self._pressed.discard(peer)
        if cancel:
            self._end(peer, CANCELLED)
        elif peer not in self._released and any(mic.machine.turn_open for mic in self._of(peer)):
            self._released[peer] = self._context.now()

    def _end(self, peer: str, reason: str) -> None:
        self._released.pop(peer, None)
        for microphone in self._of(peer):
            microphone.close(reason)

    def tick(self) -> None:
        """End the turns whose last words are here."""
        if self._released:
            due = self._context.now() - self._context.turns.release_delay + 1e-6
            for peer in [peer for peer, at in self._released.items() if at <= due]:
                self._end(peer, "released")
        super().tick()

    def left(self, peer: str) -> None:
        """Forget the button of a peer who is gone."""
        super().left(peer)
        self._pressed.discard(peer)
        self._released.pop(peer, None)

    def listening_changed(self, listening: bool) -> None:
        """Open no turn while nobody is heard."""
        self._listening = listening

    def _open_turn(self, microphone: Microphone) -> None:
        microphone.open(self._context.now(), self._playback.is_active)

    def _of(self, peer: str) -> list[Microphone]:
        return [microphone for microphone in self._microphones if microphone.peer == peer]


class PushToTalkButtons:
    """Presses by what peers say of themselves in their metadata: `{"talking": true}`.

    Args:
        room: Peers of the room.
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

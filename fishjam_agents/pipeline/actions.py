"""Actions of an app on a running call, which it takes through `AgentPipeline`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.events import EndReason, Event, Heard
from fishjam_agents.pipeline.out_of_band import OutOfBandRequests
from fishjam_agents.pipeline.replies import Replies
from fishjam_agents.pipeline.room_audio import RoomAudio
from fishjam_agents.pipeline.turn_taking.backend import BackendTurnController
from fishjam_agents.pipeline.turn_taking.local import LocalTurnController
from fishjam_agents.pipeline.turn_taking.peer_sessions import Sessions
from fishjam_agents.pipeline.turn_taking.per_peer import PerPeerTurnController
from fishjam_agents.pipeline.turn_taking.push_to_talk import PushToTalkTurnController
from fishjam_agents.playout.audio_output import AudioOutput
from fishjam_agents.session import Session
from fishjam_agents.turns.settings import TurnSettings


def put_from_anywhere(
    loop: asyncio.AbstractEventLoop, put: Callable[[port.BackendInput], None], entry: port.BackendInput
) -> None:
    """Put an entry on the loop of its call: at once there, soon from another thread."""
    try:
        here = asyncio.get_running_loop() is loop
    except RuntimeError:
        here = False
    if here:
        put(entry)
    else:
        loop.call_soon_threadsafe(put, entry)


class Actions:
    """The base of `pipeline.call.Call`, which owns all of its parts."""

    settings: TurnSettings
    questions: OutOfBandRequests
    _loop: asyncio.AbstractEventLoop
    _session: Session
    _stop: asyncio.Event
    _end_reason: EndReason | None
    _voice: AudioOutput
    _replies: Replies
    _link: BackendLink | Sessions
    _owner: LocalTurnController | BackendTurnController | PerPeerTurnController
    _ears: RoomAudio

    def now(self) -> float:
        """Call time, seconds."""
        raise NotImplementedError

    def emit(self, event: Event) -> None:
        """Publish an event to everyone who subscribed."""
        raise NotImplementedError

    def instruct(self, instructions: str) -> None:
        """Give the model new instructions; from whichever thread."""
        put_from_anywhere(self._loop, self._link.put, port.UpdateInput(instructions=instructions))

    @property
    def replies(self) -> Replies:
        """The replies of this call."""
        return self._replies

    def send_text(self, entry: port.TextInput | port.OutOfBandInput, peer: str | None) -> None:
        """Pass text to the backend, or to a peer's session of it.

        Raises:
            BackendError: The peer has no session.
        """
        if isinstance(self._link, Sessions):
            self._link.send_text(peer, entry)
        else:
            self._link.put(entry)

    @property
    def voice(self) -> AudioOutput:
        """The voice of this call."""
        return self._voice

    def interrupt(self) -> Heard | None:
        """End the replies under way, as a confirmed barge-in does, and those that it would leave alone."""
        return self._owner.confirm(everything=True)

    @property
    def buttons(self) -> PushToTalkTurnController:
        """Controller of who may speak, where that is decided by hand.

        Raises:
            FishjamAgentsError: It is not.
        """
        if not isinstance(self._owner, PushToTalkTurnController):
            raise FishjamAgentsError(
                f"turns.mode is {self.settings.mode!r}: set it to 'push_to_talk' to open turns by hand"
            )
        return self._owner

    @property
    def muted(self) -> bool:
        """True while the voice is switched off."""
        return self._replies.muted

    def mute(self, muted: bool) -> None:
        """Switch the voice off or on."""
        if muted == self._replies.muted:
            return
        self._replies.muted = muted
        self.emit(events.MuteChanged(self.now(), "output", muted))
        if muted:
            self.interrupt()
        self._voice.mute_background(muted)

    @property
    def listening(self) -> bool:
        """True while the call listens."""
        return not self._ears.closed

    def listen(self, listening: bool) -> None:
        """Open or close the ears."""
        if listening == self.listening:
            return
        self.emit(events.MuteChanged(self.now(), "input", not listening))
        self._shut(not listening)

    def _shut(self, closed: bool) -> None:
        self._ears.set_deaf(closed)
        if closed and isinstance(self._owner, BackendTurnController):
            self._owner.ears_closed()

    def understood(self, text: str, final: bool, peer: str | None) -> None:
        """Words that a backend or the app understood, for the policies of turn-taking."""
        self._ears.understood(text, final, peer)

    def stop(self, reason: EndReason = "stopped") -> None:
        """End the call, for the reason that is given first."""
        self._end_reason = self._end_reason or reason
        self._stop.set()

"""Switches of a running bot: its voice, its ears, and turns opened by hand."""

from __future__ import annotations

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.pipeline.background import Background
from fishjam_agents.pipeline.call import Call


class Controls:
    """What an app can switch while the bot runs; the base of `AgentPipeline`."""

    _call: Call | None

    def _running(self) -> Call:
        if self._call is None:
            raise FishjamAgentsError("the pipeline is not running: call this from a hook")
        return self._call

    @property
    def background(self) -> Background:
        """The sound under the bot's voice: `background.play("office.wav")`, `background.stop()`."""
        return Background(lambda: self._running().voice)

    def mute(self) -> None:
        """Switch the bot's voice off until `unmute`, and with it what sounds under it.

        What it is saying ends, also what is not interruptible, and what it would say meanwhile ends
        unheard; the backend is told so. It hears all the same: `listen(False)` keeps it from that.
        """
        self._running().mute(True)

    def unmute(self) -> None:
        """Switch the bot's voice on again, for what it says from now on."""
        self._running().mute(False)

    @property
    def muted(self) -> bool:
        """Whether the bot's voice is switched off; False between calls."""
        return self._call is not None and self._call.muted

    def listen(self, listening: bool = True) -> None:
        """Open or close the bot's ears.

        While they are closed nothing opens a turn and no audio reaches the backend. A turn that is open
        when they close ends there, with the reason `app`, and is answered.
        """
        self._running().listen(listening)

    @property
    def listening(self) -> bool:
        """Whether the bot's ears are open; False between calls."""
        return self._call is not None and self._call.listening

    def start_turn(self, peer: str) -> None:
        """A peer presses to talk (`turns.owner: push_to_talk`): its turn begins, and the bot is interrupted.

        The press counts until `end_turn` or `cancel_turn`, also before the peer's microphone is heard.

        Raises:
            FishjamAgentsError: Turns are not opened by hand.
        """
        self._running().buttons.press(peer)

    def end_turn(self, peer: str) -> None:
        """A peer lets go: its turn is complete, and answered. Does nothing when it has none.

        Raises:
            FishjamAgentsError: Turns are not opened by hand.
        """
        self._running().buttons.release(peer)

    def cancel_turn(self, peer: str) -> None:
        """A peer takes its turn back: it is not answered. Does nothing when it has none.

        Raises:
            FishjamAgentsError: Turns are not opened by hand.
        """
        self._running().buttons.release(peer, cancel=True)

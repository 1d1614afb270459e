"""Switches of a running bot: its voice, its ears, turns opened by hand, messages to its vendor, its end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fishjam_agents.backends import port
from fishjam_agents.backends.port import Backend
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.events import EndReason
from fishjam_agents.pipeline.background_audio import Background
from fishjam_agents.pipeline.call import Call
from fishjam_agents.pipeline.remote import RemoteRun

logger = logging.getLogger(__name__)

_READ_ONCE = frozenset(
    {"backend", "turns", "playout", "voice", "hearing", "silence", "vision", "tools", "mcp"}
)
"""Settings that a call reads when it begins."""


class Controls:
    """Controls of an app while the bot runs; the base of `AgentPipeline`."""

    backend: Backend
    _call: Call | None
    _remote: RemoteRun | None

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute: new `instructions` reach the model of a running call, from whichever thread."""
        super().__setattr__(name, value)
        call = self.__dict__.get("_remote") or self.__dict__.get("_call")
        if call is None:
            return
        if name == "instructions":
            call.instruct(value or "")
        elif name in _READ_ONCE:
            logger.warning("%s was set in a running call, which goes on as it was: set it before run()", name)

    def _reachable(self) -> Call | RemoteRun:
        return self._remote if self._remote is not None else self._running()

    def _running(self) -> Call:
        if self._remote is not None:
            raise FishjamAgentsError(
                "the bot's audio does not pass through this process: use send_text(), control() and stop()"
            )
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
        """True while the bot's voice is switched off; False between calls."""
        return self._call is not None and self._call.muted

    def listen(self, listening: bool = True) -> None:
        """Open or close the bot's ears.

        While they are closed nothing opens a turn and no audio reaches the backend. A turn that is open
        when they close ends there, with the reason `app`, and is answered.
        """
        self._running().listen(listening)

    @property
    def listening(self) -> bool:
        """True while the bot listens; False between calls."""
        return self._call is not None and self._call.listening

    @property
    def connecting(self) -> bool:
        """True while a call has begun whose model has not been connected yet: nobody can be answered."""
        return self._call is not None and self._call.connecting

    def peer_name(self, peer: str) -> str:
        """Return the name of a peer: by its metadata, else `Speaker 1` and so on in the order of asking.

        Returns:
            One line of at most 40 characters.

        Raises:
            FishjamAgentsError: The bot is in no call.
        """
        return self._reachable().name(peer)

    def start_turn(self, peer: str) -> None:
        """A peer presses to talk (`turns.mode: push_to_talk`): its turn begins, and the bot is interrupted.

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

    def control(self, message: Mapping[str, Any]) -> None:
        """Send the backend a message of its vendor's own, in order with everything else.

        Raises:
            BackendError: The backend takes none.
        """
        call = self._reachable()
        if not self.backend.capabilities.control:
            raise BackendError(f"{type(self.backend).__name__} takes no messages of its vendor's own")
        call.put(port.ControlInput(message))

    async def ask(self, question: str, *, peer: str | None = None, within: float = 30.0) -> str:
        """Ask the model something beside the conversation: a summary, a label, the caller's mood as JSON.

        It knows all that was said so far. Nothing is spoken, and neither question nor answer become part of
        the conversation, which goes on meanwhile.

        Args:
            question: What is wanted, as an instruction: "Summarise the call so far as JSON: ...".
            peer: With `hearing.mode: per_peer`, whose session is asked; None is that of who spoke last.
            within: Seconds it may take, a lost connection included.

        Returns:
            The answer, as the model wrote it.

        Raises:
            BackendError: The backend takes none, or the model did not answer, in time or before the end.
        """
        call = self._running()
        if not self.backend.capabilities.out_of_band:
            raise BackendError(f"{type(self.backend).__name__} answers nothing beside the conversation")
        return await call.questions.ask(question, peer, within)

    def end_call(self) -> None:
        """End the call when what the bot is saying has been heard; a goodbye may begin within 3 s."""
        if self._remote is not None:
            self._remote.stop("bot")
        else:
            self._running().tools.say_goodbye()

    def stop(self, reason: EndReason = "stopped") -> None:
        """End the call. Does nothing when none runs.

        Args:
            reason: What the event `call_ended` is to say.
        """
        call = self._remote or self._call
        if call is not None:
            call.stop(reason)

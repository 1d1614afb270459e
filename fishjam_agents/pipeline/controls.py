"""Controls of a running call, which a bot has as its methods: speaking, muting, asking, ending."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.events import EndReason
from fishjam_agents.pipeline.call import Call
from fishjam_agents.pipeline.change_controls import ChangeControls
from fishjam_agents.pipeline.remote import RemoteRun
from fishjam_agents.pipeline.running_bot import NOT_RUNNING

UNTIL_FAREWELL = 4.0
"""Seconds that a bot may go on with what it is saying before its farewell."""


class CallControls(ChangeControls):
    """Controls of a bot's call; between calls they are refused.

    Attributes:
        farewell: Last thing said where the program ends.
    """

    farewell: Samples | str | None

    # --- what the model is told and sees ---

    def send_text(self, text: str, *, peer: str | None = None) -> None:
        """Tell the backend something in writing.

        Args:
            text: What the user wrote.
            peer: With `hearing.mode: per_peer`, whose session is told; None is all of them.

        Raises:
            BackendError: The backend takes no text, or has no session for the peer.
        """
        call = self._reachable_call()
        if not self._serving_backend.capabilities.text:
            raise BackendError(f"{type(self._serving_backend).__name__} takes no text")
        call.send_text(port.TextInput(text), peer)

    def submit_text(self, text: str, *, peer: str | None = None) -> None:
        """Take what a person wrote in place of saying it: the bot falls silent, and answers.

        Other than by `send_text`, which is a word of the app's own, the bot is interrupted as if it were
        spoken over, and the words are an event, `user_text`.

        Args:
            text: The words.
            peer: Who wrote them, where that is known. With `hearing.mode: per_peer` their session is told.

        Raises:
            BackendError: The backend takes no text, or has no session for the peer.
        """
        call = self._reachable_call()
        if not self._serving_backend.capabilities.text:
            raise BackendError(f"{type(self._serving_backend).__name__} takes no text")
        call.submit_text(text, peer)

    def understood(self, text: str, *, final: bool = False, peer: str | None = None) -> None:
        """Tell the policies that judge words (`turns.barge_in`, `turns.end_of_turn`) what is being said.

        For a recogniser of your own: what a backend with transcripts understands counts without this.

        Args:
            text: All that is not final yet of what is being said, or what follows it.
            final: Whether these words are settled.
            peer: Who said it; None is whoever is speaking.
        """
        self._running_call().audio.understood(text, final, peer)

    async def capture_image(self, track: str) -> None:
        """Ask for a still of a video track; it goes to the backend when it comes.

        Raises:
            BackendError: The backend takes no images.
        """
        if not self._serving_backend.capabilities.images:
            raise BackendError(f"{type(self._serving_backend).__name__} takes no images")
        await self._running_call().vision.capture(track)

    async def look(self, what: Literal["camera", "screen"] = "camera", peer: str | None = None) -> str:
        """Show the backend what a peer's camera or shared screen shows now.

        Args:
            what: Which of them.
            peer: Whose; None where only one shows something.

        Returns:
            Whose it was.

        Raises:
            BackendError: The backend takes no images.
            FishjamAgentsError: There is nothing to see, or no picture came within 6 s.
        """
        call = self._running_call()
        if not self._serving_backend.capabilities.images:
            raise BackendError(f"{type(self._serving_backend).__name__} takes no images")
        return await call.vision.look(what, peer)

    # --- listening, turns by hand, the end ---

    def listen(self, listening: bool = True) -> None:
        """Hear everybody, or nobody.

        While nobody is heard nothing opens a turn and no audio reaches the backend. A turn that is open when
        that begins ends there, with the reason `app`, and is answered.
        """
        self._running_call().switches.listen(listening)

    @property
    def listening(self) -> bool:
        """True while the bot listens; False between calls."""
        return isinstance(self._call, Call) and self._call.switches.is_listening

    @property
    def echo_delay(self) -> float | None:
        """Seconds after which the bot's voice comes back in a microphone, as far as the echo guard knows.

        None while no loudspeaker is known to be near one, and between calls.
        """
        return self._call.audio.echo_delay if isinstance(self._call, Call) else None

    @property
    def underruns(self) -> int:
        """Number of times in this call that the audio of a reply came too late, so that a gap was heard.

        0 between calls.
        """
        return self._call.output.underruns if isinstance(self._call, Call) else 0

    def peer_name(self, peer: str) -> str:
        """Return the name of a peer: by its metadata, else `Speaker 1` and so on in the order of asking.

        Returns:
            One line of at most 40 characters.

        Raises:
            FishjamAgentsError: The bot is in no call.
        """
        if self._call_context is None:
            raise FishjamAgentsError(NOT_RUNNING)
        return self._call_context.peer_name(peer)

    def start_turn(self, peer: str) -> None:
        """A peer presses to talk (`turns.mode: push_to_talk`): its turn begins, and the bot is interrupted.

        The press counts until `end_turn` or `cancel_turn`, also before the peer's microphone is heard.

        Raises:
            FishjamAgentsError: Turns are not opened by hand.
        """
        self._running_call().push_to_talk.press(peer)

    def end_turn(self, peer: str) -> None:
        """A peer lets go: its turn is complete, and answered. Does nothing when it has none.

        Raises:
            FishjamAgentsError: Turns are not opened by hand.
        """
        self._running_call().push_to_talk.release(peer)

    def cancel_turn(self, peer: str) -> None:
        """A peer takes its turn back: it is not answered. Does nothing when it has none.

        Raises:
            FishjamAgentsError: Turns are not opened by hand.
        """
        self._running_call().push_to_talk.release(peer, cancel=True)

    def control(self, message: Mapping[str, Any]) -> None:
        """Send the backend a message of its vendor's own, in order with everything else.

        Raises:
            BackendError: The backend takes none.
        """
        call = self._reachable_call()
        if not self._serving_backend.capabilities.control:
            raise BackendError(
                f"{type(self._serving_backend).__name__} takes no messages of its vendor's own"
            )
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
        call = self._running_call()
        if not self._serving_backend.capabilities.out_of_band:
            raise BackendError(
                f"{type(self._serving_backend).__name__} answers nothing beside the conversation"
            )
        return await call.questions.ask(question, peer, within)

    def end_call(self) -> None:
        """End the call when what the bot is saying has been heard; a goodbye may begin within 3 s."""
        if isinstance(self._call, RemoteRun):
            self.stop("bot")
        else:
            self._running_call().end_after_goodbye()

    def end_with_farewell(self) -> None:
        """End the call as `end_call`, with the `farewell`, which a barge-in does not end.

        What the bot is saying goes on for `UNTIL_FAREWELL` seconds at most where there is one.
        """
        if self.farewell is not None and isinstance(self._call, Call):
            if (speech := self.speech) is not None:
                asyncio.get_running_loop().call_later(UNTIL_FAREWELL, speech.interrupt)
            if isinstance(self.farewell, str):
                self.say(self.farewell, interruptible=False)
            else:
                self.play(self.farewell, interruptible=False)
        self.end_call()

    def stop(self, reason: EndReason = "stopped") -> None:
        """End the call. Does nothing when none runs.

        Args:
            reason: Reason that the event `call_ended` gives.
        """
        if self._call_context is not None:
            self._call_context.end.request(reason)

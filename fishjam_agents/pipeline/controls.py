"""Controls of a running call, which a bot has as its methods: speaking, muting, asking, ending."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import load_recording
from fishjam_agents.backends import port
from fishjam_agents.backends.port import Backend
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.events import EndReason, Heard
from fishjam_agents.journal.journal import CallJournal
from fishjam_agents.pipeline.background_audio import Background
from fishjam_agents.pipeline.call import Call
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.hooks import BotHooks
from fishjam_agents.pipeline.remote import RemoteRun
from fishjam_agents.pipeline.speech_handle import SpeechHandle

UNTIL_FAREWELL = 4.0
"""Seconds that a bot may go on with what it is saying before its farewell."""

_NOT_RUNNING = "the pipeline is not running: call this from a hook"


class CallControls(BotHooks):
    """Hooks of a bot, and the controls of its call; between calls they are refused.

    Attributes:
        backend: The model.
        farewell: Last thing said where the program ends.
        journal: The call's journal.
    """

    backend: Backend
    farewell: Samples | str | None
    journal: CallJournal | None

    def __init__(self) -> None:
        self._context: CallContext | None = None
        self._call: Call | RemoteRun | None = None

    @property
    def call_id(self) -> str | None:
        """Id of the running call, None between calls."""
        return None if self._context is None else self._context.id

    @property
    def continued(self) -> bool:
        """True if the conversation was begun by a process that was lost: nobody is to be greeted again."""
        return self.journal is not None and self.journal.earlier is not None

    @property
    def connecting(self) -> bool:
        """True while a call has begun whose model has not been connected yet: nobody can be answered."""
        call = self._call
        return self._context is not None and (call is None or (isinstance(call, Call) and call.is_connecting))

    def _reachable(self) -> Call | RemoteRun:
        if self._call is None:
            raise FishjamAgentsError(_NOT_RUNNING)
        return self._call

    def _running(self) -> Call:
        call = self._reachable()
        if isinstance(call, RemoteRun):
            raise FishjamAgentsError(
                "the bot's audio does not pass through this process: use send_text(), control() and stop()"
            )
        return call

    # --- what the bot says and sees ---

    @property
    def speech(self) -> SpeechHandle | None:
        """Speech that is being said or about to be said; None while the bot is silent and between calls."""
        return self._call.replies.current if isinstance(self._call, Call) else None

    def say(
        self,
        text: str,
        *,
        priority: int = 0,
        interruptible: bool | None = None,
        peer: str | None = None,
    ) -> SpeechHandle:
        """Speak given words with the backend's voice.

        Args:
            text: The words.
            priority: Of the replies that wait, the highest is played first.
            interruptible: Whether a barge-in silences and ends it; None is what `turns.barge_in` says.
            peer: With `hearing.mode: per_peer`, whom it is said to; None is everybody.

        Returns:
            The handle: await it, interrupt it, ask how much was heard.

        Raises:
            BackendError: The backend cannot, or has no session for the peer.
        """
        call = self._running()
        if not self.backend.capabilities.verbatim_say:
            raise BackendError(
                f"{type(self.backend).__name__} cannot speak given words: use play() or send_text()"
            )
        speech = call.replies.expect(priority=priority, interruptible=interruptible)
        if not speech.done:
            call.send_text(port.TextInput(text, verbatim=True, reply=speech.id), peer)
        return speech

    def play(
        self,
        audio: Samples | str | Path,
        sample_rate: int | None = None,
        text: str | None = None,
        *,
        priority: int = 0,
        interruptible: bool | None = None,
        filler: bool = False,
    ) -> SpeechHandle:
        """Play a recording as a reply: it can be spoken over like any other.

        Args:
            audio: A WAV file, or int16 mono of shape (n,).
            sample_rate: Hz of the samples; None means the backend's output rate.
            text: What it says, so that what was heard of it has words.
            priority: Of the replies that wait, the highest is played first; what sounds is never cut for it.
            interruptible: Whether a barge-in silences and ends it. A legal notice is not. None is what
                `turns.barge_in` says.
            filler: It bridges a wait ("let me see"): it plays before anything that has no audio yet, and
                gives way, with a fade, as soon as another reply has some.

        Returns:
            The handle: await it, interrupt it, ask how much was heard.

        Raises:
            AudioError: The file cannot be played, or the samples are not int16 mono.
        """
        rate = self.backend.capabilities.output_rate or 24000
        samples = load_recording(audio, sample_rate, rate)
        return self._running().replies.play(
            samples, text, priority=priority, interruptible=interruptible, filler=filler
        )

    def interrupt(self) -> Heard | None:
        """End every reply, also those that are not interruptible; `SpeechHandle.interrupt` ends one.

        Returns:
            What was heard of it, None when there was none.
        """
        return self._running().turns.confirm(everything=True)

    def send_text(self, text: str, *, peer: str | None = None) -> None:
        """Tell the backend something in writing.

        Args:
            text: What the user wrote.
            peer: With `hearing.mode: per_peer`, whose session is told; None is all of them.

        Raises:
            BackendError: The backend takes no text, or has no session for the peer.
        """
        call = self._reachable()
        if not self.backend.capabilities.text:
            raise BackendError(f"{type(self.backend).__name__} takes no text")
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
        call = self._reachable()
        if not self.backend.capabilities.text:
            raise BackendError(f"{type(self.backend).__name__} takes no text")
        call.submit_text(text, peer)

    def understood(self, text: str, *, final: bool = False, peer: str | None = None) -> None:
        """Tell the policies that judge words (`turns.barge_in`, `turns.end_of_turn`) what is being said.

        For a recogniser of your own: what a backend with transcripts understands counts without this.

        Args:
            text: All that is not final yet of what is being said, or what follows it.
            final: Whether these words are settled.
            peer: Who said it; None is whoever is speaking.
        """
        self._running().audio.understood(text, final, peer)

    async def capture_image(self, track: str) -> None:
        """Ask for a still of a video track; it goes to the backend when it comes.

        Raises:
            BackendError: The backend takes no images.
        """
        if not self.backend.capabilities.images:
            raise BackendError(f"{type(self.backend).__name__} takes no images")
        await self._running().vision.capture(track)

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
        call = self._running()
        if not self.backend.capabilities.images:
            raise BackendError(f"{type(self.backend).__name__} takes no images")
        return await call.vision.look(what, peer)

    # --- switches, turns by hand, the end ---

    @property
    def background(self) -> Background:
        """The sound under the bot's voice: `background.play("office.wav")`, `background.stop()`."""
        return Background(lambda: self._running().output)

    def mute(self) -> None:
        """Switch the bot's voice off until `unmute`, and with it what sounds under it.

        What it is saying ends, also what is not interruptible, and what it would say meanwhile ends
        unheard; the backend is told so. It hears all the same: `listen(False)` keeps it from that.
        """
        self._running().switches.mute(True)

    def unmute(self) -> None:
        """Switch the bot's voice on again, for what it says from now on."""
        self._running().switches.mute(False)

    @property
    def muted(self) -> bool:
        """True while the bot's voice is switched off; False between calls."""
        return isinstance(self._call, Call) and self._call.switches.is_muted

    def listen(self, listening: bool = True) -> None:
        """Hear everybody, or nobody.

        While nobody is heard nothing opens a turn and no audio reaches the backend. A turn that is open when
        that begins ends there, with the reason `app`, and is answered.
        """
        self._running().switches.listen(listening)

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
        if self._context is None:
            raise FishjamAgentsError(_NOT_RUNNING)
        return self._context.peer_name(peer)

    def start_turn(self, peer: str) -> None:
        """A peer presses to talk (`turns.mode: push_to_talk`): its turn begins, and the bot is interrupted.

        The press counts until `end_turn` or `cancel_turn`, also before the peer's microphone is heard.

        Raises:
            FishjamAgentsError: Turns are not opened by hand.
        """
        self._running().push_to_talk.press(peer)

    def end_turn(self, peer: str) -> None:
        """A peer lets go: its turn is complete, and answered. Does nothing when it has none.

        Raises:
            FishjamAgentsError: Turns are not opened by hand.
        """
        self._running().push_to_talk.release(peer)

    def cancel_turn(self, peer: str) -> None:
        """A peer takes its turn back: it is not answered. Does nothing when it has none.

        Raises:
            FishjamAgentsError: Turns are not opened by hand.
        """
        self._running().push_to_talk.release(peer, cancel=True)

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
        if isinstance(self._call, RemoteRun):
            self.stop("bot")
        else:
            self._running().end_after_goodbye()

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
        if self._context is not None:
            self._context.end.request(reason)

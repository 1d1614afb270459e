"""Controls of what a bot says, and of its voice."""

from __future__ import annotations

from pathlib import Path

from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import load_recording
from fishjam_agents.backends import port
from fishjam_agents.errors import BackendError
from fishjam_agents.events import Heard
from fishjam_agents.pipeline.background_audio import Background
from fishjam_agents.pipeline.call import Call
from fishjam_agents.pipeline.running_bot import RunningBot
from fishjam_agents.pipeline.speech_handle import SpeechHandle


class SpeechControls(RunningBot):
    """Controls of what a bot says; between calls they are refused."""

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
        call = self._running_call()
        if not self._serving_backend.capabilities.verbatim_say:
            raise BackendError(
                f"{type(self._serving_backend).__name__} cannot speak given words: use play() or send_text()"
            )
        speech = call.replies.expect(priority=priority, interruptible=interruptible)
        if not speech.done:
            call.send_text(port.TextInput(text, verbatim=True, reply=speech.id), peer)
        return speech

    def respond(
        self,
        instructions: str,
        *,
        priority: int = 0,
        interruptible: bool | None = None,
        peer: str | None = None,
    ) -> SpeechHandle:
        """Have the model say something in its own words: open the call, come back to a question.

        It knows all that was said so far, and may call tools first. It speaks when nobody else does, after
        what was asked of it before, and is spoken over like any other reply; `interrupt` makes room at once.

        Args:
            instructions: What to say, as an instruction: "Greet the caller and ask for the order number."
            priority: Of the replies that wait, the highest is played first.
            interruptible: Whether a barge-in silences and ends it; None is what `turns.barge_in` says.
            peer: With `hearing.mode: per_peer`, whom it is said to; None is who spoke last.

        Returns:
            The handle: await it, interrupt it, ask how much was heard. It is over, too, when the model says
            nothing.

        Raises:
            BackendError: The backend cannot, or has no session for the peer.
        """
        call, backend = self._running_call(), self._serving_backend
        if not backend.capabilities.respond:
            raise BackendError(
                f"{type(backend).__name__} cannot be told what to say: use say(), play() or send_text()"
            )
        speech = call.replies.expect(priority=priority, interruptible=interruptible)
        if not speech.done:
            call.await_reply(speech)
            call.send_text(port.TextInput(instructions, reply=speech.id, instructs=True), peer)
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
        rate = self._serving_backend.capabilities.output_rate or 24000
        samples = load_recording(audio, sample_rate, rate)
        return self._running_call().replies.play(
            samples, text, priority=priority, interruptible=interruptible, filler=filler
        )

    def interrupt(self) -> Heard | None:
        """End every reply, also those that are not interruptible; `SpeechHandle.interrupt` ends one.

        Returns:
            What was heard of it, None when there was none.
        """
        return self._running_call().turns.confirm(everything=True)

    @property
    def background(self) -> Background:
        """The sound under the bot's voice: `background.play("office.wav")`, `background.stop()`."""
        return Background(lambda: self._running_call().output)

    def mute(self) -> None:
        """Switch the bot's voice off until `unmute`, and with it what sounds under it.

        What it is saying ends, also what is not interruptible, and what it would say meanwhile ends
        unheard; the backend is told so. It hears all the same: `listen(False)` keeps it from that.
        """
        self._running_call().switches.mute(True)

    def unmute(self) -> None:
        """Switch the bot's voice on again, for what it says from now on."""
        self._running_call().switches.mute(False)

    @property
    def muted(self) -> bool:
        """True while the bot's voice is switched off; False between calls."""
        return isinstance(self._call, Call) and self._call.switches.is_muted

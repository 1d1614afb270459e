"""The class a user subclasses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from fishjam_agents.audio.detectors import require
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import load_speech
from fishjam_agents.backends import port
from fishjam_agents.backends.port import Backend
from fishjam_agents.backends.remote import RemoteBackend
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.events import Event, Heard, Turn
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.hearing.stages import Stage
from fishjam_agents.pipeline.call import Call
from fishjam_agents.pipeline.capability_checks import check_capabilities
from fishjam_agents.pipeline.controls import Controls
from fishjam_agents.pipeline.hooks import verify_hooks
from fishjam_agents.pipeline.idle import IdleSettings, check_announcement
from fishjam_agents.pipeline.recorder import Recorder
from fishjam_agents.pipeline.remote import Invite, RemoteRun
from fishjam_agents.pipeline.speech_handle import SpeechHandle
from fishjam_agents.pipeline.user_objects import (
    verify_fields,
    verify_instructions,
    verify_policies,
    verify_recording,
    verify_settings,
    verify_synchronous,
)
from fishjam_agents.playout.settings import BackgroundAudioSettings, PlayoutSettings
from fishjam_agents.session import RoomView, Session
from fishjam_agents.tools.mcp_server import McpServer
from fishjam_agents.tools.tool import Tool
from fishjam_agents.turns.settings import TurnSettings
from fishjam_agents.vision.settings import VisionSettings


class AgentPipeline(Controls):
    """A voice bot: subclass it, set `backend`, override the hooks you need.

    One instance is one bot in one room. Hooks run as tasks of the call: one that raises is logged and
    becomes an `error` event, one that awaits for long delays nothing, and one that computes for long without
    an `await` is named in the log, because everything waits for it. Settings are class attributes or
    attributes of the instance set before `run`.

    Attributes:
        backend: The model.
        turns: Turn-taking.
        playout: The bot's voice.
        voice: What sounds under and between replies.
        hearing: Whom the bot hears.
        silence: What happens when nobody says anything.
        input_stages: Processing of every microphone's audio before anything hears it. Each microphone gets
            a deep copy of each stage.
        instructions: The system prompt. Set in a running call, its model has it from then on.
        vision: What the model sees.
        tools: Functions the model may call, beside the methods marked with `tool`.
        mcp: MCP servers whose tools it may call.
        greeting: Recording played to the first who joins: int16 mono, shape (n,), at the backend's rate.
        apology: Recording played when the backend fails for good, before the call ends; as `greeting`.
        observers: Called synchronously with every event; quick functions only.
        recorder: Writes down what the turn machines are fed, for `replay`: `observe.replay.CallRecorder`.
    """

    backend: Backend
    turns: TurnSettings = TurnSettings()
    playout: PlayoutSettings = PlayoutSettings()
    background_audio: BackgroundAudioSettings = BackgroundAudioSettings()
    hearing: HearingSettings = HearingSettings()
    idle: IdleSettings = IdleSettings()
    input_stages: Sequence[Stage] = ()
    vision: VisionSettings = VisionSettings()
    instructions: str | None = None
    tools: Sequence[Callable[..., Any] | Tool] = ()
    mcp: Sequence[McpServer] = ()
    greeting: Samples | None = None
    apology: Samples | None = None
    recorder: Recorder | None = None
    hook_base: ClassVar[type]

    def __init__(self) -> None:
        self.observers: list[Callable[[Event], None]] = []
        self._call: Call | None = None
        self._remote: RemoteRun | None = None

    # --- hooks ---

    async def on_start(self) -> None:
        """The bot is in the room and listening."""

    async def on_peer_joined(self, peer: str) -> None:
        """A peer is in the room."""

    async def on_peer_left(self, peer: str) -> None:
        """A peer is gone."""

    async def on_speech_started(self, peer: str | None) -> None:
        """A peer speaks; None when the bot hears a mix and nobody was clearly loudest."""

    async def on_turn(self, turn: Turn) -> None:
        """A peer has finished a turn."""

    async def on_transcript(self, text: str, final: bool, peer: str | None) -> None:
        """The backend understood words of a user."""

    async def on_reply_started(self, speech: SpeechHandle) -> None:
        """The bot has something to say: a reply of the backend, or what `say` and `play` were given."""

    async def on_reply_ended(self, speech: SpeechHandle) -> None:
        """Handle the end of a reply, played to its end or interrupted."""

    async def on_interrupted(self, heard: Heard) -> None:
        """Somebody spoke over a reply; `heard` is what was heard of it."""

    async def on_vendor_event(self, kind: str, message: Mapping[str, Any]) -> None:
        """The backend's vendor tells something in its own words, which its page describes."""

    async def on_user_idle(self, times: int) -> None:
        """Nobody has said anything for `idle.after` seconds; `times` in a row, 1 for the first."""

    async def on_error(self, error: Exception) -> None:
        """A hook, a stage or a tool raised `error`."""

    async def on_ending(self) -> None:
        """The app, a tool or a limit ends the call, and the model still answers `ask`; has five seconds."""

    async def on_stop(self) -> None:
        """The call is over; has five seconds."""

    # --- running ---

    async def run(
        self,
        session: Session,
        *,
        input_format: AudioFormat = AudioFormat(16000, 1),  # noqa: B008 - frozen
        room: RoomView | None = None,
    ) -> None:
        """Be the bot of a room until `stop()`, the end of the session or of the backend.

        Args:
            session: The connection to the room: an `AgentSession`, ours or the official SDK's.
            input_format: What the room's audio looks like, as asked for when the agent was made.
            room: What is known of the room; without it peers are known by their audio alone.

        Raises:
            SessionError: The media server ended the session.
            BackendError: The backend failed for good.
            FishjamAgentsError: The pipeline cannot work as built.
        """
        if self.call_id is not None:
            raise FishjamAgentsError("this pipeline already runs in a room: make one instance for each room")
        self.verify()
        self._call = Call(self, session, input_format, room)
        try:
            await self._call.run()
        finally:
            self._call = None

    async def attend(self, invite: Invite, room: RoomView) -> None:
        """Be the bot of a room whose audio the media server carries itself (`RemoteBackend`); as `run`.

        Args:
            invite: Brings the model into the room.
            room: What is known of the room.

        Raises:
            BackendError: The conversation could not begin, or failed.
            FishjamAgentsError: The pipeline cannot work as built.
        """
        if self.call_id is not None:
            raise FishjamAgentsError("this pipeline already runs in a room: make one instance for each room")
        self.verify()
        if not isinstance(self.backend, RemoteBackend):
            raise FishjamAgentsError(f"{type(self.backend).__name__} has audio to carry: use run()")
        self._remote = RemoteRun(self, self.backend, invite, room)
        try:
            await self._remote.run()
        finally:
            self._remote = None

    def verify(self) -> None:
        """Check that the parts fit, as `run` and the command `check` do.

        Raises:
            FishjamAgentsError: They do not, in one sentence that says what to do.
        """
        backend = getattr(self, "backend", None)
        name = type(self).__name__
        if isinstance(backend, type):
            raise FishjamAgentsError(
                f"{name}.backend is a class: make one of it, `backend = {backend.__name__}()`"
            )
        if not isinstance(backend, Backend):
            raise FishjamAgentsError(f"{name} has no backend: set `backend = Parrot()` or another one")
        self._verify_objects(name, backend)
        for one in backend.chain:
            if self.turns.mode == "backend" and not one.capabilities.own_turn_detection:
                raise FishjamAgentsError(
                    f"turns.mode is 'backend', but {type(one).__name__} has no turn detection: use 'local'"
                )
        self._verify_hearing(backend)
        verify_hooks(self, self.hook_base)
        for stage in self.input_stages:
            for method in ("process", "reset"):
                if isinstance(stage, type) or not callable(getattr(stage, method, None)):
                    raise FishjamAgentsError(
                        f"{stage!r} in {name}.input_stages is no stage: it needs to be an object with the "
                        "methods process(samples, format) and reset()"
                    )
        for key, words in (("prompt", self.idle.prompt), ("goodbye", self.idle.goodbye)):
            if words is not None:
                speaks = backend.capabilities.verbatim_say
                check_announcement(words, f"idle.{key}", speaks=speaks, backend=type(backend).__name__)
        check_capabilities(self, backend)
        require(self.hearing.vad)
        backend.check()

    def _verify_objects(self, name: str, backend: Backend) -> None:
        verify_settings(
            name,
            {
                "turns": (self.turns, TurnSettings),
                "playout": (self.playout, PlayoutSettings),
                "voice": (self.background_audio, BackgroundAudioSettings),
                "hearing": (self.hearing, HearingSettings),
                "silence": (self.idle, IdleSettings),
                "vision": (self.vision, VisionSettings),
            },
        )
        verify_instructions(name, self.instructions)
        verify_policies(name, self.turns)
        for one in backend.chain:
            verify_fields(type(one).__name__, one)
        for stage in self.input_stages:
            verify_synchronous(getattr(stage, "process", None), f"{type(stage).__name__}.process")
        for observer in self.observers:
            verify_synchronous(observer, f"an observer of {name}")
        verify_recording(name, "greeting", self.greeting)
        verify_recording(name, "apology", self.apology)

    def _verify_hearing(self, backend: Backend) -> None:
        if self.hearing.speaker_notes and not backend.capabilities.text:
            name = type(backend.chain[0]).__name__
            raise FishjamAgentsError(f"hearing.speaker_notes is set, but {name} takes no text: remove it")
        if self.turns.mode == "push_to_talk" and self.hearing.mode != "active_speaker":
            raise FishjamAgentsError(
                "turns.mode is 'push_to_talk', but a button is one peer's: set hearing to 'active_speaker', "
                f"not '{self.hearing.mode}'"
            )
        if self.hearing.mode != "per_peer":
            return
        hasty = [type(one).__name__ for one in backend.chain if not one.capabilities.replies_wait]
        if hasty:
            raise FishjamAgentsError(
                f"hearing is 'per_peer', but replies of {hasty[0]} would be out of date by the time the one "
                "before is over: use 'active_speaker' or 'mix'"
            )
        if self.turns.mode != "local":
            raise FishjamAgentsError(
                f"hearing is 'per_peer', but turns.mode is '{self.turns.mode}': a model that hears one "
                "peer cannot rule the turns of all, use 'local'"
            )

    def peer_name(self, peer: str) -> str:
        """Return the name of a peer: the name in its metadata, else `Speaker 1` and so on.

        The name is one line of at most 40 characters, since people choose theirs.
        """
        return self._reachable().name(peer)

    def make_stages(self) -> list[Stage]:
        """Stages for one microphone: copies, because stages have state."""
        return [copy.deepcopy(stage) for stage in self.input_stages]

    @property
    def call_id(self) -> str | None:
        """Id of the running call, None between calls."""
        call = self._remote or self._call
        return None if call is None else call.id

    # --- actions ---

    @property
    def speech(self) -> SpeechHandle | None:
        """Speech that is being said or about to be said; None while the bot is silent and between calls."""
        return None if self._call is None else self._call.replies.current

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
            AudioError: The file cannot be played.
        """
        rate = self.backend.capabilities.output_rate or 24000
        if isinstance(audio, (str, Path)):
            samples = load_speech(audio, rate)
        else:
            samples = resample(audio, sample_rate or rate, rate)
        return self._running().replies.play(
            samples, text, priority=priority, interruptible=interruptible, filler=filler
        )

    def interrupt(self) -> Heard | None:
        """End every reply, also those that are not interruptible; `SpeechHandle.interrupt` ends one.

        Returns:
            What was heard of it, None when there was none.
        """
        return self._running().interrupt()

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

    def understood(self, text: str, *, final: bool = False, peer: str | None = None) -> None:
        """Tell the policies that judge words (`turns.barge_in`, `turns.end_of_turn`) what is being said.

        For a recogniser of your own: what a backend with transcripts understands counts without this.

        Args:
            text: All that is not final yet of what is being said, or what follows it.
            final: Whether these words are settled.
            peer: Who said it; None is whoever is speaking.
        """
        self._running().understood(text, final, peer)

    async def capture_image(self, track: str) -> None:
        """Ask for a still of a video track; it goes to the backend when it comes.

        Raises:
            BackendError: The backend takes no images.
        """
        if not self.backend.capabilities.images:
            raise BackendError(f"{type(self.backend).__name__} takes no images")
        await self._running().eyes.capture(track)

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
        return await call.eyes.look(what, peer)


AgentPipeline.hook_base = AgentPipeline

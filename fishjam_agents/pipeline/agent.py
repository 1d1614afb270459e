"""`AgentPipeline`, the class a user subclasses: settings, and the run of a call."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from types import MappingProxyType
from typing import Any

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.backends.port import Backend
from fishjam_agents.backends.remote import RemoteBackend
from fishjam_agents.backends.vendors import CallVendors
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.events import Event
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.hearing.stages import Stage
from fishjam_agents.journal.journal import CallJournal
from fishjam_agents.pipeline.call import Call
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.controls import CallControls
from fishjam_agents.pipeline.idle import IdleSettings
from fishjam_agents.pipeline.own_words import Instructions, OwnWords
from fishjam_agents.pipeline.publish_track import publish_track
from fishjam_agents.pipeline.recorder import Recorder, SoundRecorder
from fishjam_agents.pipeline.remote import Invite, RemoteRun
from fishjam_agents.pipeline.verification import verify, verify_names
from fishjam_agents.playout.settings import BackgroundAudioSettings, PlayoutSettings
from fishjam_agents.session import RoomView, Session
from fishjam_agents.tools.mcp_server import McpServer
from fishjam_agents.tools.tool import Tool
from fishjam_agents.turns.settings import TurnSettings
from fishjam_agents.vision.settings import VisionSettings

logger = logging.getLogger(__name__)


class AgentPipeline(CallControls):
    """A voice bot: subclass it, set `backend`, override the hooks you need.

    One instance is one bot in one room. Hooks run as tasks of the call: one that raises is logged and
    becomes an `error` event, one that awaits for long delays nothing, and one that computes for long without
    an `await` is named in the log, because everything waits for it. Settings are class attributes or
    attributes of the instance set before `run`.

    Attributes:
        backend: The model.
        turns: Turn-taking.
        playout: Playout of the replies.
        background_audio: Sounds under and between replies.
        hearing: Whom the bot hears.
        idle: What happens when nobody says anything.
        input_stages: Processing of every microphone's audio before anything hears it. Each microphone gets
            a deep copy of each stage.
        instructions: The system prompt. Set in a running call, its model has it from then on.
        vision: What the model sees.
        tools: Functions the model may call, beside the methods marked with `tool`.
        mcp: MCP servers whose tools it may call.
        handoffs: Bots that a tool may hand the call over to (`Handoff`), by their names: classes, or
            functions that make one. Of such a bot count instructions, tools, hooks and, if it has one, the
            backend; all other settings are those of the bot that began.
        greeting: First thing said to the first who joins: a recording, int16 mono, shape (n,), at the
            backend's rate; words, for a backend that speaks given ones; or `Instructions` for its own words.
        apology: Last thing said when the backend fails for good, before the call ends; as `greeting`. Words
            are for backends whose voice speaks by itself, as that of a cascade does.
        farewell: Last thing said where the program ends and the call has not; as `greeting`.
        observers: Called synchronously with every event; quick functions only.
        tool_payloads: Whether events of tools hold arguments and results, as `redact` leaves them. They are
            what callers said and what your systems answered: off unless it is wanted.
        journal: Writes down what is said and done, so that the conversation goes on in another process; one
            for each run. `run CONFIG` sets it where the file has a `journal`.
        vendors: Places at vendors that were taken for the call before it began, and what it waits for; one
            for each run. Without it sessions take their own.
        next_call_id: The `call_id` of the next run; one for each run. Without it a run makes its own.
        recorder: Writes down what the turn machines are fed, for `replay`: `observe.replay.CallRecorder`.
        sound_recorder: Records what callers and bot say: `observe.recording.SoundRecorder`.
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
    handoffs: Mapping[str, Callable[[], AgentPipeline]] = MappingProxyType({})
    greeting: OwnWords | Instructions | None = None
    apology: OwnWords | None = None
    farewell: OwnWords | None = None
    tool_payloads: bool = False
    recorder: Recorder | None = None
    sound_recorder: SoundRecorder | None = None
    journal: CallJournal | None = None
    vendors: CallVendors | None = None
    next_call_id: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.observers: list[Callable[[Event], None]] = []

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute: new `instructions` reach the model of a running call, from whichever thread."""
        super().__setattr__(name, value)
        call = self.__dict__.get("_call")
        if call is None:
            return
        if name == "instructions":
            if self is self._active_bot:
                call.update(value or "")
        elif name in _READ_ONCE:
            logger.warning("%s was set in a running call, which goes on as it was: set it before run()", name)

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
        if input_format.channels != 1:
            raise ValueError("input_format must be mono: Fishjam sends agents mono audio")
        earlier = None if self.journal is None else self.journal.earlier
        if earlier is not None and earlier.bot is None and earlier.instructions is not None:
            self.instructions = earlier.instructions
        context = self._begin(room, input_format)
        try:
            if self.turns.hears:
                await context.loop.run_in_executor(None, self.turns.ending.load)
            track = await publish_track(session, context.capabilities, self.playout)
            call = self._call = Call(self, context, session, track, room)
            await call.run()
        finally:
            if isinstance(self._call, Call):
                self._call.release()
            self._call_context = self._call = None

    async def attend(self, invite: Invite, room: RoomView) -> None:
        """Be the bot of a room whose audio the media server carries itself (`RemoteBackend`); as `run`.

        Args:
            invite: Brings the model into the room.
            room: What is known of the room.

        Raises:
            BackendError: The conversation could not begin, or failed.
            FishjamAgentsError: The pipeline cannot work as built.
        """
        context = self._begin(room, AudioFormat(16000, 1))
        try:
            if not isinstance(self.backend, RemoteBackend):
                raise FishjamAgentsError(f"{type(self.backend).__name__} has audio to carry: use run()")
            call = self._call = RemoteRun(
                context, self.backend, self.instructions, invite, room, self.vendors
            )
            await call.run()
        finally:
            self._call_context = self._call = None

    def _begin(self, room: RoomView | None, room_format: AudioFormat) -> CallContext:
        if self._call_context is not None:
            raise FishjamAgentsError("this pipeline already runs in a room: make one instance for each room")
        self.verify()
        self._call_context = CallContext.begin(self, room, room_format)
        return self._call_context

    def verify(self) -> None:
        """Check that the parts fit, as `run` and the command `check` do.

        Raises:
            FishjamAgentsError: They do not, in one sentence that says what to do.
        """
        verify_names(self, AgentPipeline)
        verify(self, SECTIONS)

    def make_stages(self) -> list[Stage]:
        """Make the stages of one microphone: copies, because stages have state."""
        return [copy.deepcopy(stage) for stage in self.input_stages]


SECTIONS: Mapping[str, type[Any]] = MappingProxyType(
    {name: type(value) for name, value in vars(AgentPipeline).items() if is_dataclass(value)}
)
"""Settings classes of a pipeline by its attributes, which are the sections of `agent` in config.yaml, too."""

_READ_ONCE = frozenset({"backend", "tools", "mcp", "journal", "vendors", "next_call_id", *SECTIONS})
"""Settings that a call reads when it begins."""

"""Input of the bot from a session's messages: microphones, joins, leaves, outages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from fishjam_agents import events
from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.backends import port
from fishjam_agents.errors import FishjamAgentsError, SessionError
from fishjam_agents.hearing.loudspeaker import Loudspeaker
from fishjam_agents.hearing.microphone import Deliver, Microphone
from fishjam_agents.hearing.mix_input import MixInput
from fishjam_agents.hearing.mixer import Mixer
from fishjam_agents.hearing.stages import Stage
from fishjam_agents.pipeline.peer_registry import PeerRegistry
from fishjam_agents.playout.audio_output import AudioOutput
from fishjam_agents.session import RoomView, Session, media_server_of
from fishjam_agents.turns.decision_log import DecisionLogs

if TYPE_CHECKING:
    from fishjam_agents.pipeline.agent import AgentPipeline
    from fishjam_agents.pipeline.call import Call

logger = logging.getLogger(__name__)


class RoomAudio:
    """The listening half of a call.

    Args:
        call: The call; told of peers, errors and what the backend should know.
        pipeline: The user's bot: whom it hears, and its stages.
        session: The connection to the room.
        input_format: What the room's audio looks like.
        room: What is known of the room, or None.
        deliver: Told of every frame of a microphone with what follows from it.
        zero: Loop time at which call time is zero.

    Attributes:
        own_tracks: Ids of the bot's own tracks, which it does not hear.
        closed: Whether nobody is heard at all.
    """

    def __init__(
        self,
        call: Call,
        pipeline: AgentPipeline,
        session: Session,
        input_format: AudioFormat,
        room: RoomView | None,
        deliver: Deliver,
        zero: float,
    ) -> None:
        self.own_tracks: set[str] = set()
        self.closed = False
        self._call = call
        self._pipeline = pipeline
        self._session = session
        self._format = input_format
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._zero = zero
        self._voice: AudioOutput
        self._tapes: DecisionLogs | None = None
        self._failed = False
        self._mixer: Mixer | None = None
        self._roster: PeerRegistry[Microphone | MixInput] = PeerRegistry(
            pipeline.hearing,
            media_server_of(session),
            room,
            self.own_tracks,
            self._make_input,
            call.peer_joined,
            call.peer_left,
        )

    @property
    def microphones(self) -> Iterable[Microphone]:
        """Every microphone, in the order they were first heard."""
        if self._mixer is not None:
            return [self._mixer.microphone]
        return cast("Iterable[Microphone]", self._roster.inputs)

    def open(self, voice: AudioOutput, tapes: DecisionLogs | None) -> None:
        """Begin to follow the room; `voice` is what may be spoken over, `tapes` records what is heard."""
        self._voice = voice
        self._tapes = tapes
        if self._pipeline.hearing.echo_guard:
            voice.reference = EchoReference(voice.sample_rate, self._zero)
        if self._pipeline.hearing.mode == "mix":
            self._mixer = Mixer(self._format, self._make_microphone, self._deliver, voice.reference)
        self._roster.open()

    def close(self) -> None:
        """Stop following the room, and end what is being said."""
        self._roster.close()
        for source in self._roster.inputs:
            source.end("outage")

    def set_deaf(self, closed: bool) -> None:
        """Hear nobody, or hear again; a turn that is open when the ears close ends there."""
        self.closed = closed
        if closed and self._mixer is not None:
            self._mixer.close("app")
        elif closed:
            for microphone in self.microphones:
                microphone.end("app")

    async def receive(self) -> None:
        """Take what the session sends until it ends.

        Raises:
            SessionError: The media server ended the session.
        """
        # A session may offer `listen` (`fishjam.AgentSession` does): no task has to wake up for each frame.
        listen = getattr(self._session, "listen", None)
        try:
            if listen is not None:
                await listen(self._take)
                return
            async for message in self._session.receive():
                self._take(message)
        except FishjamAgentsError:
            raise
        except Exception as error:
            raise SessionError(
                f"the media server ended the session ({error}): start the bot again"
            ) from error

    def tick(self, now: float) -> None:
        """Take notice of microphones that send nothing. Called every 20 ms with the loop's time."""
        if self.closed:
            return
        if self._mixer is not None:
            self._mixer.tick(now - self._zero, self._voice.active)
            return
        for microphone in self.microphones:
            microphone.silence(now - self._zero)

    def understood(self, text: str, final: bool, peer: str | None) -> None:
        """Words of a peer, or of whoever is speaking, for the policies of turn-taking."""
        for microphone in self.microphones:
            if peer is None or microphone.peer in (peer, None):
                microphone.understood(text, final)

    def _take(self, message: Any) -> None:
        # What goes wrong in here is not the session's fault, and no business of its.
        if self._failed:
            return
        try:
            self._message(message)
        except Exception as error:  # noqa: BLE001 - the call ends with it
            self._failed = True
            self._call.failed_inside(error)

    def _message(self, message: Any) -> None:
        if hasattr(message, "peer_id"):
            self._hear(message)
        elif hasattr(message, "content_type"):
            self._call.eyes.image(message)
        elif hasattr(message, "outage"):
            self._back(message.outage)

    def _hear(self, frame: Any) -> None:
        now = self._loop.time() - self._zero
        microphone = self._roster.input(frame, now)
        if microphone is None or self.closed:
            return
        barge_in = self._voice.active and self._call.may_interrupt(microphone.peer)
        if not microphone.feed(frame.data, now, barge_in) and microphone.damaged in (1, 100, 10000):
            message = f"dropped audio of {len(frame.data)} bytes: empty, odd-length or over one second"
            self._call.emit(events.ErrorRaised(now, message, "input", microphone.peer))

    def _back(self, outage: float) -> None:
        """The session is back after so many seconds without connection; what was said meanwhile is lost."""
        call = self._call
        call.emit(events.Outage(call.now(), "agent_socket", round(outage, 3)))
        # A session that reconnects publishes its tracks under new ids.
        self.own_tracks.add(call.track_id)
        for source in self._roster.inputs:
            source.end("outage")
        if call.capabilities.text:
            note = f"[The connection to the room was lost for {outage:.1f} s: nobody was heard meanwhile.]"
            call.put(port.TextInput(note, note=True))

    def _make_input(self, peer: str, track: str) -> Microphone | MixInput:
        if self._mixer is not None:
            return self._mixer.add(peer, track)
        return self._make_microphone(peer, track, self._deliver)

    def _make_microphone(self, peer: str | None, track: str, deliver: Deliver) -> Microphone:
        stages = self._pipeline.make_stages()
        microphone = Microphone(
            *(peer, track, self._format, self._pipeline.turns, stages, deliver, self._stage_failed),
            tapes=self._tapes,
            vad=self._pipeline.hearing.vad,
        )
        if self._voice.reference is not None:
            microphone.loudspeakers = Loudspeaker(self._voice.reference, self._format.sample_rate)
        # Only a model that owns turns hears the user while the bot speaks.
        if self._call.capabilities.transcripts and self._pipeline.turns.mode == "backend":
            microphone.machine.expect_words()
        return microphone

    def _stage_failed(self, microphone: Microphone, stage: Stage, error: Exception) -> None:
        logger.error(
            "The stage %s failed and is left out for this microphone",
            type(stage).__name__,
            exc_info=error,
            extra={"call": self._pipeline.call_id, "peer": microphone.peer},
        )
        call = self._call
        message = f"stage {type(stage).__name__} failed ({error!r}) and is left out for this microphone"
        call.emit(events.ErrorRaised(call.now(), message, "stage", microphone.peer))
        call.hook("on_error", error)

"""Input of the bot from a session's messages: microphones, joins, leaves, outages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, cast

from fishjam_agents import events
from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.backends import port
from fishjam_agents.errors import FishjamAgentsError, SessionError
from fishjam_agents.hearing.detector_bank import DetectorBank
from fishjam_agents.hearing.echo_canceller import EchoCanceller
from fishjam_agents.hearing.loudspeaker import Loudspeaker
from fishjam_agents.hearing.microphone import QUIET_AFTER, Deliver, Microphone
from fishjam_agents.hearing.mix_input import MixInput
from fishjam_agents.hearing.mixer import Mixer
from fishjam_agents.hearing.stages import Stage
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.peer_registry import PeerRegistry
from fishjam_agents.pipeline.ports import BackendInputSink
from fishjam_agents.pipeline.process_load import ProcessLoad
from fishjam_agents.pipeline.turn_taking.end_of_turn import make_predictor
from fishjam_agents.playout.audio_output import AudioOutput
from fishjam_agents.playout.ticker import Ticker
from fishjam_agents.session import OutgoingTrack, RoomView, Session, media_server_of
from fishjam_agents.turns.decision_log import DecisionLogs

logger = logging.getLogger(__name__)

LATE = QUIET_AFTER / 2
"""Seconds that a tick is late, from which on the loop has stood still."""


class RoomAudio:
    """Input of the bot: the audio of the room, and the peers and pictures that come with it.

    Args:
        context: The call.
        session: The connection to the room.
        room: What is known of the room, or None.
        track: The bot's own, which it does not hear.
        output: Audio that may be spoken over.
        logs: Takes what is heard, None for nobody.
        make_stages: Makes the user's stages of one microphone.
        backend: Told of outages.
        deliver: Takes every frame of a microphone with what follows from it.
        may_interrupt: Returns whether a peer's speech now is said over the bot.
        joined: Takes every peer that is there, once.
        left: Takes every peer that is gone.
        take_image: Takes a still.
        record: Takes every packet that counts, with its track and call time; None where nothing is recorded.

    Attributes:
        is_closed: Whether nobody is heard at all.
    """

    def __init__(
        self,
        context: CallContext,
        session: Session,
        room: RoomView | None,
        track: OutgoingTrack,
        output: AudioOutput,
        logs: DecisionLogs | None,
        make_stages: Callable[[], list[Stage]],
        backend: BackendInputSink,
        *,
        deliver: Deliver,
        may_interrupt: Callable[[str | None], bool],
        joined: Callable[[str], None],
        left: Callable[[str], None],
        take_image: Callable[[Any], None],
        record: Callable[[str, bytes, float], None] | None = None,
    ) -> None:
        self.is_closed = False
        self._context = context
        self._time, self._zero = context.loop.time, context.zero
        self._session = session
        self._track = track
        self._is_connected = True
        self._own_tracks = {track.id}
        self._output = output
        self._logs = logs
        self._make_stages = make_stages
        self._backend = backend
        self._deliver = deliver
        self._may_interrupt = may_interrupt
        self._take_image = take_image
        self._record = record
        self._has_failed = False
        self._ticker = Ticker.shared()
        self._unread_until = float("-inf")
        # Call time of the packet by whose age a microphone can be quiet, at the earliest.
        self._heard_at = float("-inf")
        self._predictor = make_predictor(context)
        hearing = context.hearing
        if hearing.echo != "none":
            output.reference = EchoReference(output.sample_rate, context.zero)
        self._mixer: Mixer | None = None
        if hearing.mode == "mix":
            format, reference = context.room_format, output.reference
            cancel = self._make_canceller if hearing.echo == "aec3" else None
            self._mixer = Mixer(format, self._make_microphone, deliver, reference, cancel)
        self._registry: PeerRegistry[Microphone | MixInput] = PeerRegistry(
            *(hearing, media_server_of(session), room, self._own_tracks, self._make_input, joined, left)
        )

    @property
    def microphones(self) -> Iterable[Microphone]:
        """Every microphone, in the order they were first heard."""
        if self._mixer is not None:
            return [self._mixer.microphone]
        return cast("Iterable[Microphone]", self._registry.inputs)

    @property
    def is_busy(self) -> bool:
        """True while the bot speaks, or nobody would be heard."""
        return self.is_closed or self._output.active

    @property
    def echo_delay(self) -> float | None:
        """Seconds after which the bot's voice comes back in a microphone; None while none is known to."""
        for microphone in self.microphones:
            loudspeaker = microphone.loudspeakers
            if isinstance(loudspeaker, Loudspeaker) and loudspeaker.guard.delay is not None:
                return loudspeaker.guard.delay * FRAME_SECONDS
        return None

    def is_anyone_in_turn(self) -> bool:
        """Return whether anybody has a turn."""
        return any(microphone.machine.turn_open for microphone in self.microphones)

    def is_anyone_in_speech(self) -> bool:
        """Return whether a sound is followed that is not known as noise."""
        return any(microphone.machine.announced for microphone in self.microphones)

    def open(self) -> None:
        """Begin to follow the room."""
        self._registry.open()

    def close(self) -> None:
        """Stop following the room, and end what is being said."""
        self._registry.close()
        for source in self._registry.inputs:
            source.end("outage")

    def set_closed(self, closed: bool) -> None:
        """Hear nobody, or hear again; a turn that is open when that begins ends there."""
        self.is_closed = closed
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
        """Take notice of microphones that send nothing, and of a lost session.

        Called every 20 ms with the loop's time.
        """
        if self._is_connected != getattr(self._track, "ready", True):
            self._is_connected = not self._is_connected
            if not self._is_connected:
                self._context.emit(events.ConnectionLost(now - self._zero, "agent_socket"))
        if self.is_closed:
            return
        has_stood_still = self._ticker.lag > LATE and self._has_stood_still(now)
        if self._mixer is not None:
            if not has_stood_still:
                self._mixer.tick(now - self._zero, self._output.active)
            return
        if now < self._unread_until:
            return
        # Microphones that are heard are not asked at every tick; whoever is new was heard later than this.
        at = now - self._zero
        if at - self._heard_at < QUIET_AFTER:
            return
        self._heard_at = at
        for microphone in self.microphones:
            microphone.silence(at)
            last = microphone.last_packet
            if last is not None and last < self._heard_at:
                self._heard_at = last

    def _has_stood_still(self, now: float) -> bool:
        """Return whether a late loop has, so that packets wait in the sockets, and none is missing yet.

        A late tick may come before they are read, and the clock of uvloop stands still while they are: whose
        packets have ceased is known as long after that as after any packet. A loop that is late at every tick
        is taken at its word in between.
        """
        if now < self._unread_until + QUIET_AFTER:
            return False
        self._unread_until = now + QUIET_AFTER
        return True

    def understood(self, text: str, final: bool, peer: str | None, onset: float | None = None) -> None:
        """Take words of a peer, or of whoever is speaking, for the policies of turn-taking.

        Args:
            text: The words.
            final: Whether they are settled.
            peer: Who said them.
            onset: Of the sound that they are of, media time; None where that is not known.
        """
        for microphone in self.microphones:
            if peer is None or microphone.peer in (peer, None):
                microphone.understood(text, final, onset)

    def transcribed(self, text: str, pause: float, peer: str | None) -> None:
        """Take the words of a peer's turn up to a pause, which began at media time `pause`."""
        for microphone in self.microphones:
            if self._mixer is not None or microphone.peer == peer:
                microphone.machine.transcribed(pause, text)

    def _take(self, message: Any) -> None:
        # What goes wrong in here is not the session's fault, and no business of its.
        if self._has_failed:
            return
        try:
            if hasattr(message, "peer_id"):
                self._hear(message)
            elif hasattr(message, "content_type"):
                self._take_image(message)
            elif hasattr(message, "outage"):
                self._reconnected(message.outage)
        except Exception as error:  # noqa: BLE001 - the call ends with it
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._has_failed = True
        self._context.end.fail_inside(error)

    def _hear(self, frame: Any) -> None:
        now = self._time() - self._zero
        microphone = self._registry.input(frame, now)
        if microphone is None or self.is_closed:
            return
        if self._record is not None:
            self._record(frame.track.id, frame.data, now)
        barge_in = self._output.active and self._may_interrupt(microphone.peer)
        if not microphone.feed(frame.data, now, barge_in) and microphone.damaged in (1, 100, 10000):
            message = f"dropped audio of {len(frame.data)} bytes: empty, odd-length or over one second"
            self._context.emit(events.ErrorRaised(now, message, "input", microphone.peer))

    def _reconnected(self, outage: float) -> None:
        """Take notice that the session was away for so many seconds; what was said meanwhile is lost."""
        context = self._context
        if self._is_connected:
            # It was back before anybody looked.
            context.emit(events.ConnectionLost(context.now(), "agent_socket"))
        self._is_connected = True
        context.emit(events.Outage(context.now(), "agent_socket", round(outage, 3)))
        # A session that reconnects publishes its tracks under new ids.
        self._own_tracks.add(self._track.id)
        for source in self._registry.inputs:
            source.end("outage")
        if context.capabilities.text:
            note = f"[The connection to the room was lost for {outage:.1f} s: nobody was heard meanwhile.]"
            self._backend.put(port.TextInput(note, note=True))

    def _make_input(self, peer: str, track: str) -> Microphone | MixInput:
        if self._mixer is not None:
            return self._mixer.add(peer, track)
        microphone = self._make_microphone(peer, track, self._deliver)
        if self._context.hearing.echo == "aec3":
            microphone.front_end.canceller = self._make_canceller()
        return microphone

    def _make_canceller(self) -> EchoCanceller:
        reference = self._output.reference
        assert reference is not None
        return EchoCanceller(reference, self._context.room_format.sample_rate)

    def _make_microphone(self, peer: str | None, track: str, deliver: Deliver) -> Microphone:
        context, reference = self._context, self._output.reference
        format, turns = context.room_format, context.turns
        microphone = Microphone(
            *(peer, track, format, turns, self._make_stages(), deliver, self._stage_failed),
            decision_logs=self._logs,
            vad=context.hearing.vad,
            second_opinion=context.hearing.second_opinion,
            near_voice=context.hearing.near_voice,
            thinning=ProcessLoad.shared().thinning,
            predictor=self._predictor,
            bank=DetectorBank.shared(),
            failed=self._failed,
        )
        if reference is not None:
            microphone.loudspeakers = Loudspeaker(reference, format.sample_rate)
        if context.capabilities.hears_over_replies(turns.mode):
            microphone.machine.expect_words()
        return microphone

    def _stage_failed(self, microphone: Microphone, stage: Stage, error: Exception) -> None:
        context, name = self._context, type(stage).__name__
        logger.error(
            "The stage %s failed and is left out for this microphone",
            name,
            exc_info=error,
            extra={"call": context.id, "peer": microphone.peer},
        )
        message = f"stage {name} failed ({error!r}) and is left out for this microphone"
        context.emit(events.ErrorRaised(context.now(), message, "stage", microphone.peer))
        context.start_hook("on_error", error)

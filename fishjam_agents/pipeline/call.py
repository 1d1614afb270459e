"""A running call: session, ears, backend and voice of one bot, wired together."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fishjam_agents import events
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.resampling import live_resampler
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.errors import BackendError, FishjamAgentsError, SessionError
from fishjam_agents.events import Event, Heard
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.hearing.stages import Stage
from fishjam_agents.pipeline.hooks import Hooks
from fishjam_agents.pipeline.owners import BackendOwner, LocalOwner
from fishjam_agents.pipeline.rates import track_rate
from fishjam_agents.pipeline.replies import Replies
from fishjam_agents.pipeline.roster import Roster
from fishjam_agents.playout.ticker import Ticker
from fishjam_agents.playout.voice import Voice
from fishjam_agents.session import AGENT_MARK, OutgoingAudioTrackOptions, OutgoingTrack, RoomView, Session

if TYPE_CHECKING:
    from fishjam_agents.pipeline.agent import AgentPipeline

logger = logging.getLogger(__name__)

TRACK_DEADLINE = 10.0
"""Seconds the media server may take to accept the bot's track."""


class Call:
    """One run of a pipeline in one room.

    Args:
        pipeline: The user's bot.
        session: The connection to the room.
        input_format: What the room's audio looks like.
        room: What is known of the room, or None.
    """

    def __init__(
        self, pipeline: AgentPipeline, session: Session, input_format: AudioFormat, room: RoomView | None
    ) -> None:
        if input_format.channels != 1:
            raise ValueError("input_format must be mono: Fishjam sends agents mono audio")
        self.id = uuid.uuid4().hex[:8]
        self.settings = pipeline.turns
        self.capabilities = pipeline.backend.capabilities
        self._pipeline = pipeline
        self._session = session
        self._format = input_format
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        self._stop = asyncio.Event()
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._own_tracks: set[str] = set()
        self._hooks = Hooks(pipeline, pipeline.hook_base, self._hook_failed)
        self._roster = Roster(
            pipeline.hearing,
            room,
            self._own_tracks,
            self._make_microphone,
            self._peer_joined,
            self._peer_left,
        )
        self._resampler = live_resampler(input_format.sample_rate, self.capabilities.input_rate or 16000)
        self._same_rate = input_format.sample_rate == self.capabilities.input_rate
        self._link = BackendLink(
            pipeline.backend, self.id, self._backend_event, self._backend_outage, pipeline.instructions
        )
        self._track: OutgoingTrack
        self._voice: Voice
        self._replies: Replies
        self._owner = LocalOwner(self) if self.settings.owner == "local" else BackendOwner(self)
        self._greeted = pipeline.greeting is None

    # --- what an owner of turns may do (owners.Room) ---

    def now(self) -> float:
        """Call time, seconds."""
        return self._loop.time() - self._zero

    def emit(self, event: Event) -> None:
        """Publish an event to everyone who subscribed."""
        for observer in self._pipeline.observers:
            try:
                observer(event)
            except Exception:
                logger.exception("An observer of the call's events failed on %s", event.kind)

    def hook(self, name: str, *arguments: object) -> None:
        """Start a hook of the pipeline."""
        self._hooks.start(name, *arguments)

    def put(self, entry: port.Entry) -> None:
        """Pass an entry to the backend."""
        self._link.put(entry)

    def for_backend(self, samples: Samples) -> Samples:
        """Audio at the backend's rate."""
        return samples if self._same_rate else self._resampler.process(samples)

    def cut(self) -> Heard | None:
        """Interrupt every reply; what was heard of the one playing."""
        return self._replies.interrupt()

    def pause(self) -> None:
        """Hold the replies."""
        self._voice.pause()

    def resume(self) -> None:
        """Let the replies go on."""
        self._voice.resume()

    def paused(self) -> bool:
        """Whether the replies are being held."""
        return self._voice.paused

    def bot_speaks(self) -> bool:
        """Whether a reply is under way."""
        return self._voice.active

    def current_reply(self) -> str | None:
        """The reply under way."""
        return self._voice.current

    def anyone_in_speech(self) -> bool:
        """Whether any microphone follows a sound."""
        return any(microphone.machine.in_speech for microphone in self._roster.microphones)

    # --- what the voice tells (voice.VoiceListener) ---

    def first_audio(self, reply: str) -> None:
        """The first chunk of a reply is on the wire."""
        self.emit(events.ReplyFirstAudio(self.now(), reply))

    def reply_played(self, heard: Heard) -> None:
        """The last sample of a reply has been played."""
        self._replies.played(heard)

    def voice_failed(self, error: Exception) -> None:
        """The track can no longer be written to."""
        self._fail(error)

    # --- running ---

    async def run(self) -> None:
        """Run until stopped, or until the session or the backend ends.

        Raises:
            SessionError: The media server ended the session.
            BackendError: The backend failed for good.
        """
        async with self._voice_on_air():
            self._owner_ready()
            unsubscribe = Ticker.shared().subscribe(self._tick)
            tasks: list[asyncio.Future[Any]] = [
                self._loop.create_task(self._receive(), name=f"receive-{self.id}"),
                self._loop.create_task(self._link.run(), name=f"backend-{self.id}"),
                self._loop.create_task(self._stop.wait(), name=f"stop-{self.id}"),
            ]
            self._roster.open()
            self._hooks.start("on_start")
            try:
                await asyncio.wait([*tasks, self._broken], return_when=asyncio.FIRST_COMPLETED)
                self._raise_first(tasks)
            finally:
                unsubscribe()
                self._roster.close()
                for microphone in self._roster.microphones:
                    microphone.end("outage")
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._replies.interrupt()
                self._hooks.start("on_stop")
                await self._hooks.finish()

    def _raise_first(self, tasks: Sequence[asyncio.Future[Any]]) -> None:
        for task in (*tasks, self._broken):
            if task.done():
                error = task.exception()
                if isinstance(error, BackendError):
                    self.emit(events.BackendFailure(self.now(), str(error), "backend", retryable=False))
                if error is not None:
                    raise error

    @asynccontextmanager
    async def _voice_on_air(self) -> AsyncIterator[None]:
        source = self.capabilities.output_rate or 24000
        rate = track_rate(self.capabilities, self._pipeline.playout)
        options = OutgoingAudioTrackOptions(sample_rate=rate, metadata=dict(AGENT_MARK))
        try:
            async with asyncio.timeout(TRACK_DEADLINE):
                track = await self._session.add_track(options)
        except TimeoutError as error:
            raise SessionError(
                f"the media server did not take the bot's track within {TRACK_DEADLINE:g} s"
            ) from error
        self._track = track
        self._own_tracks.add(track.id)
        self._voice = Voice(track, rate, source, self._pipeline.playout, self)
        self._replies = Replies(self._voice, self.now, self.emit, self.hook)
        try:
            yield
        finally:
            await self._voice.close()

    def _owner_ready(self) -> None:
        self._replies.verdicts = self._owner

    async def _receive(self) -> None:
        # A session may offer `listen` (`fishjam.AgentSession` does): no task has to wake up for each frame.
        listen = getattr(self._session, "listen", None)
        try:
            if listen is not None:
                await listen(self._message)
                return
            async for message in self._session.receive():
                self._message(message)
        except FishjamAgentsError:
            raise
        except Exception as error:
            raise SessionError(
                f"the media server ended the session ({error}): start the bot again"
            ) from error

    def _message(self, message: Any) -> None:
        if hasattr(message, "peer_id"):
            self._hear(message)
        elif hasattr(message, "content_type"):
            self._image(message)
        elif hasattr(message, "outage"):
            self._back(message.outage)

    def _back(self, outage: float) -> None:
        """The session is back after so many seconds without connection; what was said meanwhile is lost."""
        self.emit(events.Outage(self.now(), "agent_socket", round(outage, 3)))
        # A session that reconnects publishes its tracks under new ids.
        self._own_tracks.add(self._track.id)
        for microphone in self._roster.microphones:
            microphone.end("outage")
        if self.capabilities.text:
            note = f"[The connection to the room was lost for {outage:.1f} s: nobody was heard meanwhile.]"
            self._link.put(port.TextEntry(note))

    def _hear(self, frame: Any) -> None:
        now = self._loop.time() - self._zero
        microphone = self._roster.input(frame, now)
        if microphone is None:
            return
        if not microphone.feed(frame.data, now, self._voice.active) and microphone.damaged in (1, 100, 10000):
            message = f"dropped audio of {len(frame.data)} bytes: empty, odd-length or over one second"
            self.emit(events.ErrorRaised(now, message, "input", microphone.peer))

    def _image(self, image: Any) -> None:
        if self.capabilities.images:
            self._link.put(port.ImageEntry(image.data, image.content_type))
        else:
            self.emit(events.BackendWarning(self.now(), "an image was dropped: the backend takes none"))

    def _tick(self, now: float) -> None:
        self._voice.pump(now)
        for microphone in self._roster.microphones:
            microphone.silence(now - self._zero)
        self._owner.tick()

    # --- peers ---

    def _make_microphone(self, peer: str, track: str) -> Microphone:
        stages = self._pipeline.make_stages()
        return Microphone(
            peer, track, self._format, self.settings, stages, self._owner.deliver, self._stage_failed
        )

    def _stage_failed(self, microphone: Microphone, stage: Stage, error: Exception) -> None:
        logger.error(
            "Stage %s failed for %s and is left out", type(stage).__name__, microphone.peer, exc_info=error
        )
        message = f"stage {type(stage).__name__} failed ({error!r}) and is left out for this microphone"
        self.emit(events.ErrorRaised(self.now(), message, "stage", microphone.peer))
        self.hook("on_error", error)

    def _peer_joined(self, peer: str) -> None:
        self.emit(events.PeerJoined(self.now(), peer))
        self.hook("on_peer_joined", peer)
        if not self._greeted and self._pipeline.greeting is not None:
            self._greeted = True
            self._replies.play(self._pipeline.greeting)

    def _peer_left(self, peer: str) -> None:
        self.emit(events.PeerLeft(self.now(), peer))
        self.hook("on_peer_left", peer)

    # --- backend and hooks ---

    def _backend_event(self, event: port.BackendEvent) -> None:
        try:
            self._replies.handle(event)
        except Exception as error:
            logger.exception("An event of the backend could not be handled: %s", type(event).__name__)
            self.emit(events.ErrorRaised(self.now(), f"{type(event).__name__}: {error!r}", "backend"))

    def _backend_outage(self, seconds: float) -> None:
        self.emit(events.Outage(self.now(), "backend", round(seconds, 3)))

    def _hook_failed(self, name: str, error: Exception) -> None:
        self.emit(events.ErrorRaised(self.now(), f"{name} failed: {error!r}", name))
        if name != "on_error":
            self.hook("on_error", error)

    def _fail(self, error: Exception) -> None:
        if not self._broken.done():
            wrapped = error
            if not isinstance(error, FishjamAgentsError):
                wrapped = SessionError(
                    f"the media server takes no audio any more ({error}): start the bot again"
                )
            self._broken.set_exception(wrapped)

    # --- actions ---

    @property
    def replies(self) -> Replies:
        """The replies of this call."""
        return self._replies

    def interrupt(self) -> Heard | None:
        """End the replies under way, as a confirmed barge-in does."""
        return self._owner.confirm()

    async def capture_image(self, track: str) -> None:
        """Ask for a still of a video track; it goes to the backend when it comes."""
        async with asyncio.timeout(TRACK_DEADLINE):
            await self._session.capture_image(track)

    def stop(self) -> None:
        """End the call."""
        self._stop.set()

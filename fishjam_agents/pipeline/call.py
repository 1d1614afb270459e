"""A running call: ears, backend and voice of one bot, wired together."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import uuid
from collections.abc import Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from fishjam_agents import events
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.resampling import live_resampler
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.backends.tracebacks import defined_at, of_a_user, raised_at
from fishjam_agents.errors import BackendError, FishjamAgentsError, SessionError
from fishjam_agents.events import EndReason, Event, Heard
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.pipeline.actions import Actions
from fishjam_agents.pipeline.background_audio import Watcher, add_background_audio
from fishjam_agents.pipeline.hooks import Hooks
from fishjam_agents.pipeline.idle import IdleWatch
from fishjam_agents.pipeline.names import Names
from fishjam_agents.pipeline.out_of_band import OutOfBandRequests
from fishjam_agents.pipeline.publish_track import publish_track
from fishjam_agents.pipeline.replies import Replies
from fishjam_agents.pipeline.room_audio import RoomAudio
from fishjam_agents.pipeline.tools import CallTools
from fishjam_agents.pipeline.turn_taking.backend import BackendTurnController
from fishjam_agents.pipeline.turn_taking.crosstalk import CrossTalk
from fishjam_agents.pipeline.turn_taking.local import LocalTurnController
from fishjam_agents.pipeline.turn_taking.per_peer import PerPeerTurnController
from fishjam_agents.pipeline.turn_taking.push_to_talk import PushToTalkButtons, PushToTalkTurnController
from fishjam_agents.pipeline.vision_input import VisionInput
from fishjam_agents.playout.ticker import Ticker
from fishjam_agents.session import OutgoingTrack, RoomView, Session
from fishjam_agents.turns.policy_answers import PolicyError

if TYPE_CHECKING:
    from fishjam_agents.pipeline.agent import AgentPipeline

logger = logging.getLogger(__name__)

LAST_WORDS = 30.0
"""Seconds that may be left to hear when the model has ended the conversation."""


class Call(Actions):
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
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        self._stop = asyncio.Event()
        self._end_reason: EndReason | None = None
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._hooks = Hooks(pipeline, pipeline.hook_base, self._hook_failed)
        self._rate = input_format.sample_rate
        self.for_backend = self.resampler()
        self.speaker_notes = pipeline.hearing.speaker_notes
        self.name = Names(room)
        self._turns = itertools.count(1)
        self._track: OutgoingTrack
        self._buttons: PushToTalkButtons | None = None
        hearing = pipeline.hearing
        if hearing.mode == "per_peer":
            anybody = hearing.interrupts == "anybody"
            self._owner = PerPeerTurnController(self, self._connect, hearing.max_sessions, anybody)
            self._link = self._owner.sessions
        else:
            self._owner = self._sole_owner(room)
            self._link = self._connect(self.backend_event)
        deliver = self._owner.deliver
        self._crosstalk: CrossTalk | None = None
        if self.settings.mode == "local" and hearing.mode != "mix":
            self._crosstalk = CrossTalk(deliver)
            deliver = self._crosstalk.deliver
        self._ears = RoomAudio(self, pipeline, session, input_format, room, deliver, self._zero)
        self.eyes = VisionInput(self, pipeline.vision, session, room)
        self.tools = CallTools(self, pipeline, self._owner.caller)
        self.questions = OutOfBandRequests(self.send_text)
        self._watchers: list[Watcher] = []
        self._visited = False
        self._present: set[str] = set()
        self._greeted = pipeline.greeting is None

    def _sole_owner(self, room: RoomView | None) -> LocalTurnController | BackendTurnController:
        if self.settings.mode == "backend":
            return BackendTurnController(self)
        if self.settings.mode == "local":
            return LocalTurnController(self)
        owner = PushToTalkTurnController(self)
        if room is not None:
            self._buttons = PushToTalkButtons(room, owner.press, owner.release)
        return owner

    @property
    def connecting(self) -> bool:
        """True while its backend has not been connected yet. Sessions of peers come and go with them."""
        return isinstance(self._link, BackendLink) and not self._link.connected.is_set()

    def _connect(self, emit: Callable[[port.BackendEvent], None]) -> BackendLink:
        pipeline = self._pipeline
        owner: Literal["local", "backend"] = "backend" if self.settings.mode == "backend" else "local"
        instructions = pipeline.instructions
        return BackendLink(pipeline.backend, self.id, emit, self._backend_outage, instructions, owner)

    # --- what an owner of turns may do (room.Room) ---

    def now(self) -> float:
        """Call time, seconds."""
        return self._loop.time() - self._zero

    def emit(self, event: Event) -> None:
        """Publish an event to everyone who subscribed."""
        for watcher in self._watchers:
            watcher.event(event)
        for observer in self._pipeline.observers:
            try:
                observer(event)
            except Exception as error:
                at = raised_at(error, foreign=True)
                logger.exception("An observer of the call's events failed on %s at %s", event.kind, at)

    def watch(self, watcher: Watcher) -> None:
        """Have something follow the call from now on."""
        self._watchers = [*self._watchers, watcher]

    def unwatch(self, watcher: Watcher) -> None:
        """Let it follow the call no longer."""
        self._watchers = [kept for kept in self._watchers if kept is not watcher]

    def hook(self, name: str, *arguments: object) -> None:
        """Start a hook of the pipeline."""
        self._hooks.start(name, *arguments)

    def put(self, entry: port.BackendInput) -> None:
        """Pass an entry to the backend."""
        self._link.put(entry)

    def resampler(self) -> Callable[[Samples], Samples]:
        """Return a function that resamples the room's audio to the backend's rate; one for each voice."""
        rate = self.capabilities.input_rate or 16000
        return _as_it_is if rate == self._rate else live_resampler(self._rate, rate).process

    def interrupt_replies(self, everything: bool = False) -> Heard | None:
        """Interrupt every reply that may be, and tell the backend; what was heard of the one playing."""
        return self._replies.interrupt(everything=everything)

    def pause(self) -> None:
        """Hold the replies."""
        self._voice.pause()

    def resume(self) -> None:
        """Let the replies go on."""
        self._voice.resume()

    def paused(self) -> bool:
        """Return whether the replies are being held."""
        return self._voice.paused

    def bot_speaks(self) -> bool:
        """Return whether a reply is under way."""
        return self._voice.active

    def current_reply(self) -> str | None:
        """The reply under way."""
        return self._voice.current

    def anyone_in_speech(self, but: Container[Microphone] = ()) -> bool:
        """Whether any microphone but these follows a sound that is not known as noise."""
        return any(m.machine.announced and m not in but for m in self._ears.microphones)

    def next_turn(self) -> str:
        """An id for a turn, unique in the call."""
        return f"turn-{next(self._turns)}"

    @property
    def microphones(self) -> Iterable[Microphone]:
        """Every microphone that is heard."""
        return self._ears.microphones

    def sounds(self, reply: str) -> bool:
        """Return whether a live reply has begun to sound."""
        return self._voice.sounds(reply)

    def may_interrupt(self, peer: str | None) -> bool:
        """Return whether a peer's speech now is said over the bot. Called only while a reply is under way."""
        return self._owner.may_interrupt(peer)

    # --- what the voice tells (voice.AudioOutputListener) ---

    def first_audio(self, reply: str) -> None:
        """The first chunk of a reply is on the wire."""
        self.emit(events.ReplyFirstAudio(self.now(), reply))

    def reply_played(self, heard: Heard) -> None:
        """The last sample of a reply has been played."""
        self._replies.played(heard)

    def output_failed(self, error: Exception) -> None:
        """The track can no longer be written to."""
        self._fail(error)

    # --- running ---

    async def run(self) -> None:
        """Run until stopped, or until the session or the backend ends.

        Raises:
            SessionError: The media server ended the session.
            BackendError: The backend failed for good.
        """
        playout = self._pipeline.playout
        async with publish_track(self._session, self.capabilities, playout, self) as (
            self._track,
            self._voice,
        ):
            self._ears.own_tracks.add(self._track.id)
            self._replies = Replies(
                self._voice, self.now, self.emit, self.hook, self._tell_cut, self.settings.policies
            )
            self._replies.turn_listener = self._owner
            if isinstance(self._owner, PerPeerTurnController):
                self._replies.addressee = self._owner.addressee
                self._voice.ask(self._owner.may_begin)
            self._watchers = [
                *self._watchers,
                *add_background_audio(self._pipeline.background_audio, self._voice),
            ]
            if self._pipeline.idle.after is not None:
                self.watch(self._silence_watch())
            recorder = self._pipeline.recorder
            hearing = self._pipeline.hearing
            record = None if recorder is None else recorder.open(self.id, self.settings, hearing)
            unsubscribe = Ticker.shared().subscribe(self._tick)
            tasks: list[asyncio.Future[Any]] = [
                self._loop.create_task(self._ears.receive(), name=f"receive-{self.id}"),
                self._loop.create_task(self._think(), name=f"backend-{self.id}"),
                self._loop.create_task(self._stop.wait(), name=f"stop-{self.id}"),
            ]
            self.emit(events.CallStarted(self.now()))
            self._ears.open(self._voice, record)
            if self._buttons is not None:
                self._buttons.open()
            self._hooks.start("on_start")
            failure: Exception | None = None
            try:
                await asyncio.wait([*tasks, self._broken], return_when=asyncio.FIRST_COMPLETED)
                self._raise_first(tasks)
                await self._end_in_order(tasks)
            except Exception as error:
                failure = error
                raise
            finally:
                unsubscribe()
                if self._buttons is not None:
                    self._buttons.close()
                self._ears.close()
                if record is not None:
                    record.close(self.now())
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self.eyes.close()
                self._replies.close()
                self.questions.close()
                self._tell_end(failure)
                self._hooks.start("on_stop")
                await asyncio.gather(self._hooks.finish(), self.tools.close())

    def _tell_end(self, failure: Exception | None) -> None:
        reason = self._end_reason or "stopped"
        if failure is not None:
            kinds: dict[type[Exception], EndReason] = {
                BackendError: "backend_failure",
                SessionError: "session_lost",
            }
            reason = next((reason for kind, reason in kinds.items() if isinstance(failure, kind)), "error")
        self.emit(events.CallEnded(self.now(), reason, None if failure is None else str(failure)))

    async def _end_in_order(self, tasks: Sequence[asyncio.Future[Any]]) -> None:
        """Let the app ask the model a last time; nobody is heard and the bot is silent meanwhile."""
        if not self._stop.is_set() or self.connecting or not self._hooks.has("on_ending"):
            return
        self._shut(True)
        self._replies.muted = True
        self.interrupt()
        ending = self._loop.create_task(self._hooks.ending(), name=f"ending-{self.id}")
        lost = [task for task in tasks if not task.done()]
        try:
            # Without session or model there is nothing to wait for.
            await asyncio.wait([ending, self._broken, *lost], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def _think(self) -> None:
        self._link.tools = await self.tools.open()
        try:
            reason = await self._link.run()
        except BackendError as error:
            self.emit(events.BackendFailure(str(error), error.failure, False, at=self.now()))
            apology = self._pipeline.apology
            if apology is not None and self._visited:
                self._replies.play(apology, interruptible=False)
                await self._last_words()
            raise
        self.emit(events.BackendEnded(self.now(), reason))
        self._end_reason = self._end_reason or "model"
        await self._last_words()

    async def _last_words(self) -> None:
        """Wait until what is to be said has been played."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                while (speech := self._replies.current) is not None:
                    await speech

    def _raise_first(self, tasks: Sequence[asyncio.Future[Any]]) -> None:
        for task in (*tasks, self._broken):
            if task.done():
                error = task.exception()
                if error is not None:
                    raise error

    def _tick(self, now: float) -> None:
        try:
            self._tick_parts(now)
        except Exception as error:  # noqa: BLE001 - a call that stands still would be worse than its end
            self.failed_inside(error)

    def failed_inside(self, error: Exception) -> None:
        """Something raised where nothing may: a policy or a detector of the user's, or a bug of ours."""
        if isinstance(error, FishjamAgentsError):
            self._fail(error)
            return
        logger.error("The call cannot go on", exc_info=error, extra={"call": self.id})
        if isinstance(error, PolicyError):
            self._fail(FishjamAgentsError(f"{error}{defined_at(error.method)}; the call cannot go on"))
            return
        whose = "a policy or detector of yours" if of_a_user(error) else "a part of the bot"
        at = raised_at(error, foreign=True)
        told = FishjamAgentsError(
            f"{whose} failed ({error!r}, raised at {at}): mend it, the call cannot go on"
        )
        told.__cause__ = error
        self._fail(told)

    def _tick_parts(self, now: float) -> None:
        self._voice.pump(now)
        self._ears.tick(now)
        self.eyes.tick(now)
        self._owner.tick()
        for watcher in self._watchers:
            watcher.tick(now - self._zero)

    def _silence_watch(self) -> IdleWatch:
        pipeline = self._pipeline
        return IdleWatch(pipeline.idle, pipeline, self, self.emit, self.hook, self._hooks.run)

    def busy(self) -> bool:
        """Whether the bot speaks, or nobody would be heard."""
        return self._ears.closed or self._voice.active

    def anyone_in_turn(self) -> bool:
        """Whether anybody has a turn."""
        return any(microphone.machine.turn_open for microphone in self._ears.microphones)

    # --- what the ears tell ---

    @property
    def track_id(self) -> str:
        """Id of the bot's track as it is now."""
        return self._track.id

    def peer_joined(self, peer: str) -> None:
        """A peer is there."""
        self._visited = True
        self._present.add(peer)
        self._replies.unattended = False
        self.emit(events.PeerJoined(self.now(), peer))
        self.hook("on_peer_joined", peer)
        if not self._greeted and self._pipeline.greeting is not None:
            self._greeted = True
            self._replies.play(self._pipeline.greeting)

    def peer_left(self, peer: str) -> None:
        """A peer is gone."""
        self.emit(events.PeerLeft(self.now(), peer))
        self.hook("on_peer_left", peer)
        self._owner.left(peer)
        if self._crosstalk is not None:
            self._crosstalk.left(peer)
        self._present.discard(peer)
        if not self._present:
            # Whoever comes next is not to hear what another one was told.
            self._replies.unattended = True
            self.interrupt()

    # --- backend and hooks ---

    def backend_event(self, event: port.BackendEvent) -> None:
        """Take an event of a backend session; synchronous, and never raises."""
        try:
            if isinstance(event, (port.ToolCall, port.ToolCallCancelled)):
                self.tools.handle(event)
            elif isinstance(event, port.OutOfBandResponse):
                self.questions.answered(event)
            else:
                self._replies.handle(event)
            # A transcript that comes after its turn would be taken for that of the next sound.
            if isinstance(event, port.UserTranscript) and self.capabilities.transcripts:
                self.understood(event.text, event.final, event.peer)
        except Exception as error:
            if of_a_user(error):
                self.failed_inside(error)
                return
            logger.exception("An event of the backend could not be handled: %s", type(event).__name__)
            self.emit(events.ErrorRaised(self.now(), f"{type(event).__name__}: {error!r}", "backend"))

    def _tell_cut(self, heard: Heard | None) -> None:
        if self.capabilities.truncate or self.capabilities.cancel:
            self.put(port.InterruptInput(heard))

    def _backend_outage(self, seconds: float) -> None:
        self.emit(events.Outage(self.now(), "backend", round(seconds, 3)))

    def _hook_failed(self, name: str, error: Exception) -> None:
        self.emit(
            events.ErrorRaised(
                self.now(), f"failed: {error!r}, raised at {raised_at(error, foreign=True)}", name
            )
        )
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


def _as_it_is(samples: Samples) -> Samples:
    return samples

"""A running call: the composition of its parts, the dispatch of backend events, and its course."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.backends.vendors import VendorUse
from fishjam_agents.errors import BackendError, FishjamAgentsError, SessionError
from fishjam_agents.events import EndReason, Heard
from fishjam_agents.pipeline.audio_health import LATE, AudioHealth
from fishjam_agents.pipeline.awaited_reply import AwaitedReply
from fishjam_agents.pipeline.backend_events import BackendEvents
from fishjam_agents.pipeline.background_audio import add_background_audio
from fishjam_agents.pipeline.bot import Bot
from fishjam_agents.pipeline.call_recording import CallRecording
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.continuation import Continuation
from fishjam_agents.pipeline.conversation_record import ConversationRecord
from fishjam_agents.pipeline.enrichment import EnrichingSink, Enrichment
from fishjam_agents.pipeline.goodbye import Goodbye
from fishjam_agents.pipeline.handoffs import CallHandoffs
from fishjam_agents.pipeline.idle_watch import IdleWatch
from fishjam_agents.pipeline.journal_watcher import JournalWatcher, begin_journal
from fishjam_agents.pipeline.out_of_band import OutOfBandRequests
from fishjam_agents.pipeline.overload import watch_overload
from fishjam_agents.pipeline.ports import run_from_any_thread
from fishjam_agents.pipeline.presence import Presence
from fishjam_agents.pipeline.publish_track import track_rate
from fishjam_agents.pipeline.replies import Replies
from fishjam_agents.pipeline.room_audio import RoomAudio
from fishjam_agents.pipeline.speech_handle import SpeechHandle
from fishjam_agents.pipeline.spoken_words import Apology, greet
from fishjam_agents.pipeline.switches import Switches
from fishjam_agents.pipeline.tool_payloads import ToolPayloads
from fishjam_agents.pipeline.tools import CallTools
from fishjam_agents.pipeline.turn_taking.choice import make_turns
from fishjam_agents.pipeline.turn_taking.crosstalk import CrossTalk
from fishjam_agents.pipeline.turn_taking.peer_sessions import PeerSessions
from fishjam_agents.pipeline.turn_taking.push_to_talk import PushToTalkButtons, PushToTalkTurnController
from fishjam_agents.pipeline.vision_input import VisionInput
from fishjam_agents.playout.audio_output import AudioOutput
from fishjam_agents.playout.ticker import Ticker
from fishjam_agents.session import OutgoingTrack, RoomView, Session
from fishjam_agents.tools.tool import Tool

logger = logging.getLogger(__name__)

LAST_WORDS = 30.0
"""Seconds that may be left to hear when the model has ended the conversation."""


class Call:
    """One run of a bot in one room.

    Args:
        bot: The user's bot.
        context: The call, as its parts know it.
        session: The connection to the room.
        track: The bot's track.
        room: What is known of the room, or None.

    Attributes:
        output: Output of the bot's audio.
        replies: Its replies.
        turns: The turn controller.
        vision: Pictures for the backend.
        audio: The room's audio.
        switches: Switches of voice and listening.
        tools: Tools of the model.
        handoffs: Its bots, of which another one may go on.
        questions: Questions beside the conversation.
    """

    def __init__(
        self, bot: Bot, context: CallContext, session: Session, track: OutgoingTrack, room: RoomView | None
    ) -> None:
        self._bot = bot
        self._bots: list[Bot] = []
        self._context = context
        capabilities, playout = context.capabilities, bot.playout
        source = capabilities.output_rate or 24000
        self.output = AudioOutput(track, track_rate(session, capabilities, playout), source, playout, self)
        self._journaled: JournalWatcher | None = None
        self._enrichment = Enrichment(context)
        self._link = self._make_link()
        self.replies = Replies(context, self.output, self._link, self._reply_begins, self._addressee)
        sink = EnrichingSink(self._enrichment, self._link, context.hooks.run, self._asks_itself)
        self.turns = make_turns(context, self.replies, self._link, sink, self.output)
        deliver = self.turns.deliver
        crosstalk: CrossTalk | None = None
        if context.turns.mode == "local" and context.hearing.mode != "mix":
            crosstalk = CrossTalk(deliver)
            deliver = crosstalk.deliver
        if bot.journal is not None:
            self._journaled = begin_journal(context, bot, bot.journal, self.replies, track)
        self._presence = Presence(context, self.replies, self.turns, crosstalk, self._greet)
        self._apology = Apology(bot.apology, bot.backend, self._warn)
        self.vision = VisionInput(context, bot.vision, session, room, self._link)
        recorder = bot.recorder
        self._record = None
        if recorder is not None:
            self._record = recorder.open(context.id, context.turns, context.hearing, context.redact)
        self._recording: CallRecording | None = None
        if bot.sound_recorder is not None:
            self._recording = CallRecording(context, bot.sound_recorder, self.output)
        self.audio = RoomAudio(
            *(context, session, room, track, self.output, self._record, bot.make_stages, self._link),
            deliver=deliver,
            may_interrupt=self.turns.may_interrupt,
            joined=self._presence.joined,
            left=self._presence.left,
            take_image=self.vision.image,
            record=None if self._recording is None else self._recording.heard,
        )
        self.switches = Switches(context, self.replies, self.output, self.audio, self.turns)
        offered = (bot, bot.tools, bot.mcp)
        payloads = ToolPayloads(bot.tool_payloads, context.redactor)
        self._record_of_words = ConversationRecord(context, self.replies, self._earlier)
        self.tools = CallTools(
            *(context, *offered, self._link, self.send_text, self.turns.caller, payloads),
            journal=bot.journal,
            record=self._record_of_words,
            hand_over=lambda handoff: self.handoffs.hand_over(handoff),
        )
        parts = (self._link, self.tools, self._record_of_words)
        self.handoffs = CallHandoffs(bot, context, *parts, self._taken_over)
        if self._earlier is not None and self._earlier.bot is not None:
            self.handoffs.resume(self._earlier.bot, self._earlier.instructions)
        self.questions = OutOfBandRequests(self.send_text)
        takers = (self.replies, self.turns, self.audio, self.tools, self.questions)
        self._backend_events = BackendEvents(context, *takers)
        self._buttons: PushToTalkButtons | None = None
        if room is not None and isinstance(self.turns, PushToTalkTurnController):
            self._buttons = PushToTalkButtons(room, self.turns.press, self.turns.release)
        self._goodbye: Goodbye | None = None
        self._ticker = Ticker.shared()
        self._health = AudioHealth(context.emit, self.output, lambda: self._link.dropped, self._ticker)
        for watcher in add_background_audio(bot.background_audio, self.output):
            context.events.watch(watcher)
        if bot.idle.after is not None:
            context.events.watch(IdleWatch(context, bot.idle, bot, self.audio))

    @property
    def _earlier(self) -> PastConversation | None:
        """Messages of before this process served the call."""
        journal = self._bot.journal
        # Sessions of peers begin anew: a conversation of several is none of them.
        return None if journal is None or self._context.hearing.mode == "per_peer" else journal.earlier

    def _make_link(self) -> BackendLink | PeerSessions:
        hearing = self._context.hearing
        if hearing.mode == "per_peer":
            return PeerSessions(self._connect, hearing.max_sessions, self.take_event)
        return self._connect(self.take_event)

    def _connect(self, emit: Callable[[port.BackendEvent], None]) -> BackendLink:
        mode: Literal["local", "backend"] = "backend" if self._context.turns.mode == "backend" else "local"
        backend, instructions = self._bot.backend, self._bot.instructions
        return BackendLink(
            *(backend, self._context.id, emit, self._backend_outage, instructions, mode, self._earlier),
            keep_handle=self._keep_handle,
            vendors=VendorUse(self._bot.vendors),
            lost=self._backend_lost,
            replaced=self._end_unfinished,
            enrich=self._enrichment.text,
        )

    def _asks_itself(self) -> bool:
        return self.handoffs.backend.capabilities.enriches

    def _end_unfinished(self) -> None:
        self.replies.end_unfinished()

    def _taken_over(self, bot: Bot, name: str, instructions: str | None) -> None:
        self._bots.append(bot)
        bot._attach(self._context, self)
        if self._journaled is not None:
            self._journaled.changed(name, type(bot.backend).__name__, instructions)

    def release(self) -> None:
        """Let the bots go that went on with the call."""
        for bot in self._bots:
            bot._attach(None, None)

    def _keep_handle(self, handle: str) -> None:
        if self._journaled is not None and isinstance(self._link, BackendLink):
            self._journaled.handle_came(handle)

    # --- the app ---

    @property
    def is_connecting(self) -> bool:
        """True while its backend has not been connected yet. Sessions of peers come and go with them."""
        return isinstance(self._link, BackendLink) and not self._link.connected.is_set()

    @property
    def push_to_talk(self) -> PushToTalkTurnController:
        """The turn controller of a call in which turns are opened by hand.

        Raises:
            FishjamAgentsError: They are not.
        """
        if not isinstance(self.turns, PushToTalkTurnController):
            mode = self._context.turns.mode
            raise FishjamAgentsError(
                f"turns.mode is {mode!r}: set it to 'push_to_talk' to open turns by hand"
            )
        return self.turns

    def await_reply(self, speech: SpeechHandle) -> None:
        """Watch over a reply that the model was asked for."""
        self._context.events.watch(AwaitedReply(self._context, self.replies, speech, self.audio))

    def update(
        self, instructions: str | None, tools: Sequence[Callable[..., Any] | Tool] | None = None
    ) -> None:
        """Give the model new instructions or tools; from whichever thread."""
        if self._journaled is not None and instructions is not None:
            self._journaled.instructed(instructions)
        run_from_any_thread(self._context.loop, self._update, instructions, tools)

    def _update(self, instructions: str | None, tools: Sequence[Callable[..., Any] | Tool] | None) -> None:
        bot = self.handoffs.active
        declared = None if tools is None else self.tools.offer(bot, tools, bot.mcp)
        self._link.put(port.UpdateInput(instructions, declared))

    def become(self, bot: Bot, name: str, summary: str) -> None:
        """Let another bot go on, at once unless it brings MCP servers along; from whichever thread."""
        run_from_any_thread(self._context.loop, self._become, bot, name, summary)

    def _become(self, bot: Bot, name: str, summary: str) -> None:
        if bot.mcp:
            self._context.hooks.run(self.handoffs.connect_and_become(bot, name, summary), "become")
        else:
            self.handoffs.become(bot, name, summary)

    def _warn(self, message: str) -> None:
        self._context.emit(events.BackendWarning(message, at=self._context.now()))

    def _greet(self) -> None:
        if self._earlier is None:
            greet(self._bot, self.replies)

    def put(self, entry: port.BackendInput) -> None:
        """Pass an entry to the backend."""
        self._link.put(entry)

    def send_text(self, entry: port.TextInput | port.OutOfBandInput, peer: str | None) -> None:
        """Pass text to the backend, or to a peer's session of it.

        Raises:
            BackendError: The peer has no session.
        """
        is_said = isinstance(entry, port.TextInput) and entry.reply is None and not entry.note
        if is_said:
            self._record_of_words.written(entry.text, peer)
            if self._journaled is not None:
                self._journaled.written(entry.text, peer)
        if isinstance(self._link, PeerSessions):
            self._link.send_text(entry, peer)
        else:
            self._link.put(entry)

    def submit_text(self, text: str, peer: str | None) -> None:
        """Take what a person wrote: what the bot says to them ends, and the backend answers.

        Raises:
            BackendError: The peer has no session.
        """
        if isinstance(self._link, PeerSessions):
            self._link.verify_session(peer)
        self.turns.written(peer)
        self._context.emit(events.UserText(self._context.now(), text, peer))
        self.send_text(port.TextInput(text), peer)

    def end_after_goodbye(self) -> None:
        """End the call when what the bot says has been heard, and what it says within a moment from now.

        Who interrupts the goodbye, or speaks before the call has ended and is answered, calls that off.
        """
        stream = self._context.events
        if self._goodbye is not None:
            stream.unwatch(self._goodbye)
        self._goodbye = Goodbye(self._context, self.replies, self.audio, self._link)
        stream.watch(self._goodbye)

    # --- the audio output (audio_output.AudioOutputListener) ---

    def first_audio(self, reply: str) -> None:
        """Tell that the first chunk of a reply is on the wire."""
        self._context.emit(events.ReplyFirstAudio(self._context.now(), reply))

    def reply_played(self, heard: Heard) -> None:
        """Take notice that the last sample of a reply has been played."""
        self.replies.played(heard)

    def output_failed(self, error: Exception) -> None:
        """End the call: the track can no longer be written to."""
        self._context.end.fail(error)

    # --- the backend ---

    def take_event(self, event: port.BackendEvent, peer: str | None = None) -> None:
        """Take an event of a backend session; synchronous, and never raises.

        Args:
            event: The event.
            peer: Whose session it is; None where all share one.
        """
        self._backend_events.take(event, peer)

    def _reply_begins(self, asked: bool) -> None:
        self.turns.reply_begins(asked)

    def _addressee(self, reply: str) -> str | None:
        return self.turns.addressee(reply)

    def _backend_lost(self) -> None:
        self._context.emit(events.ConnectionLost(self._context.now(), "backend"))

    def _backend_outage(self, seconds: float) -> None:
        self._context.emit(events.Outage(self._context.now(), "backend", round(seconds, 3)))

    # --- its course ---

    async def run(self) -> None:
        """Run until stopped, or until the session or the backend ends.

        Raises:
            SessionError: The media server ended the session.
            BackendError: The backend failed for good.
        """
        context = self._context
        unsubscribe = self._ticker.subscribe(self._tick)
        tasks: list[asyncio.Future[Any]] = [
            context.loop.create_task(self.audio.receive(), name=f"receive-{context.id}"),
            context.loop.create_task(self._converse(), name=f"backend-{context.id}"),
            context.loop.create_task(context.end.requested(), name=f"stop-{context.id}"),
        ]
        context.emit(events.CallStarted(context.now()))
        leave_load = watch_overload(context)
        failure: Exception | None = None
        try:
            self.audio.open()
            if self._buttons is not None:
                self._buttons.open()
            context.start_hook("on_start")
            if self._recording is not None:
                self._recording.begin()
            await asyncio.wait([*tasks, context.end.failed], return_when=asyncio.FIRST_COMPLETED)
            self._raise_first(tasks)
            await self._run_ending(tasks)
        except Exception as error:
            failure = error
            raise
        finally:
            unsubscribe()
            leave_load()
            if self._buttons is not None:
                self._buttons.close()
            self.audio.close()
            if self._record is not None:
                self._record.close(context.now())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.vision.close()
            if self._journaled is not None:
                self._journaled.end()
            self.replies.close()
            self.questions.close()
            self.handoffs.close()
            self._tell_end(failure)
            context.start_hook("on_stop")
            await asyncio.gather(context.hooks.finish(), self.tools.close())
            await self.output.close()
            if self._recording is not None:
                await self._recording.finish()

    def _tell_end(self, failure: Exception | None) -> None:
        reason = self._context.end.reason or "stopped"
        if failure is not None:
            kinds: dict[type[Exception], EndReason] = {
                BackendError: "backend_failure",
                SessionError: "session_lost",
            }
            reason = next((reason for kind, reason in kinds.items() if isinstance(failure, kind)), "error")
        message = None if failure is None else str(failure)
        self._health.tell(self._context.now())
        self._context.emit(events.CallEnded(self._context.now(), reason, message))

    async def _run_ending(self, tasks: Sequence[asyncio.Future[Any]]) -> None:
        """Let the app ask the model a last time; nobody is heard and the bot is silent meanwhile."""
        context = self._context
        if not context.end.is_requested or self.is_connecting or not context.hooks.has("on_ending"):
            return
        self.switches.close()
        ending = context.loop.create_task(context.hooks.ending(), name=f"ending-{context.id}")
        lost = [task for task in tasks if not task.done()]
        try:
            # Without session or model there is nothing to wait for.
            await asyncio.wait([ending, context.end.failed, *lost], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def _converse(self) -> None:
        context = self._context
        self._link.tools = await self.tools.open()
        continuing = self._begin_continuing()
        preparing = context.loop.create_task(self._apology.prepare(), name=f"apology-{context.id}")
        try:
            reason = await self._link.run()
        except BackendError as error:
            context.emit(events.BackendFailure.of(error, at=context.now()))
            if self._presence.was_visited and (apology := await self._apology.recording()) is not None:
                self.replies.play(apology, interruptible=False)
                await self._finish_speaking()
            raise
        finally:
            asides = [preparing, *([] if continuing is None else [continuing])]
            for task in asides:
                task.cancel()
            await asyncio.gather(*asides, return_exceptions=True)
        context.emit(events.BackendEnded(context.now(), reason))
        context.end.note("model")
        await self._finish_speaking()

    def _begin_continuing(self) -> asyncio.Task[None] | None:
        journal, earlier = self._bot.journal, self._earlier
        if journal is None or earlier is None:
            return None
        continuation = Continuation(
            *(self._context, journal, earlier, self.tools, self._link.put),
            is_visited=self._presence.was_visited,
        )
        return self._context.loop.create_task(continuation.run(), name=f"continuation-{self._context.id}")

    async def _finish_speaking(self) -> None:
        """Wait until what is to be said has been played."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                while (speech := self.replies.current) is not None:
                    await speech

    def _raise_first(self, tasks: Sequence[asyncio.Future[Any]]) -> None:
        for task in (*tasks, self._context.end.failed):
            if task.done():
                error = task.exception()
                if error is not None:
                    raise error

    def _tick(self, now: float) -> None:
        try:
            self.output.pump(now)
            self.audio.tick(now)
            if now >= self.vision.due:
                self.vision.tick(now)
            self.turns.tick()
            at = now - self._context.zero
            for tick in self._context.events.ticks:
                tick(at)
            if at >= self._health.due or self._ticker.lag >= LATE:
                self._health.tick(at)
        except Exception as error:  # noqa: BLE001 - a call that stands still would be worse than its end
            self._context.end.fail_inside(error)

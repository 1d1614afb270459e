"""One connection to Gemini Live: entries to its client, its messages to events."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from fishjam_agents.backends.port import (
    AudioEndedInput,
    AudioInput,
    BackendContext,
    BackendInput,
    BackendSession,
    BackendWarning,
    ControlInput,
    ImageInput,
    InterruptInput,
    OutOfBandInput,
    SessionRefresh,
    SpeechSuspectedInput,
    TextInput,
    ToolCall,
    ToolCallCancelled,
    ToolResultInput,
    TurnCancelledInput,
    TurnEndedInput,
    TurnPausedInput,
    TurnResumedInput,
    TurnStartedInput,
    UpdateInput,
    UserSpeech,
)
from fishjam_agents.backends.response_watchdog import ResponseWatchdog
from fishjam_agents.errors import BackendError
from fishjam_agents.race import race

from .asked_replies import AskedReplies
from .failures import classify, refusal, session_is_gone
from .receiving import receive
from .reconnect_scheduler import ReconnectScheduler
from .replies import Replies
from .session_continuity import SessionContinuity
from .settings import GeminiSettings
from .transcript_buffer import TranscriptBuffer
from .usage import Meter
from .wire import Wire, whole

if TYPE_CHECKING:
    from google.genai.live import AsyncSession


T = TypeVar("T")

_PAUSE = 0.7
"""Seconds without speech after which nobody speaks where the service finds turns: it takes as long for the
end of one."""
_DECLINED = 3
"""Turns in a row without any answer of a model that may decline to answer, which are told of."""


class GeminiSession(BackendSession):
    """A live connection.

    Args:
        settings: The backend.
        context: The call.
        memory: What outlives the connection.
        live: Google's session, set up.
        key: Never repeated in messages.
    """

    def __init__(
        self,
        settings: GeminiSettings,
        context: BackendContext,
        memory: SessionContinuity,
        live: AsyncSession,
        key: str | None,
    ) -> None:
        self._settings = settings
        self._emit = context.emit
        self._keep_handle = context.keep_handle
        self._local = context.turn_mode == "local"
        self._memory = memory
        self._live = live
        self._key = key
        self._loop = asyncio.get_running_loop()
        self._wire = Wire(live, settings, memory, context.emit)
        # Such a model may decline to answer what was not meant for it.
        declines = settings.proactive_audio or settings.family.proactive_audio == "always"
        self._watchdog = ResponseWatchdog(
            "Gemini", settings.answer_timeout, self._ping, self._declined if declines else None
        )
        self._reconnect = ReconnectScheduler(self._quiet)
        self._transcripts = TranscriptBuffer(context.emit, memory)
        words = settings.transcription.output
        self._asked = AskedReplies(memory, context.emit, self._may_be_asked)
        self._replies = Replies(context.emit, memory, words, self._answered, self._asked.begins)
        self._turn_open = False
        self._speech_at = 0.0
        self._speech = False
        self._sending = False
        self._meter = Meter(context.emit, memory, settings.prices)
        self._in_progress = False

    async def begin(self, *, resumed: bool, history: Sequence[tuple[str, str]]) -> None:
        """Tell the service what it cannot know: the history of a new session, then what had no answer.

        Raises:
            BackendError: The connection is lost already.
        """
        if not resumed and history:
            await self._guarded(self._wire.history(history))
        elif not resumed and self._memory.opened > 1:
            self._emit(
                BackendWarning("Gemini has forgotten the conversation: switch transcription on to keep it")
            )
        for item in self._memory.unanswered:
            await self._pass_on(item, again=True)

    # --- what the user says and does ---

    async def send(self, item: BackendInput) -> None:
        """Pass an input on; while the connection is being left, wait for the end instead.

        Raises:
            BackendError: The connection is lost.
            SessionRefresh: It was lost after the service had announced its end.
        """
        if self._reconnect.leaving:
            await asyncio.Future()
        if isinstance(item, TextInput) and item.instructs:
            self._asked.add(item)
            return
        if isinstance(item, InterruptInput) and item.heard is not None and not item.heard.seconds:
            self._asked.takes_back(item.heard.reply)
        if isinstance(item, TextInput) and item.note and self._answering():
            # Content interrupts what is being generated (API reference, BidiGenerateContentClientContent).
            self._memory.notes.append(item)
            return
        self._sending = True
        try:
            if isinstance(item, (TurnStartedInput, TextInput)) or not self._answering():
                await self._tell_notes()
            sent = await self._pass_on(item)
        finally:
            self._sending = False
        # The result of a tool is never sent twice: the model may have acted on it.
        if sent and not isinstance(item, (UpdateInput, ToolResultInput)):
            self._memory.sent(item)

    def _answering(self) -> bool:
        return self._replies.generating or self._in_progress or self._watchdog.owed

    async def _tell_notes(self) -> None:
        notes = self._memory.notes
        while notes:
            if await self._pass_on(notes[0]):
                self._memory.sent(notes[0])
            notes.popleft()

    async def _pass_on(self, item: BackendInput, *, again: bool = False) -> bool:
        match item:
            case AudioInput(peer):
                self._transcripts.peer = peer
                if not self._local:
                    self._listen(item)
            case TurnStartedInput(peer):
                self._turn_open = True
                self._transcripts.peer = peer
                self._watchdog.over()
            case TurnEndedInput():
                self._turn_open = False
                self._replies.asked()
            case UpdateInput():
                if not self._settings.family.context_update:
                    self._reconnect.wish("new instructions")
                    return False
            case AudioEndedInput() | TurnPausedInput() | TurnResumedInput() | TurnCancelledInput():
                pass
            case TextInput() | ImageInput() | InterruptInput() | ToolResultInput():
                pass
            case ControlInput() | OutOfBandInput() | SpeechSuspectedInput():
                pass
            case _:
                assert_never(item)
        sent = await self._guarded(self._wire.pass_on(item, again=again))
        if isinstance(item, TurnEndedInput) or (isinstance(item, TextInput) and not item.note):
            self._watchdog.begin()
        elif sent and isinstance(item, ToolResultInput) and item.scheduling != "silent":
            self._watchdog.begin(counts=False)
        return sent

    def _listen(self, item: AudioInput) -> None:
        """The service decides when a turn ends; that somebody stopped speaking is known here, too."""
        if item.speech:
            self._speech_at, self._speech = self._loop.time(), True
        elif self._speech:
            self._speech = False
            self._watchdog.begin(certain=False, counts=False)

    async def _guarded(self, sending: Coroutine[Any, Any, T]) -> T:
        from websockets.exceptions import ConnectionClosed

        try:
            return await sending
        except (ConnectionClosed, OSError) as error:
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> BackendError | SessionRefresh:
        if session_is_gone(error):
            self._memory.handle = None
        return self._reconnect.instead_of(
            classify(error, model=self._settings.model, opening=False, secret=self._key)
        )

    # --- what the service says ---

    async def read(self) -> None:
        """Read until the connection ends.

        Raises:
            BackendError: It was lost.
            SessionRefresh: It is to be followed by a new one.
        """
        try:
            await race(
                "gemini",
                receive=receive(self._live, self._take, self._emit, self._failure),
                watchdog=self._watchdog.watch(),
                asked=self._asked.watch(self._ask),
                reconnect=self._reconnect.watch(lambda: self._sending),
            )
        finally:
            self._transcripts.flush()
            self._replies.complete()
            self._meter.report()
            if self._reconnect.leaving and not self._reconnect.unfinished:
                self._memory.answered()

    def _take(self, message: Any) -> None:
        # One message may carry all of this at once.
        if message.usage_metadata is not None:
            self._meter.add(message.usage_metadata)
        if message.server_content is not None:
            self._content(message.server_content)
        if message.tool_call is not None:
            self._tools(message.tool_call.function_calls or [])
        if message.tool_call_cancellation is not None:
            for call in message.tool_call_cancellation.ids or []:
                self._memory.cancel(call)
                self._emit(ToolCallCancelled(call))
        if message.session_resumption_update is not None:
            self._resumable(message.session_resumption_update)
        if message.voice_activity is not None:
            self._activity(str(getattr(message.voice_activity.voice_activity_type, "value", "")))
        if message.voice_activity_detection_signal is not None:
            signal = message.voice_activity_detection_signal.vad_signal_type
            self._activity(str(getattr(signal, "value", "")))
        if message.go_away is not None:
            self._reconnect.announced(message.go_away.time_left)

    def _content(self, content: Any) -> None:
        self._reconnect.busy()
        if content.input_transcription is not None:
            self._transcripts.add(
                content.input_transcription.text or "", bool(content.input_transcription.finished)
            )
        # An interruption bundled with content is the end of what came before.
        if content.interrupted:
            self._replies.interrupted()
            self._asked.over()
            self._watchdog.over()
        if content.model_turn is not None:
            self._replies.content(content.model_turn.parts or [])
        if content.output_transcription is not None:
            self._replies.text(content.output_transcription.text or "")
        if content.generation_complete:
            self._replies.generated()
        status = getattr(content.interaction_status, "value", None)
        if content.turn_complete or status == "IDLE":
            # One that thinks long has further turns in the same interaction (extended thinking).
            self._in_progress = status == "IN_PROGRESS"
            self._watchdog.over()
            self._transcripts.flush()
            refused = refusal(
                getattr(content.turn_complete_reason, "value", None), begun=self._replies.generating
            )
            if refused is not None:
                self._emit(refused)
            self._replies.complete()
            if not self._in_progress and not self._memory.pending:
                self._asked.over()
            self._meter.report()
        elif self._replies.generating:
            # The rest of it is due, and may be late in its turn.
            self._watchdog.begin(certain=False, counts=False)

    async def _ask(self, text: str) -> None:
        self._sending = True
        try:
            self._replies.asked()
            await self._guarded(self._wire.told(text))
        finally:
            self._sending = False
        self._watchdog.begin(counts=False)

    def _may_be_asked(self) -> bool:
        """Return whether the model can be asked for a reply: nobody speaks, no answer is made or owed."""
        return not self._reconnect.leaving and self._is_idle()

    async def _ping(self) -> None:
        # The client has no ping of its own, and has kept its socket under this name since its first version.
        socket = getattr(self._live, "_ws", None)
        if socket is not None:
            await self._guarded(_round_trip(socket))

    def _declined(self, turns: int) -> None:
        if turns == _DECLINED:
            self._emit(
                BackendWarning(
                    f"Gemini has answered none of the last {turns} turns: it may take them for not "
                    "meant for it; if it never answers, check model and instructions"
                )
            )

    def _answered(self) -> None:
        """The model begins to answer: it has what it was sent."""
        self._watchdog.over(answered=True)
        self._transcripts.remember()
        self._memory.answered(turn_open=self._turn_open)

    def _tools(self, calls: Sequence[Any]) -> None:
        self._watchdog.over(answered=True)
        for call in calls:
            identity = call.id or self._memory.next_unnamed(call.name)
            if self._memory.called(identity, call.name):
                self._emit(ToolCall(identity, call.name, whole(call.args or {})))

    def _resumable(self, update: Any) -> None:
        if update.resumable and update.new_handle:
            self._memory.handle = update.new_handle
            self._memory.handle_at = self._loop.time()
            self._keep_handle(update.new_handle)
            self._memory.covered(turn_open=self._turn_open)
            self._reconnect.handle_came()

    def _activity(self, kind: str) -> None:
        if kind in ("ACTIVITY_START", "VAD_SIGNAL_TYPE_SOS"):
            self._emit(UserSpeech(True))
        elif kind in ("ACTIVITY_END", "VAD_SIGNAL_TYPE_EOS"):
            self._emit(UserSpeech(False))

    def _quiet(self) -> bool:
        """Return whether nobody would notice a new connection: nobody speaks, no answer is made or owed."""
        return self._is_idle() and not self._memory.asked

    def _is_idle(self) -> bool:
        return not (
            self._turn_open
            or self._in_progress
            or self._replies.generating
            or self._watchdog.owed
            or self._memory.pending
            or (not self._local and self._loop.time() - self._speech_at < _PAUSE)
        )


async def _round_trip(socket: Any) -> None:
    await (await socket.ping())

"""The conversation of a cascade: turns are understood, answered and spoken; a barge-in ends all three."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, assert_never

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade.closing import ENDING, end
from fishjam_agents.backends.cascade.components import (
    LanguageModel,
    Message,
    SpeechToText,
    TextToSpeech,
)
from fishjam_agents.backends.cascade.fallback_component import FallbackComponent
from fishjam_agents.backends.cascade.history import History
from fishjam_agents.backends.cascade.jobs import Job, Jobs
from fishjam_agents.backends.cascade.listening import Listening
from fishjam_agents.backends.cascade.out_of_band import OutOfBandRequests
from fishjam_agents.backends.cascade.preemptive import ConversationSnapshot, PreemptiveGeneration, same_words
from fishjam_agents.backends.cascade.reply import Reply, ReplyDependencies
from fishjam_agents.backends.cascade.speech import Speech
from fishjam_agents.backends.cascade.tool_calls import ToolCalls
from fishjam_agents.backends.cascade.turn import SpokenTurn
from fishjam_agents.backends.vendors import PATIENCE
from fishjam_agents.events import Heard, Turn

_SAME_SOUND = 1e-6
"""Seconds up to which two times are those of one last sound."""


class CascadeSession(port.BackendSession):
    """One call.

    Args:
        context: What the pipeline says of it.
        stt: Speech to text.
        llm: Language models.
        tts: Voices.
        history: Tokens that are kept.
        filler: Said when a tool is called before a word was.
        preemptive: Whether a pause is answered before it is certain that it ends the turn.
        patience: Seconds in sum that a caller waits for answers who speaks again before they come.
        streams: Whether turns are understood while they are spoken.
        transcript_wait: Seconds for the final transcript of such a turn, once words are there.
    """

    def __init__(
        self,
        context: port.BackendContext,
        stt: FallbackComponent[SpeechToText],
        llm: FallbackComponent[LanguageModel],
        tts: FallbackComponent[TextToSpeech],
        history: int,
        filler: str | None,
        preemptive: bool = False,
        patience: float = PATIENCE,
        streams: bool = False,
        transcript_wait: float = 2.0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._emit = context.emit
        self._enrich = context.enrich
        self._stt = stt
        self._preemptive = preemptive
        self._streams = streams
        self._transcript_wait = transcript_wait
        # The turn that is being spoken, or the sound that may become one; and those that are over.
        self._listening: Listening | None = None
        self._understanding: set[Listening] = set()
        self._history = History(context.instructions, history)
        if context.conversation is not None:
            self._history.continues(context.conversation)
        self._tools: Sequence[port.ToolDeclaration] = context.tools
        self._calls = ToolCalls(self._emit, self._history, lambda: self._tools)
        self._means = ReplyDependencies(
            *(self._emit, llm, tts, self._history, self._calls, lambda: self._tools, filler)
        )
        self._ids = (f"reply-{context.attempt}-{number}" for number in itertools.count(1))
        # What the model is to know, and not to answer: it goes with the next words of a user.
        self._notes: list[str] = []
        self._jobs = Jobs(self._emit, patience)
        self._questions = OutOfBandRequests(self._emit, llm, self._history.full, self._jobs.fail)
        # At most one turn is open at a time, so that there is one pause to be answered at most.
        self._speculation: PreemptiveGeneration | None = None
        self._closing: set[asyncio.Task[None]] = set()
        # Whether an answer was cut before a word of it was heard, and whether for the turn that is open.
        self._unheard = False
        self._goes_on = False
        self._turn_open = False
        # What the app asks for while somebody speaks.
        self._asked: deque[port.TextInput] = deque()

    async def send(self, item: port.BackendInput) -> None:
        """Take an input; nothing waits for a part."""
        self._take(item)
        if isinstance(item, (port.TurnStartedInput, port.TurnEndedInput)):
            self._unheard = False
        if isinstance(item, (port.TurnStartedInput, port.TurnEndedInput, port.TurnCancelledInput)):
            self._turn_open = isinstance(item, port.TurnStartedInput)
        while self._asked and not self._turn_open:
            self._say(self._asked.popleft())

    def _take(self, item: port.BackendInput) -> None:
        match item:
            case port.TurnEndedInput(turn, audio):
                listening = self._ended(turn, audio)
                if listening is None:
                    self._forget_pause("went_on")
                    return
                notes, self._notes = self._notes, []
                begun, self._speculation = self._speculation, None
                said = SpokenTurn(turn, listening, notes, self._loop.time(), self._goes_on)
                job = Job(self._reply(peer=turn.peer), turn.peer, turn=True, begun=begun)
                self._jobs.start(job, lambda job: self._answer(job, said))
            case port.AudioInput():
                if self._listening is not None:
                    self._listening.speech.append(item.samples)
            case port.TurnPausedInput(peer, at, audio):
                self._pause(peer, at, audio)
            case port.TurnResumedInput():
                if self._listening is not None:
                    self._listening.resume()
                self._forget_pause("went_on")
            case port.TurnCancelledInput():
                self._stop_listening()
                self._forget_pause("went_on")
            case port.SpeechSuspectedInput(peer, start, audio_from):
                self._listen(peer, start, audio_from)
            case port.TurnStartedInput(peer, start, audio_from):
                self._listen(peer, start, audio_from)
                self._forget_pause("went_on")
                # The speaker goes on: what would have answered the first half is out of date.
                stopped = self._jobs.stop(lambda job: job.turn and job.peer == peer and not job.reply.begun)
                self._goes_on = stopped or self._unheard or self._jobs.calling
            case port.TextInput(text) if item.note:
                self._notes.append(text)
            case port.TextInput(instructs=True) if self._turn_open:
                # Who speaks is answered first.
                self._asked.append(item)
            case port.TextInput():
                self._say(item)
            case port.ImageInput():
                self._history.image(item.data, item.content_type, (item.peer, item.track))
            case port.InterruptInput(heard):
                self._interrupt(heard)
            case port.OutOfBandInput(question, text):
                self._questions.ask(question, self._history.followed_by(text))
            case port.ToolResultInput() if not item.will_continue:
                self._calls.answer(item)
            case port.UpdateInput(instructions, tools):
                if instructions is not None:
                    self._history.instructions = instructions
                if tools is not None:
                    self._tools = tools
            case port.ToolResultInput() | port.ControlInput() | port.AudioEndedInput():
                pass
            case _:
                assert_never(item)

    async def read(self) -> None:
        """Wait until a part fails for good."""
        await self._jobs.failed

    async def close(self) -> None:
        """End everything that is under way."""
        self._forget_pause("interrupted")
        self._stop_listening()
        await asyncio.gather(self._jobs.close(), self._questions.close())
        await asyncio.gather(*(listening.close() for listening in self._understanding))
        if self._closing:
            await asyncio.wait(self._closing)

    def _reply(
        self,
        id: str | None = None,
        admitted: asyncio.Future[None] | None = None,
        peer: str | None = None,
    ) -> Reply:
        return Reply(id or next(self._ids), self._means, admitted, peer)

    def _say(self, item: port.TextInput) -> None:
        own = item.reply is not None
        job = Job(self._reply(item.reply), None, say=own, heard=own)
        self._jobs.start(job, lambda job: self._write(job, item))

    def _interrupt(self, heard: Heard | None) -> None:
        waiting = next(
            (item for item in self._asked if heard is not None and item.reply == heard.reply), None
        )
        if waiting is not None:
            self._asked.remove(waiting)
            return
        named = self._jobs.named(heard.reply) if heard is not None else None
        stopped = False
        if named is None or not named.say or named.reply.begun:
            self._forget_pause("interrupted")
            stopped = self._jobs.stop(lambda job: not job.say)
        self._jobs.stop(lambda job: job is named)
        if heard is not None:
            self._history.heard(heard)
        self._unheard = stopped and self._history.unanswered

    # --- what is heard ---

    def _listen(self, peer: str | None, start: float, audio_from: float | None) -> None:
        """Begin to understand a turn, or a sound that may become one, unless that is under way."""
        if not self._streams:
            return
        if self._listening is not None:
            if self._listening.speech.start == start and self._listening.speech.peer == peer:
                return
            self._stop_listening()
        before = 0.0 if audio_from is None else start - audio_from
        self._listening = Listening(Speech(peer, start, before), self._stt, self._emit)
        self._listening.start()

    def _ended(self, turn: Turn, audio: port.Samples | None) -> Listening | None:
        """Return what understands a turn that has ended; None where nothing of it was heard."""
        listening, self._listening = self._listening, None
        if listening is None and audio is not None and len(audio):
            listening = self._whole(turn.peer, turn.start, audio)
        if listening is not None:
            listening.ended = turn.end
            listening.speech.end()
            # Final words may come after the turn was answered.
            self._understanding = {one for one in (*self._understanding, listening) if one.goes_on}
        return listening

    def _whole(self, peer: str | None, start: float, audio: port.Samples, *, told: bool = True) -> Listening:
        return Listening(Speech.complete(audio, peer, start), self._stt, self._emit, told=told)

    def _stop_listening(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            self._close(listening.close())

    def _close(self, closing: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(closing, name="what nobody wants is closed")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # --- turns ---

    async def _answer(self, job: Job, turn: SpokenTurn) -> None:
        try:
            words = await self._understand(job, turn)
            turn.understood = self._loop.time()
            if not words:
                self._drop(job, "empty")
            elif self._enrich is not None and not job.unanswered:
                text = await self._enrich(replace(turn.turn, text=words))
                turn.notes += [] if text is None else [text]
            await self._jobs.my_turn(job)
            if not words:
                await self._take_up(job, turn)
                return
            if job.begun is not None and job.begun.failed:
                self._drop(job, "failed")
            if job.begun is not None and job.begun.basis != self._snapshot(turn.notes):
                self._drop(job, "changed")
            turn.enter(self._history, words)
            job.heard = True
            turn.notes.clear()
            if not job.unanswered:
                turn.asked = self._loop.time()
                await self._reply_to(job, turn)
        finally:
            self._drop(job, "went_on")
            # Nothing was understood: the next words have the notes.
            self._notes[:0] = turn.notes

    async def _take_up(self, job: Job, turn: SpokenTurn) -> None:
        """A sound that was no words has kept somebody from an answer: give it."""
        if turn.goes_on and self._history.unanswered and not job.unanswered:
            job.heard = True
            turn.asked = self._loop.time()
            await self._reply_to(job, turn)

    async def _understand(self, job: Job, turn: SpokenTurn) -> str:
        """The words of a turn. Those of its last pause are as good if nothing was heard since."""
        begun, peer = job.begun, turn.turn.peer
        words = None
        if begun is not None and not self._streams:
            words = await begun.transcript()
            if words is not None and abs(begun.paused - turn.turn.end) <= _SAME_SOUND:
                if words:
                    self._emit(port.UserTranscript(words, True, peer, turn.turn.start, turn.turn.end))
                return words
        heard = await turn.listening.final(self._transcript_wait, turn.reword)
        if begun is not None and self._streams:
            words = await begun.transcript()
        if words is None or not same_words(words, heard):
            self._drop(job, "failed" if words is None else "words")
        return heard

    async def _reply_to(self, job: Job, turn: SpokenTurn) -> None:
        begun, job.begun = job.begun, None
        try:
            if begun is None:
                await job.reply.run()
                return
            job.reply = begun.reply
            ahead = round(turn.ended - begun.since, 4)
            self._emit(port.PreemptiveReply(turn.turn.peer, "adopted", ahead))
            begun.accept()
            await begun.task
        finally:
            times = turn.times(job.reply, begun)
            if times:
                self._emit(port.ReplyLatency(job.reply.id, times))

    async def _write(self, job: Job, item: port.TextInput) -> None:
        await self._jobs.my_turn(job)
        if item.verbatim and job.say:
            await job.reply.say(item.text)
            return
        if item.instructs:
            await job.reply.respond(item.text)
            return
        self._history.user(item.text)
        job.heard = True
        if not job.unanswered:
            await job.reply.run()

    # --- pauses ---

    def _pause(self, peer: str | None, at: float, audio: port.Samples | None) -> None:
        self._forget_pause("went_on")
        if self._listening is not None:
            self._listening.pause(at)
            if self._preemptive:
                self._begin_preemptive(peer, at, self._listening.stable)
        elif self._preemptive and audio is not None:
            listening = self._whole(peer, at, audio, told=False)

            async def words() -> str:
                await listening.run()
                if listening.words:
                    self._emit(port.PauseTranscript(listening.words, at, peer))
                return listening.words

            self._begin_preemptive(peer, at, words)

    def _begin_preemptive(
        self, peer: str | None, at: float, transcribe: Callable[[], Awaitable[str]]
    ) -> None:
        if not self._jobs.idle:
            # What is still being said will have changed the conversation.
            return
        basis = self._snapshot(self._notes)
        admitted = self._loop.create_future()

        def messages(words: str) -> list[Message] | None:
            if basis != self._snapshot(self._notes):
                return None
            return self._history.followed_by(" ".join([*basis.notes, words]))

        self._speculation = PreemptiveGeneration(
            self._reply(admitted=admitted, peer=peer),
            admitted,
            basis,
            peer,
            at,
            transcribe,
            messages,
        )

    def _snapshot(self, notes: Sequence[str]) -> ConversationSnapshot:
        history = self._history
        return ConversationSnapshot(history.version, history.instructions, self._tools, tuple(notes))

    def _drop(self, job: Job, why: port.PreemptiveOutcome) -> None:
        begun, job.begun = job.begun, None
        if begun is not None:
            self._waste(begun, why)

    def _forget_pause(self, why: port.PreemptiveOutcome) -> None:
        begun, self._speculation = self._speculation, None
        if begun is not None:
            self._waste(begun, why)

    def _waste(self, begun: PreemptiveGeneration, why: port.PreemptiveOutcome) -> None:
        """Nobody wants what was begun: close what it has open."""
        self._emit(port.PreemptiveReply(begun.peer, why, round(self._loop.time() - begun.since, 4)))
        self._close(end(begun.task, deadline=ENDING))

"""The conversation of a cascade: turns are understood, answered and spoken; a barge-in ends all three."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import aclosing
from typing import assert_never

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade.closing import ENDING, end
from fishjam_agents.backends.cascade.components import (
    LanguageModel,
    LLMUsage,
    Message,
    SpeechToText,
    TextToSpeech,
)
from fishjam_agents.backends.cascade.fallback_component import FallbackComponent
from fishjam_agents.backends.cascade.history import History
from fishjam_agents.backends.cascade.jobs import Job, Jobs
from fishjam_agents.backends.cascade.nonspeech import spoken_words
from fishjam_agents.backends.cascade.out_of_band import OutOfBandRequests
from fishjam_agents.backends.cascade.preemptive import ConversationSnapshot, PreemptiveGeneration, same_words
from fishjam_agents.backends.cascade.reply import Reply, ReplyDependencies
from fishjam_agents.backends.cascade.tool_calls import ToolCalls
from fishjam_agents.backends.cascade.turn import SpokenTurn
from fishjam_agents.backends.vendors import PATIENCE
from fishjam_agents.events import Heard

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
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._emit = context.emit
        self._stt = stt
        self._preemptive = preemptive
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

    async def send(self, item: port.BackendInput) -> None:
        """Take an input; nothing waits for a part."""
        self._take(item)
        if isinstance(item, (port.TurnStartedInput, port.TurnEndedInput)):
            self._unheard = False

    def _take(self, item: port.BackendInput) -> None:
        match item:
            case port.TurnEndedInput(turn, audio) if audio is not None and len(audio):
                notes, self._notes = self._notes, []
                begun, self._speculation = self._speculation, None
                said = SpokenTurn(turn, audio, notes, self._loop.time(), self._goes_on)
                job = Job(self._reply(peer=turn.peer), turn.peer, turn=True, begun=begun)
                self._jobs.start(job, lambda job: self._answer(job, said))
            case port.TurnPausedInput(peer, at, audio) if self._preemptive and audio is not None:
                self._begin_preemptive(peer, at, audio)
            case port.TurnResumedInput() | port.TurnCancelledInput() | port.TurnEndedInput():
                self._forget_pause("went_on")
            case port.TurnStartedInput(peer):
                self._forget_pause("went_on")
                # The speaker goes on: what would have answered the first half is out of date.
                stopped = self._jobs.stop(lambda job: job.turn and job.peer == peer and not job.reply.begun)
                self._goes_on = stopped or self._unheard or self._jobs.calling
            case port.TextInput(text) if item.note:
                self._notes.append(text)
            case port.TextInput(text, verbatim, reply):
                say = verbatim and reply is not None
                job = Job(self._reply(reply), None, say=say, heard=say)
                self._jobs.start(job, lambda job: self._write(job, text, say))
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
            case port.TurnPausedInput() | port.ToolResultInput() | port.ControlInput():
                pass
            case port.AudioInput() | port.AudioEndedInput():
                pass
            case _:
                assert_never(item)

    async def read(self) -> None:
        """Wait until a part fails for good."""
        await self._jobs.failed

    async def close(self) -> None:
        """End everything that is under way."""
        self._forget_pause("interrupted")
        await asyncio.gather(self._jobs.close(), self._questions.close())
        if self._closing:
            await asyncio.wait(self._closing)

    def _reply(
        self,
        id: str | None = None,
        admitted: asyncio.Future[None] | None = None,
        peer: str | None = None,
    ) -> Reply:
        return Reply(id or next(self._ids), self._means, admitted, peer)

    def _interrupt(self, heard: Heard | None) -> None:
        named = self._jobs.named(heard.reply) if heard is not None else None
        stopped = False
        if named is None or not named.say or named.reply.begun:
            self._forget_pause("interrupted")
            stopped = self._jobs.stop(lambda job: not job.say)
        self._jobs.stop(lambda job: job is named)
        if heard is not None:
            self._history.heard(heard)
        self._unheard = stopped and self._history.unanswered

    # --- turns ---

    async def _answer(self, job: Job, turn: SpokenTurn) -> None:
        try:
            words = await self._understand(job, turn)
            turn.understood = self._loop.time()
            if not words:
                self._drop(job, "empty")
            await self._jobs.my_turn(job)
            if not words:
                await self._take_up(job, turn)
                return
            if job.begun is not None and job.begun.failed:
                self._drop(job, "failed")
            if job.begun is not None and job.begun.basis != self._snapshot(turn.notes):
                self._drop(job, "changed")
            self._history.user(" ".join([*turn.notes, words]))
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
        words = None if begun is None else await begun.transcript()
        if begun is None or words is None or abs(begun.paused - turn.turn.end) > _SAME_SOUND:
            heard = await self._transcribe(turn.audio, peer)
            if words is None or not same_words(words, heard):
                self._drop(job, "failed" if words is None else "words")
            return heard
        if words:
            self._emit(port.UserTranscript(words, True, peer))
        return words

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

    async def _transcribe(self, audio: port.Samples, peer: str | None, *, tell: bool = True) -> str:
        text = ""
        async with aclosing(self._stt.ask(lambda part: part.transcribe(audio), restart=True)) as pieces:
            async for piece in pieces:
                if isinstance(piece, LLMUsage):
                    self._emit(port.BackendUsage(piece.amounts))
                    continue
                text = spoken_words(piece.text, audio)
                if text and tell:
                    self._emit(port.UserTranscript(text, piece.final, peer))
        return text

    async def _write(self, job: Job, text: str, say: bool) -> None:
        await self._jobs.my_turn(job)
        if say:
            await job.reply.say(text)
            return
        self._history.user(text)
        job.heard = True
        if not job.unanswered:
            await job.reply.run()

    # --- pauses ---

    def _begin_preemptive(self, peer: str | None, at: float, audio: port.Samples) -> None:
        self._forget_pause("went_on")
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
            lambda: self._transcribe_pause(audio, at, peer),
            messages,
        )

    async def _transcribe_pause(self, audio: port.Samples, at: float, peer: str | None) -> str:
        words = await self._transcribe(audio, peer, tell=False)
        if words:
            self._emit(port.PauseTranscript(words, at, peer))
        return words

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
        closing = self._loop.create_task(end(begun.task, deadline=ENDING), name="a speculation is closed")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

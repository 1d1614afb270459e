"""The conversation of a cascade: turns are understood, answered and spoken; a barge-in ends all three."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade.fallbacks import Fallbacks
from fishjam_agents.backends.cascade.history import History
from fishjam_agents.backends.cascade.parts import (
    LanguageModel,
    Requested,
    SpeechToText,
    Spent,
    TextToSpeech,
)
from fishjam_agents.backends.cascade.reply import Reply
from fishjam_agents.errors import BackendError


@dataclass(eq=False, slots=True)
class _Job:
    """A turn to answer, or words to speak.

    Attributes:
        reply: What it says.
        peer: Whose turn it is.
        app: Whether the app wants given words spoken.
        before: What was begun earlier: it is over before this one is answered.
        heard: Whether the history has what the user said.
        unanswered: Whether nobody waits for an answer any more.
    """

    reply: Reply
    peer: str | None
    app: bool
    before: list[asyncio.Task[None]]
    heard: bool = False
    unanswered: bool = False


_Work: TypeAlias = Callable[[_Job], Coroutine[Any, Any, None]]


class CascadeSession(port.BackendSession):
    """One call.

    Args:
        conversation: What the pipeline says of it.
        stt: Speech to text.
        llm: Language models.
        tts: Voices.
        history: Messages that are kept.
        filler: Said when a tool is called before a word was.
    """

    def __init__(
        self,
        conversation: port.Conversation,
        stt: Fallbacks[SpeechToText],
        llm: Fallbacks[LanguageModel],
        tts: Fallbacks[TextToSpeech],
        history: int,
        filler: str | None,
    ) -> None:
        self._emit = conversation.emit
        self._stt = stt
        self._llm = llm
        self._tts = tts
        self._filler = filler
        self._history = History(conversation.instructions, history)
        self._tools: Sequence[port.ToolDeclaration] = conversation.tools
        self._ids = (f"reply-{conversation.attempt}-{number}" for number in itertools.count(1))
        self._answers: dict[str, asyncio.Future[str]] = {}
        # What the model is to know, and not to answer: it goes with the next words of a user.
        self._notes: list[str] = []
        self._work: dict[asyncio.Task[None], _Job] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def send(self, entry: port.Entry) -> None:
        """Take an entry; nothing waits for a part."""
        match entry:
            case port.TurnEndedEntry(turn, audio) if audio is not None and len(audio):
                notes, self._notes = self._notes, []
                self._start(lambda job: self._noted(job, turn.peer, audio, notes), turn.peer)
            case port.TurnStartedEntry(peer):
                # The speaker goes on: what would have answered the first half is out of date.
                self._stop(lambda job: job.peer == peer and not job.reply.begun and not job.app)
            case port.TextEntry(text) if entry.note:
                self._notes.append(text)
            case port.TextEntry(text, verbatim, reply):
                say = verbatim and reply is not None
                self._start(lambda job: self._write(job, text, say), None, reply=reply, app=say)
            case port.InterruptEntry(heard):
                self._stop(lambda job: True)
                if heard is not None:
                    self._history.heard(heard)
            case port.ToolResultEntry() if not entry.will_continue:
                answer = self._answers.pop(entry.call, None)
                if answer is not None and not answer.done():
                    answer.set_result(entry.result)
            case port.UpdateEntry(instructions, tools):
                if instructions is not None:
                    self._history.instructions = instructions
                if tools is not None:
                    self._tools = tools

    async def read(self) -> None:
        """Wait until a part fails for good."""
        await self._failed

    async def close(self) -> None:
        """End everything that is under way."""
        tasks = list(self._work)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- jobs: a turn to answer, or words to speak ---

    def _start(self, work: _Work, peer: str | None, *, reply: str | None = None, app: bool = False) -> None:
        answer = Reply(
            reply or next(self._ids),
            self._emit,
            self._llm,
            self._tts,
            self._history,
            self._call_tools,
            lambda: self._tools,
            self._filler,
        )
        job = _Job(answer, peer, app, list(self._work), heard=app)
        task = asyncio.get_running_loop().create_task(self._guard(work(job), job), name=answer.id)
        self._work[task] = job
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._work[task]
        # Anything but a `BackendError` is a bug in a part: the link ends the call and says which backend.
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _guard(self, work: Coroutine[Any, Any, None], job: _Job) -> None:
        try:
            await work
        except BackendError as error:
            if error.retryable:
                self._emit(port.Warning(f"a reply could not be given: {error}"))
            elif not self._failed.done():
                self._failed.set_exception(error)
        finally:
            if job.reply.begun:
                self._emit(port.ReplyEnded(job.reply.id))

    def _stop(self, which: Callable[[_Job], bool]) -> None:
        """Answer these no more. What the user said in them is remembered all the same."""
        for task, job in list(self._work.items()):
            if which(job):
                job.unanswered = True
                if job.heard:
                    task.cancel()

    async def _hear(self, job: _Job, text: str) -> bool:
        """Wait until all earlier is over, then have the words in the history; whether to answer them.

        Whoever speaks first is answered first, and answers do not overlap.
        """
        if job.before:
            await asyncio.wait(job.before)
            job.before = []
        if not job.heard:
            self._history.user(text)
            job.heard = True
        return not job.unanswered

    async def _noted(self, job: _Job, peer: str | None, audio: port.Samples, notes: list[str]) -> None:
        try:
            await self._understand(job, peer, audio, notes)
        finally:
            # Nothing was understood, or the speaker went on: the next words have the notes.
            self._notes[:0] = notes

    async def _understand(self, job: _Job, peer: str | None, audio: port.Samples, notes: list[str]) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        text = ""
        async with aclosing(self._stt.ask(lambda part: part.transcribe(audio))) as pieces:
            async for piece in pieces:
                if isinstance(piece, Spent):
                    self._emit(port.Usage(piece.amounts))
                    continue
                text = piece.text.strip()
                if text:
                    self._emit(port.UserTranscript(text, piece.final, peer))
        if not text:
            return
        understood = loop.time()
        answered = await self._hear(job, " ".join([*notes, text]))
        notes.clear()
        if not answered:
            return
        asked = loop.time()
        try:
            await job.reply.run()
        finally:
            times = job.reply.times
            if "sound" in times:
                parts = {"stt": understood - begun, "waited": asked - understood}
                parts["llm"] = times["words"] - asked if "words" in times else 0.0
                parts["tts"] = times["sound"] - times.get("words", asked)
                rounded = {name: round(seconds, 4) for name, seconds in parts.items()}
                self._emit(port.ReplyTimed(job.reply.id, rounded))

    async def _write(self, job: _Job, text: str, say: bool) -> None:
        if not await self._hear(job, text):
            return
        if say:
            await job.reply.say(text)
        else:
            await job.reply.run()

    async def _call_tools(self, calls: Sequence[Requested]) -> list[str]:
        loop = asyncio.get_running_loop()
        waiting = [self._answers.setdefault(call.call, loop.create_future()) for call in calls]
        for call in calls:
            self._emit(port.ToolCall(call.call, call.name, call.arguments))
        try:
            return list(await asyncio.gather(*waiting))
        except asyncio.CancelledError:
            for call in calls:
                if self._answers.pop(call.call, None) is not None:
                    self._emit(port.ToolCallCancelled(call.call))
            raise

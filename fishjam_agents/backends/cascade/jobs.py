"""Jobs of a cascade: turns to answer and texts to say, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade.closing import ENDING, end
from fishjam_agents.backends.cascade.preemptive import PreemptiveGeneration
from fishjam_agents.backends.cascade.reply import Reply
from fishjam_agents.errors import BackendError


@dataclass(eq=False, slots=True)
class Job:
    """A turn to answer, or words to speak.

    Attributes:
        reply: What comes of it.
        peer: Who is answered.
        turn: Whether it is a turn.
        say: Whether it is words that the app wants spoken.
        heard: Whether the history has what the user said, or the app wants given words spoken.
        begun: The answer that was begun at the turn's last pause, while it may still be used.
        unanswered: Whether nobody waits for an answer any more.
        over: Set when nothing more comes of it, though it may still be closing what it has open.
    """

    reply: Reply
    peer: str | None
    turn: bool = False
    say: bool = False
    heard: bool = False
    begun: PreemptiveGeneration | None = None
    unanswered: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)


MOST_UNANSWERED = 3
"""Failures in a row, each of which costs an answer, after which the session fails for good: who has been met
with silence three times is told so, by the apology if there is one, and not kept."""
_USUAL_WAIT = 2.0
"""Seconds without a sound that are nobody's failure when the speaker goes on meanwhile."""
Work: TypeAlias = Callable[[Job], Coroutine[Any, Any, None]]


class Jobs:
    """The jobs of one session.

    Args:
        emit: Takes events.
        patience: Seconds of waiting in sum, for answers that did not come until the speaker went on, after
            which the session fails for good.

    Attributes:
        failed: Fails with what only the user can mend, or with a part's bug: the end of the session.
    """

    def __init__(self, emit: Callable[[port.BackendEvent], None], patience: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._patience = patience
        self._emit = emit
        self._tasks: dict[asyncio.Task[None], Job] = {}
        self._line: list[Job] = []
        self._unanswered = 0
        # What was waited for in vain since the last answer.
        self._waits: list[float] = []

    @property
    def idle(self) -> bool:
        """True while nothing is under way."""
        return all(job.over.is_set() for job in self._tasks.values())

    @property
    def calling(self) -> bool:
        """True if tools run for an answer that nobody waits for any more."""
        return any(job.unanswered and job.reply.calling for job in self._tasks.values())

    def named(self, reply: str) -> Job | None:
        """The job whose reply has this id, unless it is over."""
        return next((job for job in self._line if job.reply.id == reply), None)

    def start(self, job: Job, work: Work) -> None:
        """Begin a job."""
        task = self._loop.create_task(self._guard(work, job), name=job.reply.id)
        self._tasks[task] = job
        self._line.append(job)
        task.add_done_callback(self._finished)

    def stop(self, which: Callable[[Job], bool]) -> bool:
        """Answer these no more. What the user said in them, and what tools do for them, is remembered.

        A part that does not let itself be ended holds up nothing.

        Returns:
            Whether there was one.
        """
        stopped = False
        for task, job in self._tasks.items():
            if not which(job) or job.over.is_set():
                continue
            job.unanswered = stopped = True
            if job.reply.calling:
                job.reply.silence()
            elif job.heard:
                self._waited(job)
                self._is_over(job)
                task.cancel()
                # Ends a `finally` that waits; a job that ends as it should is gone by then.
                self._loop.call_later(ENDING, task.cancel)
            elif job.begun is not None:
                job.begun.discard()
        return stopped

    async def my_turn(self, job: Job) -> None:
        """Wait until all that was begun earlier is over: whoever speaks first is answered first."""
        while self._line[0] is not job:
            await self._line[0].over.wait()

    async def close(self) -> None:
        """End everything that is under way."""
        await end(*self._tasks, deadline=ENDING)

    async def _guard(self, work: Work, job: Job) -> None:
        try:
            await work(job)
        except BackendError as error:
            if error.retryable:
                self._could_not(job, error)
            else:
                self.fail(error)
        finally:
            self._is_over(job)
            if job.reply.begun:
                self._unanswered = 0
                self._waits.clear()
                self._emit(port.ReplyAudioEnded(job.reply.id))

    def _waited(self, job: Job) -> None:
        """Count the wait for an answer that is stopped: a part that hangs is never seen to fail then."""
        if job.reply.begun or job.reply.asked_at is None:
            return
        waited = self._loop.time() - job.reply.asked_at
        if waited < _USUAL_WAIT:
            return
        self._waits.append(waited)
        total = sum(self._waits)
        if total >= self._patience:
            told = (
                f"no answer came in {total:.0f} s, over {len(self._waits)} attempts of the caller: "
                "the language model or text to speech hangs"
            )
            self.fail(BackendError(told, failure="network"))

    def _could_not(self, job: Job, error: BackendError) -> None:
        message = f"a reply could not be given: {error}"
        if job.reply.begun:
            # It is an answer, such as it is.
            self._emit(port.BackendWarning(message))
            return
        self._emit(port.Unanswered(message, error.failure))
        self._unanswered += 1
        if self._unanswered >= MOST_UNANSWERED:
            told = f"{error}: given up after {self._unanswered} replies in a row that could not be given"
            self.fail(BackendError(told, failure=error.failure))

    def _is_over(self, job: Job) -> None:
        job.over.set()
        if job in self._line:
            self._line.remove(job)

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        # Anything but a `BackendError` is a bug in a part: the link ends the call and says which backend.
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the session."""
        if not self.failed.done():
            self.failed.set_exception(error)
            # The session may be over already: asyncio is not to say that it got lost.
            self.failed.exception()

"""Questions beside the conversation: requests of their own, whose answers nobody hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade.closing import end
from fishjam_agents.backends.cascade.components import LanguageModel, LLMUsage, Message
from fishjam_agents.backends.cascade.context import answer
from fishjam_agents.backends.cascade.fallback_component import FallbackComponent
from fishjam_agents.backends.cascade.reasoning import ReasoningFilter
from fishjam_agents.errors import BackendError


class OutOfBandRequests:
    """The questions of one session that have no answer yet.

    Args:
        emit: Takes events.
        llm: Language models.
        full: Told how many tokens may be asked with from now on, when one has no room for more.
        bug: Takes what is wrong with a part and no `BackendError`.
    """

    def __init__(
        self,
        emit: Callable[[port.BackendEvent], None],
        llm: FallbackComponent[LanguageModel],
        full: Callable[[int], None],
        bug: Callable[[BaseException], None],
    ) -> None:
        self._emit = emit
        self._llm = llm
        self._full = full
        self._bug = bug
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, question: str, messages: Sequence[Message]) -> None:
        """Ask something: the question is the last of the messages."""
        task = asyncio.get_running_loop().create_task(self._ask(question, messages), name=question)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    async def close(self) -> None:
        """Ask no more."""
        await end(*self._tasks)

    async def _ask(self, question: str, messages: Sequence[Message]) -> None:
        thoughts = ReasoningFilter()
        text = ""
        try:
            async with aclosing(answer(self._llm, messages, (), self._full)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        text += thoughts.leave_out(piece)
                    elif isinstance(piece, LLMUsage):
                        self._emit(port.BackendUsage(piece.amounts))
        except BackendError as error:
            self._emit(port.OutOfBandResponse(question, error=str(error)))
            return
        self._emit(port.OutOfBandResponse(question, (text + thoughts.rest()).strip()))

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._bug(error)

"""The tool calls of a session: each is made once, and what it answers becomes part of the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade.components import LLMToolCall, Message
from fishjam_agents.backends.cascade.history import History

TAKEN_BACK = "cancelled, because the user spoke: call it again if it is still wanted"
"""Text for the model about a call that was taken back."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """Answer to one call.

    Attributes:
        text: What the model is told.
        error: Whether it says what went wrong.
    """

    text: str
    error: bool = False


class ToolCalls:
    """The calls of one session.

    Args:
        emit: Takes events.
        history: The conversation.
        tools: The tools on offer.
    """

    def __init__(
        self,
        emit: Callable[[port.BackendEvent], None],
        history: History,
        tools: Callable[[], Sequence[port.ToolDeclaration]],
    ) -> None:
        self._emit = emit
        self._history = history
        self._tools = tools
        self._loop = asyncio.get_running_loop()
        self._made: set[str] = set()
        self._waiting: dict[str, asyncio.Future[ToolAnswer]] = {}

    def make(self, requested: Sequence[LLMToolCall], peer: str | None) -> ToolRound:
        """Have tools called, beside one another.

        Args:
            requested: What the model wants.
            peer: Whose turn brought it about.
        """
        calls = [replace(call, call=self._unique(call.call)) for call in requested]
        answers = [self._waiting.setdefault(call.call, self._loop.create_future()) for call in calls]
        for call in calls:
            self._emit(port.ToolCall(call.call, call.name, call.arguments, call.unreadable, peer))
        return ToolRound(self, calls, answers)

    def answer(self, item: port.ToolResultInput) -> None:
        """A tool has answered."""
        self._resolve(item.call, ToolAnswer(item.result, item.error))

    def record(self, calls: Sequence[LLMToolCall], answers: Sequence[ToolAnswer]) -> None:
        """The conversation goes on with these calls and their answers."""
        for_model = [
            Message("tool", one.text, call=call.call, error=one.error)
            for call, one in zip(calls, answers, strict=True)
        ]
        self._history.called(calls, for_model)

    def take_back(self, calls: Sequence[LLMToolCall]) -> None:
        """Cancel those of the calls whose tools say that they may be."""
        cancellable = {tool.name for tool in self._tools() if tool.cancellable}
        for call in calls:
            if call.name in cancellable and self._resolve(call.call, ToolAnswer(TAKEN_BACK, error=True)):
                self._emit(port.ToolCallCancelled(call.call))

    def _resolve(self, call: str, answered: ToolAnswer) -> bool:
        answer = self._waiting.pop(call, None)
        if answer is None or answer.done():
            return False
        answer.set_result(answered)
        return True

    def _unique(self, call: str) -> str:
        """An id that no call of the session had: some servers count anew in each answer."""
        unique, number = call, 1
        while unique in self._made:
            number += 1
            unique = f"{call}-{number}"
        self._made.add(unique)
        return unique


class ToolRound:
    """Calls that a model made together, as they run. Their answers are awaited whatever becomes of the reply.

    Args:
        tools: All calls.
        calls: These.
        answers: Done when they are answered, in the same order.
    """

    def __init__(
        self, tools: ToolCalls, calls: Sequence[LLMToolCall], answers: Sequence[asyncio.Future[ToolAnswer]]
    ) -> None:
        self._tools = tools
        self._calls = calls
        self._answers = answers

    async def over(self) -> None:
        """Wait for all answers."""
        # Whoever stops waiting does not stop the tools.
        await asyncio.wait(self._answers)

    def record(self) -> None:
        """The conversation goes on with them; they are all answered."""
        self._tools.record(self._calls, [answer.result() for answer in self._answers])

    def take_back(self) -> None:
        """Cancel what may be."""
        self._tools.take_back(self._calls)

"""Tools as the runner runs them: a declaration for the model, and the code that answers a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, overload

from fishjam_agents.backends.port import Scheduling, ToolDeclaration
from fishjam_agents.tools.context import ToolContext

TIMEOUT = 20.0
"""Seconds a tool may take unless it says otherwise: longer silence on a call is taken for a lost line."""
MAX_RESULT = 16_000
"""Characters of an answer beyond which it is cut, unless the tool says otherwise: about 4,000 tokens."""

MARK = "__fishjam_agents_tool__"
"""Attribute in which `tool` leaves its options on a function."""

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """Arguments of `tool`; see there."""

    name: str | None = None
    description: str | None = None
    timeout: float = TIMEOUT
    max_result: int = MAX_RESULT
    blocking: bool = True
    scheduling: Scheduling | None = None
    cancellable: bool = False
    idempotent: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.timeout <= 3600:
            raise ValueError(f"timeout must be above zero and at most 3600 s, not {self.timeout:g}")
        if self.max_result < 100:
            raise ValueError(f"max_result must be at least 100 characters, not {self.max_result}")
        if self.scheduling is not None and self.scheduling not in get_args(Scheduling):
            raise ValueError(f"scheduling must be interrupt, when_idle or silent, not {self.scheduling!r}")
        if self.scheduling is not None and self.blocking:
            raise ValueError("scheduling is for tools that do not block: add blocking=False")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of one pipeline.

    Attributes:
        declaration: What the model is told.
        invoke: Takes the arguments as the model gave them; gives what JSON can express, or raises.
        timeout: Seconds it may take.
        max_result: Characters beyond which an answer is cut.
        scheduling: What the model does with the result, of a tool that does not block.
        threaded: Whether it runs in a thread, which nothing can end.
        idempotent: Whether to run it twice comes to the same as once.
    """

    declaration: ToolDeclaration
    invoke: Callable[[Mapping[str, Any], ToolContext], Awaitable[Any]]
    timeout: float = TIMEOUT
    max_result: int = MAX_RESULT
    scheduling: Scheduling | None = None
    threaded: bool = False
    idempotent: bool = False

    @property
    def name(self) -> str:
        """Its name."""
        return self.declaration.name

    @property
    def cancellable(self) -> bool:
        """True if it is cancelled when its answer is no longer wanted."""
        return self.declaration.cancellable


@overload
def tool(function: FunctionT, /) -> FunctionT: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float = TIMEOUT,
    max_result: int = MAX_RESULT,
    blocking: bool = True,
    scheduling: Scheduling | None = None,
    cancellable: bool = False,
    idempotent: bool = False,
) -> Callable[[FunctionT], FunctionT]: ...


def tool(
    function: FunctionT | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float = TIMEOUT,
    max_result: int = MAX_RESULT,
    blocking: bool = True,
    scheduling: Scheduling | None = None,
    cancellable: bool = False,
    idempotent: bool = False,
) -> FunctionT | Callable[[FunctionT], FunctionT]:
    """Offer a method of an `AgentPipeline`, or a function, to the model.

    The schema comes from the type hints, the descriptions from the docstring (Google style). A coroutine runs
    on the loop, anything else in a thread. The function itself is left as it is.

    Args:
        function: What is called; `@tool` and `@tool(...)` both work.
        name: What the model calls it; its own name by default.
        description: What the model is told it is for; the docstring by default.
        timeout: Seconds it may take; then it is cancelled and the model told.
        max_result: Characters beyond which an answer is cut.
        blocking: Whether the model waits for the answer. Only some models can do otherwise.
        scheduling: What the model does with the result of a tool that does not block.
        cancellable: Whether it is cancelled when the user speaks over it, or the model takes the call back:
            for a search, not for what changes something. By default a tool that began is run to its end.
        idempotent: Whether to run it twice comes to the same as once: it is run again when the process was
            lost while it ran (`journal`). Of any other the model is told that its outcome is unknown.

    Raises:
        ValueError: The options do not go together.
    """
    given = ToolOptions(name, description, timeout, max_result, blocking, scheduling, cancellable, idempotent)

    def mark(marked: FunctionT) -> FunctionT:
        setattr(marked, MARK, given)
        return marked

    return mark if function is None else mark(function)

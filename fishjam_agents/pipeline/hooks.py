"""Running the user's hooks: tasks of the call, behind a barrier that no exception passes."""

from __future__ import annotations

import asyncio
import difflib
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fishjam_agents.errors import FishjamAgentsError

logger = logging.getLogger(__name__)

STOP_DEADLINE = 5.0
"""Seconds that `on_stop` and hooks still running may take at the end of the call."""


ENDING_DEADLINE = 5.0
"""Seconds that `on_ending` may take."""
_NEAR = 0.8
"""How much a name must be like a hook's to be taken for a slip (`difflib` ratio): `on_trun` is 0.86 like
`on_turn`, `on_reply` 0.73 like `on_reply_ended`."""


def verify_hooks(pipeline: object, base: type) -> None:
    """Check the hooks of a pipeline, and what may have been meant as one.

    Args:
        pipeline: The user's bot.
        base: The class that has all hooks.

    Raises:
        FishjamAgentsError: A hook is no coroutine, or a coroutine has nearly the name of one.
    """
    hooks = [name for name in vars(base) if name.startswith("on_")]
    kind = type(pipeline)
    for hook in hooks:
        if not inspect.iscoroutinefunction(getattr(pipeline, hook)):
            raise FishjamAgentsError(f"{kind.__name__}.{hook} must be a coroutine: write `async def {hook}`")
    for owner in kind.__mro__[: kind.__mro__.index(base)]:
        for name, value in vars(owner).items():
            if not name.startswith("on_") or name in hooks or not inspect.iscoroutinefunction(value):
                continue
            meant = difflib.get_close_matches(name, hooks, n=1, cutoff=_NEAR)
            if meant:
                raise FishjamAgentsError(
                    f"{kind.__name__}.{name} is no hook: did you mean {meant[0]}? If it is a method of your "
                    "own, give it another name"
                )


class Hooks:
    """Starts hooks of a pipeline and owns their tasks.

    Args:
        owner: The pipeline whose methods they are.
        base: The class whose methods do nothing; hooks that are not overridden cost nothing.
        failed: Told of an exception, with the hook's name.
    """

    def __init__(self, owner: object, base: type, failed: Callable[[str, Exception], None]) -> None:
        self._owner = owner
        self._base = base
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def has(self, name: str) -> bool:
        """Whether the pipeline overrides the hook `name`."""
        return getattr(type(self._owner), name) is not getattr(self._base, name)

    def start(self, name: str, *arguments: Any) -> None:
        """Start the hook `name` as a task, if the pipeline overrides it."""
        if not self.has(name):
            return
        self.run(getattr(self._owner, name)(*arguments), name)

    def run(self, work: Awaitable[None], name: str) -> None:
        """Own `work` as a task of the call; a failure is reported under `name`."""
        task = self._loop.create_task(self._guard(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Awaitable[None], name: str) -> None:
        try:
            await work
        except Exception as error:
            call = getattr(self._owner, "call_id", None)
            logger.exception("The hook %s failed; the call goes on", name, extra={"call": call})
            self._failed(name, error)

    async def ending(self) -> None:
        """Run `on_ending`; cancelled when it outlasts its deadline."""
        work: Awaitable[None] = self._owner.on_ending()  # type: ignore[attr-defined]
        try:
            async with asyncio.timeout(ENDING_DEADLINE):
                await self._guard(work, "on_ending")
        except TimeoutError:
            logger.warning("The hook on_ending did not finish within %g s and was cancelled", ENDING_DEADLINE)

    async def finish(self) -> None:
        """Wait for the tasks, cancel those that outlast the deadline."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=STOP_DEADLINE)
        for task in late:
            logger.warning(
                "The hook %s did not finish within %g s and was cancelled", task.get_name(), STOP_DEADLINE
            )
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

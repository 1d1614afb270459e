"""End of a call: asked for, or forced by a failure."""

from __future__ import annotations

import asyncio
import logging

from fishjam_agents.backends.tracebacks import defined_at, of_a_user, raised_at
from fishjam_agents.errors import FishjamAgentsError, SessionError
from fishjam_agents.events import EndReason
from fishjam_agents.turns.policy_answers import PolicyError

logger = logging.getLogger(__name__)


class CallEnd:
    """End of one call, for the reason that is given first, or by the failure that comes first.

    Args:
        call: Id of the call.

    Attributes:
        reason: The reason; None until there is one.
        failed: Raises what ended the call.
    """

    def __init__(self, call: str) -> None:
        self._call = call
        self._requested = asyncio.Event()
        self.reason: EndReason | None = None
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_requested(self) -> bool:
        """True once the app, a tool or a limit wants the call to end."""
        return self._requested.is_set()

    def request(self, reason: EndReason = "stopped") -> None:
        """End the call."""
        self.note(reason)
        self._requested.set()

    def note(self, reason: EndReason) -> None:
        """Keep the reason of an end that comes by itself, unless there is one."""
        self.reason = self.reason or reason

    async def requested(self) -> None:
        """Wait until the end is requested."""
        await self._requested.wait()

    def fail(self, error: Exception) -> None:
        """End the call because the media server, or a part of the call, failed."""
        if self.failed.done():
            return
        if not isinstance(error, FishjamAgentsError):
            error = SessionError(f"the media server takes no audio any more ({error}): start the bot again")
        self.failed.set_exception(error)
        # The call may end by another error of the same moment: asyncio is not to say that this one got lost.
        self.failed.exception()

    def fail_inside(self, error: Exception) -> None:
        """End the call because a policy or a detector of the user's raised, or a part of the bot."""
        if isinstance(error, FishjamAgentsError):
            self.fail(error)
            return
        logger.error("The call cannot go on", exc_info=error, extra={"call": self._call})
        if isinstance(error, PolicyError):
            self.fail(FishjamAgentsError(f"{error}{defined_at(error.method)}; the call cannot go on"))
            return
        whose = "a policy or detector of yours" if of_a_user(error) else "a part of the bot"
        at = raised_at(error, foreign=True)
        described = FishjamAgentsError(
            f"{whose} failed ({error!r}, raised at {at}): mend it, the call cannot go on"
        )
        described.__cause__ = error
        self.fail(described)

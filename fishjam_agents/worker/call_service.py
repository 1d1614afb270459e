"""The port between the calls API and whoever serves the rooms: this process, or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.worker.call_record import CallRecord
from fishjam_agents.worker.call_settings import CallSettings


class CallRefusedError(FishjamAgentsError):
    """A call cannot be made now, or as asked for.

    Attributes:
        status: The HTTP status that says so.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A call that is asked for.

    Attributes:
        id: Its id, new.
        room: The room; None makes one, which is deleted when the call is over.
        bot: The kind of bot; None where there is one.
        settings: What is said of the call.
        webhook: Where its result goes; None is nowhere.
        made_room: Whether the room was made for it, by a process that is gone, and goes with it.
        again: Whether a process that is gone had begun it: it is no new call then, and limits of load do not
            keep it away.
    """

    id: str
    room: str | None = None
    bot: str | None = None
    settings: CallSettings = field(default_factory=CallSettings)
    webhook: str | None = field(default=None, repr=False)
    made_room: bool = False
    again: bool = False


class CallService(Protocol):
    """Whoever serves the rooms."""

    async def create(self, request: CallRequest) -> CallRecord:
        """Begin a call; its bot joins at once, whoever is there.

        Raises:
            CallRefusedError: It cannot be made now, or as asked for.
        """
        ...

    def records(self) -> Sequence[CallRecord]:
        """Calls that go on, and the last ones that are over."""
        ...

    def record(self, id: str) -> CallRecord | None:
        """The call of that id; None if none is known."""
        ...

    def end(self, id: str) -> bool:
        """Let the bot of a call leave; false if no such call is known."""
        ...

    def notified(self, message: bytes) -> None:
        """Take a notification of Fishjam, or a batch, encoded: a hint at which rooms to look.

        Raises:
            ProtocolError: It is none.
        """
        ...

    def not_ready(self) -> str | None:
        """The reason for which no new room is taken; None while rooms are."""
        ...

    def metrics(self) -> Mapping[str, Mapping[str, float]]:
        """Values by the series of a metric, and by the process; see `exposition`."""
        ...

    def call_metrics(self) -> str:
        """Metrics of calls in the text form of Prometheus; empty where nobody measures them.

        Called from a thread beside the loop.
        """
        ...

"""Context of a tool beside its arguments, and its way to fail in words."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

from fishjam_agents.tools.results import written

_LONGEST_REPORT = 16_000
"""Characters of a report."""


class ToolError(Exception):
    """A tool failed in a way the model should know: the message is told to it as it stands."""


class ToolHost(Protocol):
    """Interface of a bot for its tools; an `AgentPipeline` is one, and can do more."""

    def peer_name(self, peer: str) -> str:
        """Return the name of a peer."""
        ...

    def say(self, text: str) -> Awaitable[object]:
        """Speak given words with the backend's voice; await what is returned for the end of it."""
        ...

    def send_text(self, text: str) -> None:
        """Tell the backend something in writing."""
        ...

    async def look(self, what: Literal["camera", "screen"] = "camera", peer: str | None = None) -> str:
        """Show the backend what a peer's camera or shared screen shows now; return whose it was.

        Raises:
            FishjamAgentsError: There is nothing to see, or it cannot be shown.
        """
        ...

    def end_call(self) -> None:
        """End the call when what the bot is saying has been heard."""
        ...

    def stop(self) -> None:
        """End the call now."""
        ...


class ToolContext:
    """One call of a tool. A parameter with this type hint is given it and is no part of the schema.

    Attributes:
        call: Id of the call.
        tool: Name of the tool.
        pipeline: The bot.
        peer: Whose turn brought the call about; None before anybody spoke, and in a mix in which nobody was
            clearly loudest.
    """

    __slots__ = ("_loop", "_report", "_thread", "call", "peer", "pipeline", "tool")

    def __init__(
        self, call: str, tool: str, pipeline: ToolHost, peer: str | None, report: Callable[[str], None]
    ) -> None:
        self.call = call
        self.tool = tool
        self.pipeline = pipeline
        self.peer = peer
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def progress(self, report: Any) -> None:
        """Tell the model how far it is, where model and tool do not wait for each other; else nothing.

        May be called from the thread of a tool that is a plain function.

        Args:
            report: Words, or anything JSON can express.

        Raises:
            UnspeakableError: It is neither.
        """
        text = written(report, _LONGEST_REPORT)
        if threading.get_ident() == self._thread:
            self._report(text)
        else:
            self._loop.call_soon_threadsafe(self._report, text)

"""A runner of tools without a call around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fishjam_agents import ToolContext
from fishjam_agents.backends import port as p
from fishjam_agents.tools.collect import collect
from fishjam_agents.tools.runner import ToolRunner


class Desk:
    """A runner of some tools, and what came of its calls."""

    def __init__(
        self,
        *tools: Callable[..., Any],
        background: bool = True,
        put: Callable[[Any], None] | None = None,
    ) -> None:
        self.entries: list[p.ToolResultInput] = []
        self.started: list[tuple[str, str]] = []
        self.told: list[tuple[str, str, str]] = []
        self.times: dict[str, float] = {}
        self.warnings: list[str] = []
        self.notes: list[tuple[str, str]] = []
        self.errors: list[tuple[str, Exception]] = []
        self.runner = ToolRunner(
            put or self.entries.append,
            lambda call, made, take: ToolContext(call.call, made.name, None, "ann", take),  # type: ignore[arg-type]
            lambda call: self.started.append((call.name, call.call)),
            self._told,
            lambda name, error: self.errors.append((name, error)),
            self.warnings.append,
            lambda call, text: self.notes.append((call.call, text)),
            progress=background,
        )
        self.runner.tools = {made.name: made for made in collect(None, tools)}

    def _told(self, name: str, call: str, outcome: str, seconds: float, text: str) -> None:
        self.told.append((name, call, outcome))
        self.times[call] = seconds

    def call(self, call: str, name: str, **arguments: Any) -> None:
        self.runner.call(p.ToolCall(call, name, arguments))

"""Controls by which a bot becomes another one in a running call: instructions, tools, all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline.running_bot import RunningBot
from fishjam_agents.pipeline.speech_controls import SpeechControls
from fishjam_agents.tools.collect import collect
from fishjam_agents.tools.tool import Tool


class ChangeControls(SpeechControls):
    """Controls that change the bot of a call; between calls they are refused.

    Attributes:
        instructions: The system prompt.
        tools: Functions the model may call.
    """

    instructions: str | None
    tools: Sequence[Callable[..., Any] | Tool]

    def update(
        self,
        *,
        instructions: str | None = None,
        tools: Sequence[Callable[..., Any] | Tool] | None = None,
    ) -> None:
        """Give the model other instructions or tools from now on; from whichever thread.

        What is being said goes on. A model that takes changes only with a new connection gets one in the next
        quiet moment, with the conversation kept.

        Args:
            instructions: The system prompt from now on; None leaves it as it is.
            tools: What takes the place of `tools`, beside the methods marked with `tool`; None as above.

        Raises:
            BackendError: The backend cannot change its tools in a call.
            ConfigError: One of them cannot be a tool, or two have the same name.
        """
        call, backend = self._reachable_call(), self._serving_backend
        if tools is not None:
            collect(self, tools)
            name = type(backend).__name__
            if not backend.takes_tools:
                raise BackendError(f"{name} calls no tools")
            if backend.capabilities.fixed_tools:
                raise BackendError(
                    f"the tools of {name} are those that its call began with: offer all from the beginning, "
                    "or become another bot"
                )
            object.__setattr__(self, "tools", tools)
        if instructions is not None:
            object.__setattr__(self, "instructions", instructions)
        if self._active_bot is self:
            call.update(instructions, tools)

    def become(self, bot: RunningBot | Callable[[], RunningBot] | str, summary: str = "") -> None:
        """Let another bot go on with the call; from whichever thread.

        Its instructions and tools hold from then on, its hooks are run, and its backend serves the call, with
        another voice or another model; it knows what was said so far. A tool that hands the call over returns
        a `Handoff`, so that the new model goes on by itself; elsewhere it waits for the caller, or `respond`.

        Args:
            bot: A name among `handoffs`, or a pipeline: its class, one that was made, or what makes one. One
                without a backend keeps the one there is.
            summary: What it has to know, which its instructions end with.

        Raises:
            FishjamAgentsError: There is no such bot, or it cannot go on with this call.
        """
        call = self._running_call()
        name, found = call.handoffs.find(bot)
        call.become(found, name, summary)

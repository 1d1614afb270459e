"""Bots of one call, of which another one may go on with it: other instructions, tools, voice and model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.backends.fallback.adapted import adapted
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.backends.replacement import Replacement, goes_on_with
from fishjam_agents.backends.vendors import CallVendors
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.pipeline.bot import Bot
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.conversation_record import ConversationRecord
from fishjam_agents.pipeline.handoff_bots import first_name, make_bot, told
from fishjam_agents.pipeline.ports import BackendInputSink
from fishjam_agents.pipeline.tools import CallTools
from fishjam_agents.tools.handoff import Handoff

logger = logging.getLogger(__name__)

_GO_ON = "You have just taken over this call. Go on with the caller, and do not greet as in a new call."
_TAKEN_OVER = "The call is handed over, and you are the one who has taken it: go on with the caller."


class CallHandoffs:
    """The bots of one call, one after the other.

    Args:
        bot: The one that begins.
        context: The call.
        link: Its backend's link, or the sessions of its peers.
        tools: Its tools.
        record: What was said so far.
        taken_over: Told of the bot that goes on, its name, and its instructions.

    Attributes:
        active: The bot whose hooks run, and whose tools are called.
        backend: The backend that serves the call, or is about to.
    """

    def __init__(
        self,
        bot: Bot,
        context: CallContext,
        link: BackendInputSink,
        tools: CallTools,
        record: ConversationRecord,
        taken_over: Callable[[Bot, str, str | None], None],
    ) -> None:
        self.active = bot
        # As the link knows it.
        self.backend = self._linked = bot.backend
        self._name = first_name(bot)
        self._handoffs: Mapping[str, Any] = bot.handoffs
        self._context = context
        self._link = link
        self._tools = tools
        self._record = record
        self._taken_over = taken_over
        self._closed = False

    def close(self) -> None:
        """Let no other bot go on any more: the call is over."""
        self._closed = True

    def find(self, wanted: object) -> tuple[str, Bot]:
        """Return the bot that is to go on, and its name; made and checked.

        Args:
            wanted: A name among the handoffs of the active bot or of the one that began, or a pipeline, or
                what makes one.

        Raises:
            FishjamAgentsError: There is none, or it cannot go on with this call.
            LimitReachedError: The account of its backend has no place.
        """
        if self._closed:
            raise FishjamAgentsError("the call is over: no other bot goes on with it")
        name = None
        if isinstance(wanted, str):
            known = {**self._handoffs, **self.active.handoffs}
            name = wanted
            if name not in known:
                raise FishjamAgentsError(
                    f"{self._name} hands the call over to {name!r}, which is none of its handoffs: "
                    f"{'use ' + ' or '.join(known) if known else 'set handoffs'}"
                )
            wanted = known[name]
        bot = make_bot(wanted, self.backend)
        bot.verify()
        self._check(bot)
        return name or first_name(bot), bot

    def _check(self, bot: Bot) -> None:
        if not self._needs_session(bot):
            return
        kind, backend = type(bot).__name__, bot.backend
        if not isinstance(self._link, BackendLink):
            raise FishjamAgentsError(
                f"{kind} needs a session of its own, and with hearing 'per_peer' each peer has one: let it "
                "keep the backend, or set hearing to 'active_speaker'"
            )
        if backend.endpoint not in (None, self.backend.endpoint):
            # An account that is full is known before the call has left the backend that serves it.
            place = CallVendors()
            try:
                backend.reserve(place)
            finally:
                place.close()
        if self._context.turns.mode == "backend" and not backend.capabilities.own_turn_detection:
            raise FishjamAgentsError(
                f"turns.mode is 'backend', but {type(backend).__name__} of {kind} has no turn detection: set "
                "turns.mode to 'local'"
            )

    def _needs_session(self, bot: Bot) -> bool:
        """Return whether the session that serves the call cannot become that of a bot at once."""
        can = bot.backend.capabilities
        return bot.backend != self.backend or can.slow_updates or (can.tools and can.fixed_tools)

    async def hand_over(self, handoff: Handoff) -> str:
        """Hand the call over for a tool.

        Returns:
            What the model is told in answer to the call of the tool, where its session goes on.

        Raises:
            FishjamAgentsError: There is no such bot, or it cannot go on.
        """
        name, bot = self.find(handoff.bot)
        await self._tools.connect(bot.mcp)
        self.become(bot, name, handoff.summary, goes_on=True)
        return _TAKEN_OVER

    async def connect_and_become(self, bot: Bot, name: str, summary: str) -> None:
        """Let a bot go on once its MCP servers are connected."""
        await self._tools.connect(bot.mcp)
        self.become(bot, name, summary)

    def become(self, bot: Bot, name: str, summary: str = "", *, goes_on: bool = False) -> None:
        """Let a bot that `find` gave go on, unless the call is over; its MCP servers are connected.

        Args:
            bot: The bot.
            name: Its name.
            summary: What it has to know.
            goes_on: Whether its model speaks by itself, as it also does where one waits for a tool.
        """
        if self._closed:
            return
        context = self._context
        instructions = told(bot.instructions, summary)
        goes_on, needs_session = goes_on or self._tools.is_awaited, self._needs_session(bot)
        before, self._name, self.active = self._name, name, bot
        context.hooks.bot = bot
        tools = self._tools.offer(bot, bot.tools, bot.mcp)
        self._taken_over(bot, name, instructions)
        context.emit(events.BotChanged(context.now(), name, before))
        if not needs_session or not isinstance(self._link, BackendLink):
            self._link.put(port.UpdateInput(instructions or "", tools))
        else:
            backend = adapted(bot.backend, context.capabilities)
            keeps = goes_on_with(self._linked, backend)
            conversation = self._record.conversation
            self.backend, self._linked = bot.backend, backend
            if not keeps:
                self._tools.lose_session()
            self._link.replace(Replacement(backend, instructions, tools or (), conversation))
            if goes_on and not keeps:
                self._go_on()
        context.start_hook("on_handoff", summary)

    def resume(self, name: str, instructions: str | None) -> None:
        """Go on as the bot that a process was that is lost; before the first session is opened."""
        try:
            self._name, bot = self.find(name)
        except FishjamAgentsError as error:
            logger.warning("The call goes on as %s: %s", self._name, error, extra={"call": self._context.id})
            return
        self.active, self.backend = bot, bot.backend
        self._context.hooks.bot = bot
        self._tools.offer(bot, bot.tools, bot.mcp)
        self._taken_over(bot, name, instructions)
        if isinstance(self._link, BackendLink):
            self._linked = adapted(bot.backend, self._context.capabilities)
            self._link.begin_with(self._linked, instructions)

    def _go_on(self) -> None:
        can = self.backend.capabilities
        if can.respond:
            self.active.respond(_GO_ON)
        elif can.text:
            self._link.put(port.TextInput(f"[{_GO_ON}]"))

"""Bots of one call, of which another one may go on with it: other instructions, tools, voice and model."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.backends.fallback.adapted import adapted
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.backends.replacement import Replacement, goes_on_with
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.pipeline.bot import Bot
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.conversation_record import ConversationRecord
from fishjam_agents.pipeline.handoff_bots import first_name, make_bot, told
from fishjam_agents.pipeline.ports import BackendInputSink
from fishjam_agents.pipeline.tools import CallTools
from fishjam_agents.tools.handoff import Handoff

logger = logging.getLogger(__name__)

_GO_ON = "You have just taken over this call. Go on with the caller, and do not greet as in a new call."
_TELL = "Tell the caller, and go on with what they want."
_TAKEN_OVER = "The call is handed over, and you are the one who has taken it: go on with the caller."


@dataclass(slots=True, eq=False)
class _Holder:
    """A bot that has the call, or had it, or is about to.

    Attributes:
        name: Its name.
        bot: The bot.
        summary: What it was told of the call.
        session: Number of the session that serves it: bots that differ in instructions and tools share one.
    """

    name: str
    bot: Bot
    summary: str = ""
    session: int = 0


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
        self._first = self._holder = self._serving = _Holder(first_name(bot), bot)
        self._handoffs: Mapping[str, Any] = bot.handoffs
        self._context = context
        self._link = link
        self._tools = tools
        self._record = record
        self._taken_over = taken_over
        self._closed = False
        # Numbers of who was asked for last, and of who has the call.
        self._asked = self._taken = 0

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
                    f"{self._holder.name} hands the call over to {name!r}, which is none of its handoffs: "
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
        # An account that is full is known before the call has left the backend that serves it.
        self._link.verify_places(backend)
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
        self._asked = asked = self._asked + 1
        await self._tools.connect(bot.mcp)
        if asked < self._taken:
            raise FishjamAgentsError(f"{self._holder.name} was asked for later than {name}, and has the call")
        self.become(bot, name, handoff.summary, goes_on=True, asked=asked)
        return _TAKEN_OVER

    async def connect_and_become(self, bot: Bot, name: str, summary: str) -> None:
        """Let a bot go on once its MCP servers are connected."""
        self._asked = asked = self._asked + 1
        await self._tools.connect(bot.mcp)
        # Who was asked for later, and was ready sooner, keeps the call.
        if asked >= self._taken:
            self.become(bot, name, summary, asked=asked)

    def become(
        self, bot: Bot, name: str, summary: str = "", *, goes_on: bool = False, asked: int = 0
    ) -> None:
        """Let a bot that `find` gave go on, unless the call is over; its MCP servers are connected.

        Args:
            bot: The bot.
            name: Its name.
            summary: What it has to know.
            goes_on: Whether its model speaks by itself, as it also does where one waits for a tool.
            asked: Its number among those that were asked for; 0 where it is asked for now.
        """
        if self._closed:
            return
        self._asked += not asked
        self._taken = asked or self._asked
        goes_on = goes_on or self._tools.is_awaited
        self._switch(_Holder(name, bot, summary), _GO_ON if goes_on else None)
        self._context.start_hook("on_handoff", summary)

    def _switch(self, holder: _Holder, words: str | None, *, back: bool = False) -> None:
        """Let a bot go on.

        Args:
            holder: The bot.
            words: Instruction that its model speaks by; None where it waits for the caller.
            back: Whether it had the call last, and has it again.
        """
        context, bot = self._context, holder.bot
        instructions, needs_session = told(bot.instructions, holder.summary), self._needs_session(bot)
        before, self._holder, self.active = self._holder, holder, bot
        context.hooks.bot = bot
        tools = self._tools.offer(bot, bot.tools, bot.mcp)
        self._taken_over(bot, holder.name, instructions)
        context.emit(events.BotChanged(context.now(), holder.name, before.name))
        if not needs_session or not isinstance(self._link, BackendLink):
            holder.session = before.session
            if self._serving is before:
                self._serving = holder
            self._link.put(port.UpdateInput(instructions or "", tools))
            return
        backend = adapted(bot.backend, context.capabilities)
        keeps = goes_on_with(self._linked, backend)
        self.backend, self._linked = bot.backend, backend
        holder.session = before.session + 1
        if not keeps:
            self._tools.lose_session()
        self._link.replace(
            Replacement(
                *(backend, instructions, tools or (), self._record.conversation),
                opened=partial(self._opened, holder, words if back or not keeps else None),
                failed=None if back else partial(self._take_back, words is not None),
            )
        )

    def _opened(self, holder: _Holder, words: str | None) -> None:
        """Take note that the session of a bot is open."""
        if holder.session != self._holder.session:
            # The next one is about to take over.
            self._serving = holder
            return
        self._serving = self._holder
        can = self.backend.capabilities
        with contextlib.suppress(BackendError):
            if words is not None and can.respond:
                self.active.respond(words)
            elif words is not None and can.text:
                self._link.put(port.TextInput(f"[{words}]"))

    def _take_back(self, goes_on: bool, error: BackendError) -> None:
        """Let the bot go on that had the call last, since the session of the one after it cannot be opened.

        Args:
            goes_on: Whether its model says so to the caller.
            error: Why.
        """
        if self._closed:
            return
        context, failed, back = self._context, self._holder.name, self._serving
        message = f"{failed} cannot take the call over ({error}): {back.name} goes on with it"
        context.emit(events.ErrorRaised(context.now(), message, "handoff"))
        words = f"{failed} cannot take the call over at the moment, and you have it again."
        self._switch(back, f"{words} {_TELL}" if goes_on else None, back=True)
        context.start_hook("on_handoff", words)

    def _lead_to(self, name: str) -> None:
        """Know a bot's handoff, though it took several to come to it."""
        known, ways = dict(self._handoffs), [self._handoffs]
        while ways and name not in known:
            for wanted in ways.pop(0).values():
                further = make_bot(wanted, self.backend).handoffs
                ways.append({other: way for other, way in further.items() if other not in known})
                known = {**further, **known}
        if name in known:
            self._handoffs = {**self._handoffs, name: known[name]}

    def resume(self, name: str, instructions: str | None) -> None:
        """Go on as the bot that a process was that is lost; before the first session is opened."""
        first = self._first
        if name == first.name:
            # It had taken the call back.
            bot = first.bot
        else:
            try:
                self._lead_to(name)
                name, bot = self.find(name)
            except FishjamAgentsError as error:
                why = "The call goes on as %s: %s"
                logger.warning(why, first.name, error, extra={"call": self._context.id})
                return
            self._holder = self._serving = _Holder(name, bot)
        self.active, self.backend = bot, bot.backend
        self._context.hooks.bot = bot
        self._tools.offer(bot, bot.tools, bot.mcp)
        self._taken_over(bot, name, instructions)
        if isinstance(self._link, BackendLink):
            self._linked = adapted(bot.backend, self._context.capabilities)
            self._link.begin_with(self._linked, instructions)

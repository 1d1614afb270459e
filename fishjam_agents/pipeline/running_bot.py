"""A bot and the call it is in, for the controls of the call."""

from __future__ import annotations

from fishjam_agents.backends.port import Backend
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.journal.journal import CallJournal
from fishjam_agents.pipeline.call import Call
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.hooks import BotHooks
from fishjam_agents.pipeline.remote import RemoteRun

NOT_RUNNING = "the pipeline is not running: call this from a hook"


class RunningBot(BotHooks):
    """Hooks of a bot, and its call; between calls there is none.

    Attributes:
        backend: The model.
        journal: The call's journal.
    """

    backend: Backend
    journal: CallJournal | None

    # Set for the time of a call.
    _call_context: CallContext | None = None
    _call: Call | RemoteRun | None = None

    @property
    def call_id(self) -> str | None:
        """Id of the running call, None between calls."""
        return None if self._call_context is None else self._call_context.id

    @property
    def continued(self) -> bool:
        """True if the conversation was begun by a process that was lost: nobody is to be greeted again."""
        return self.journal is not None and self.journal.earlier is not None

    @property
    def connecting(self) -> bool:
        """True while a call has begun whose model has not been connected yet: nobody can be answered."""
        call = self._call
        return self._call_context is not None and (
            call is None or (isinstance(call, Call) and call.is_connecting)
        )

    def _attach(self, context: CallContext | None, call: Call | None) -> None:
        """Take the call that the bot is in from now on; None for none."""
        self._call_context, self._call = context, call

    @property
    def _active_bot(self) -> object:
        """The bot that goes on with the call."""
        return self._call.handoffs.active if isinstance(self._call, Call) else self

    @property
    def _serving_backend(self) -> Backend:
        """The backend that serves the call."""
        return self._call.handoffs.backend if isinstance(self._call, Call) else self.backend

    def _reachable_call(self) -> Call | RemoteRun:
        if self._call is None:
            raise FishjamAgentsError(NOT_RUNNING)
        return self._call

    def _running_call(self) -> Call:
        call = self._reachable_call()
        if isinstance(call, RemoteRun):
            raise FishjamAgentsError(
                "the bot's audio does not pass through this process: use send_text(), control() and stop()"
            )
        return call

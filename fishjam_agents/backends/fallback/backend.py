"""`type: fallback`: several backends in the order in which they are preferred; one stands in for another."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from fishjam_agents.audio.resampling import resample
from fishjam_agents.backends.connecting import CLOSE_DEADLINE, CONNECT_DEADLINE, Connecting
from fishjam_agents.backends.fallback.adapter import BackendAdapter
from fishjam_agents.backends.fallback.failover import FailoverPolicy
from fishjam_agents.backends.fallback.session import FallbackSession
from fishjam_agents.backends.fallback.state import ActiveBackend, FallbackState
from fishjam_agents.backends.link import REFRESH_INTERVAL
from fishjam_agents.backends.port import (
    Backend,
    BackendContext,
    BackendEvent,
    BackendSession,
    Capabilities,
    ConversationEnded,
    Samples,
    SessionRefresh,
    ToolDeclaration,
    ignore_handle,
    preload_any,
    reserve_first,
)
from fishjam_agents.backends.remote import RemoteBackend
from fishjam_agents.backends.vendors import (
    CallVendors,
    LimitReachedError,
    VendorEndpoint,
    VendorUnavailableError,
    VendorUse,
)
from fishjam_agents.errors import TRIED_AGAIN, BackendError, FishjamAgentsError, SettingError
from fishjam_agents.units import Seconds

logger = logging.getLogger(__name__)

MEMORY = "fallback"
"""The name in `BackendContext.memory`."""
_LONGEST_DEADLINE = CONNECT_DEADLINE - 2
"""Seconds: what comes of a deadline has to be known before the link's own is over."""
_CLOSE_DEADLINE = CLOSE_DEADLINE - 1


@dataclass(frozen=True, slots=True)
class Fallback(Backend):
    """Several backends of which one serves the call: the first, or who stands in for it.

    What the bot may do follows from the first; a fallback that can do less is left out of the rest.

    Attributes:
        backends: The preferred one first.
        attempts: Failures in a row, each of which may pass, after which the next one stands in. One that only
            the user can mend (a rejected key), or a quota, is enough by itself.
        recovery: Seconds after which a backend that was left is tried again; twice as many each further time,
            up to ten minutes. None stays with the fallback. After a failure that only the user can mend there
            is no other attempt in the call.
        deadline: Seconds a backend may take to be connected.
    """

    backends: Sequence[Backend]
    attempts: int = 2
    recovery: Seconds | None = 30.0
    deadline: Seconds = 8.0

    def __post_init__(self) -> None:
        if not self.backends:
            raise SettingError("backends", action="a fallback needs at least one")
        for backend in self.backends:
            if isinstance(backend, Fallback):
                raise SettingError("backends", action="a fallback in a fallback is one list, write one")
            if isinstance(backend, RemoteBackend):
                raise SettingError(
                    "backends",
                    action=f"{type(backend).__name__} is brought into the room by Fishjam itself, "
                    "nothing can stand in for it: use a backend with audio",
                )
        if not 1 <= self.attempts <= 5:
            raise SettingError("attempts", "must be between 1 and 5")
        if self.recovery is not None and not 1 <= self.recovery <= 3600:
            raise SettingError("recovery", "must be between 1 and 3600 seconds, or null")
        if not 0 < self.deadline <= _LONGEST_DEADLINE:
            raise SettingError("deadline", f"must be above 0 and at most {_LONGEST_DEADLINE:g} seconds")

    @property
    def chain(self) -> Sequence[Backend]:
        """The backends."""
        return self.backends

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        """Those of the first, as far as all of them bear it.

        An interrupted reply ends whether its backend can stop or not; pauses are told to whom they concern.
        Turns are ruled, and replies may wait, only where that goes for every one.
        """
        every = [backend.capabilities for backend in self.backends]
        return replace(
            every[0],
            input_rate=next((one.input_rate for one in every if one.input_rate), 0),
            output_rate=next((one.output_rate for one in every if one.output_rate), 0),
            cancel=True,
            conversation=True,
            wants_pauses=any(one.wants_pauses for one in every),
            pause_transcripts=any(one.pause_transcripts for one in every),
            own_turn_detection=all(one.own_turn_detection for one in every),
            replies_wait=all(one.replies_wait for one in every),
            enriches=all(one.enriches for one in every),
            speaks_alone=any(one.speaks_alone for one in every),
        )

    @property
    def endpoint(self) -> VendorEndpoint | None:
        """None: each of them has its own."""
        return None

    def reserve(self, call: CallVendors) -> None:
        """Take a place at the account of the first that has one."""
        reserve_first(self.backends, call)

    @property
    def audio_kept(self) -> float:  # type: ignore[override]
        """As much as the one that wants most."""
        return max(backend.audio_kept for backend in self.backends)

    @property
    def in_process(self) -> bool:  # type: ignore[override]
        """True if every one of them runs in this process."""
        return all(backend.in_process for backend in self.backends)

    @property
    def loads(self) -> Sequence[str]:  # type: ignore[override]
        """Names of the modules that connecting each of them imports."""
        return [name for backend in self.backends for name in backend.loads]

    def preload(self) -> None:
        """Load each of them, as `preload_any`."""
        preload_any(self.backends)

    @property
    def names(self) -> Sequence[str]:
        """Names of the backends in messages: their types, with a number where two are of one type."""
        types = [type(backend).__name__ for backend in self.backends]
        counts = Counter(types)
        return [
            name if counts[name] == 1 else f"{name} ({number} of {len(types)})"
            for number, name in enumerate(types, 1)
        ]

    def check(self) -> None:
        """Check each of them: a fallback that cannot work is found before it is needed."""
        for backend in self.backends:
            backend.check()

    def check_tools(self, tools: Sequence[ToolDeclaration]) -> None:
        """Check what each of them is to do with the tools."""
        for backend in self.backends:
            backend.check_tools(tools)

    async def speak(self, text: str) -> AsyncIterator[Samples]:
        """Speak given words by the first of them that can without a session; see `Backend.speak`."""
        voice = next((one for one in self.backends if one.capabilities.speaks_alone), self.backends[0])
        rates = (voice.capabilities.output_rate, self.capabilities.output_rate)
        pieces = [samples async for samples in voice.speak(text)]
        yield resample(np.concatenate([np.empty(0, np.int16), *pieces]), *rates)

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[BackendSession]:
        """Open a session of the backend that serves the call now.

        Raises:
            BackendError: It cannot be opened, or failed; retryable while one is left that may work.
        """
        state = self._state(context)
        active = state.active or self._fail_over(state)
        control = active.capabilities.control and type(active.backend) is type(self.backends[0])
        adapter = BackendAdapter(active, state, context.emit, control=control)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        session: FallbackSession | None = None
        try:
            async with self._connecting(active, state, adapter) as inner:

                async def probe(index: int) -> bool:
                    return await self._probe(index, state)

                session = FallbackSession(inner, state, active, adapter, probe)
                await self._begin(session, active, begun)
                state.serves(active, context.emit)
                begun = loop.time()
                yield session
            return
        except ConversationEnded:
            raise
        except SessionRefresh as refresh:
            if session is not None and session.returning:
                state.end()
                raise
            if loop.time() - begun > REFRESH_INTERVAL:
                raise
            failure = BackendError(
                f"wants a new connection at once ({refresh})", subject=active.name, retryable=True
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, another one can stand in
            failure = _failure(error, active.name)
        finally:
            adapter.close()
        self._failed(state, active, adapter, failure, loop.time() - begun)

    def _state(self, context: BackendContext) -> FallbackState:
        state: FallbackState | None = context.memory.get(MEMORY)
        if state is None:
            policy = FailoverPolicy(self.names, self.attempts, self.recovery)
            state = context.memory[MEMORY] = FallbackState(policy, context)
            if context.conversation is not None:
                state.transcript.continues(context.conversation)
        state.context = context
        return state

    def _fail_over(self, state: FallbackState) -> ActiveBackend:
        index = state.policy.health.choose(asyncio.get_running_loop().time())
        assert index is not None, "after the last one's failure nothing is connected any more"
        return state.begin(index, self.backends[index], self.names[index], self.capabilities)

    def _connecting(self, active: ActiveBackend, state: FallbackState, adapter: BackendAdapter) -> Connecting:
        if active.begun and not active.memory:
            # It remembers nothing over connections by itself.
            active.briefing = str(state.transcript)
            active.begun = False
        instructions = active.instructions(state.context.instructions)
        # While another one can stand in nobody waits for a vendor.
        spare = state.policy.another(active.index, asyncio.get_running_loop().time())
        patience = 0.0 if spare else _LONGEST_DEADLINE - self.deadline
        return self._dial(
            *(active.index, state, patience),
            emit=adapter.take,
            instructions=instructions,
            memory=active.memory,
        )

    def _dial(self, index: int, state: FallbackState, patience: float, **own: Any) -> Connecting:
        backend, context = self.backends[index], state.context
        tools = context.tools if backend.capabilities.tools else ()
        # What was said before is part of the transcript, and a handle of one is of no use to another.
        own_context = replace(
            context,
            tools=tools,
            attempt=state.connections[index],
            conversation=None,
            keep_handle=ignore_handle,
            **own,
        )
        # All calls that lose one vendor come to its fallback at the same moment.
        paced = state.connections.total() > 0
        state.connections[index] += 1
        return Connecting(backend, own_context, self.deadline, _CLOSE_DEADLINE, patience, paced)

    async def _begin(self, session: FallbackSession, active: ActiveBackend, asked: float) -> None:
        if active.begun:
            return
        try:
            async with asyncio.timeout_at(asked + _LONGEST_DEADLINE):
                await session.begin()
        except TimeoutError as error:
            raise BackendError(
                "took nothing", subject=active.name, action=TRIED_AGAIN, retryable=True
            ) from error
        active.begun = True

    def _failed(
        self,
        state: FallbackState,
        active: ActiveBackend,
        adapter: BackendAdapter,
        failure: BackendError,
        lasted: float,
    ) -> NoReturn:
        now = asyncio.get_running_loop().time()
        following, raised = state.policy.failed(active.index, failure, lasted, now)
        adapter.end_replies()
        if following != active.index:
            state.end()
            state.context.vendors.close()
        if following != active.index or not active.memory:
            adapter.lose_calls()
        if raised is failure:
            if isinstance(failure, VendorUnavailableError | LimitReachedError) and failure.retryable:
                # The link takes those for the end of a wait, and here there was none.
                reason, action = failure.reason, failure.action
                told = BackendError(reason, action=action, retryable=True, failure=failure.failure)
                told.backend = active.name
                raise told from failure
            failure.backend = active.name
            raise failure
        raise raised from failure

    async def _probe(self, index: int, state: FallbackState) -> bool:
        """Return whether a backend connects, beside the one that serves the call; else it rests again."""
        health = state.policy.health
        vendors = VendorUse()
        try:
            async with self._dial(index, state, 0.0, emit=_ignore, memory={}, vendors=vendors):
                health.rested(index)
                return True
        except Exception as error:  # noqa: BLE001 - whatever it is, the fallback goes on
            failure = _failure(error, self.names[index])
            logger.info("%s still fails: %s", self.names[index], failure)
            if failure.retryable:
                health.rest(index, asyncio.get_running_loop().time())
            else:
                health[index].lost = True
            return False
        finally:
            vendors.close()


def _ignore(event: BackendEvent) -> None:
    """Take an event of a session that serves nobody."""


def _failure(error: Exception, name: str) -> BackendError:
    """Return the failure that an exception of a backend means."""
    if isinstance(error, BackendError):
        return error
    if isinstance(error, FishjamAgentsError):
        return BackendError(str(error), failure="config")
    # A backend's bug is not the call's end while another one can stand in.
    logger.debug("%s failed:", name, exc_info=error)
    return BackendError(f"it failed on its own ({error!r}): see the log at debug level")

"""One call of a worker that serves many rooms: claim the room, be in it, give it back."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from fishjam_agents.backends.vendors import CallVendors
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import AsyncFishjamClient, NotFoundError
from fishjam_agents.journal.journal import CallJournal
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.worker.call_outcome import CallOutcome
from fishjam_agents.worker.call_record import CallRecord, CallStatus
from fishjam_agents.worker.call_service import CallRequest
from fishjam_agents.worker.call_state import CallPhase, CallState
from fishjam_agents.worker.claims import ClaimLostError, Claims, HeldElsewhere
from fishjam_agents.worker.settings import LimitSettings, RoomSettings
from fishjam_agents.worker.worker import JoinedRoom, SharedConnections, Worker

logger = logging.getLogger(__name__)

ENDED_CALL_DEADLINE = 20.0
"""Seconds a call that was told to stop may take: `Worker` promises 7 to hooks, and 2 to each request."""


_GOES_ON_ELSEWHERE = frozenset({"worker_stopped", "claim_lost", "other_bot"})
"""Reasons to stop after which another process has the room, and the conversation."""


LOG_ID = 8
"""Characters of a call's id in the log."""


class RoomCall:
    """A call; `state` says what it is at.

    Args:
        state: What it is at.
        request: What the API asked for; None of a call that a rule began.
        is_told: Whether somebody was told of it already.

    Attributes:
        id: Its id in the API.
        state: What it is at. Replaced, never changed.
        request: What the API asked for; None of a call that a rule began.
        pipeline: Its bot, while it runs.
        started: Loop time at which it began to run, the last time.
        begun: When it began, seconds since the epoch.
        ended: When it was over, seconds since the epoch; None while it is not.
        reason: Why it was over, in words.
        stopping: Why it was told to leave, None while it was not.
        has_joined: Whether its bot is in the room.
        vendors: Its places at vendors, and what it waits for.
        is_claimed: Whether the claim of the room was taken for it, where there are claims.
    """

    def __init__(
        self, state: CallState, request: CallRequest | None = None, *, is_told: bool = False
    ) -> None:
        self.id = uuid.uuid4().hex if request is None else request.id
        self.state = state
        self.request = request
        self.pipeline: AgentPipeline | None = None
        self.started = asyncio.get_running_loop().time()
        self.begun = time.time()
        self.ended: float | None = None
        self.reason: str | None = None
        self.stopping: str | None = None
        self.is_claimed = False
        self._is_told = is_told
        self.has_joined = False
        self.task: asyncio.Task[None] | None = None
        self.vendors = CallVendors()
        self._worker: Worker | None = None
        self._drained = False
        self._journal_id: str | None = None
        self._runs = 0

    @property
    def is_running(self) -> bool:
        """True while its bot is in the room, or on its way."""
        return self.state.phase is CallPhase.RUNNING

    @property
    def is_told(self) -> bool:
        """False while it is only an attempt of a rule, in a room that another process may have."""
        return self._is_told or self.is_claimed or not self.is_running

    @property
    def goes_on_elsewhere(self) -> bool:
        """True if it was told to leave so that another process has the room, and the conversation."""
        return self.stopping in _GOES_ON_ELSEWHERE or self._drained

    @property
    def log_id(self) -> str:
        """Id by which the log, records, recordings and webhooks name its run: the first characters of `id`.

        Later runs, after a failure, are `1a2b3c4d-2`, `1a2b3c4d-3`, ...
        """
        return self.id[:LOG_ID] if self._runs < 2 else f"{self.id[:LOG_ID]}-{self._runs}"

    @property
    def log_fields(self) -> dict[str, str]:
        """Fields of log lines about it."""
        return {"room": self.state.room_id}

    def record(self, process: str = "") -> CallRecord:
        """The call as the API tells of it."""
        state = self.state
        status: CallStatus
        match state.phase:
            case CallPhase.PARKED:
                status = "parked"
            case _ if self.ended is not None:
                status = "ended"
            case CallPhase.RUNNING:
                status = "running" if self.has_joined else "starting"
            case CallPhase.RESTARTING:
                status = "restarting"
            case CallPhase.ENDED:
                status = "ended"
            case _:
                assert_never(state.phase)
        reason = self.reason or state.message
        return CallRecord(
            self.id,
            state.room_id,
            state.bot,
            status,
            self.request is not None,
            self.begun,
            self.ended,
            reason,
            state.failures,
            process,
            self._journal_id,
            self.vendors.waiting,
        )

    def stop(self, reason: str) -> None:
        """Let the bot leave; the first reason counts."""
        if self.stopping is None:
            self.stopping = reason
            if self._worker is not None:
                self._worker.stop()

    def end_after_speech(self, farewell: bool) -> None:
        """Let the bot finish what it is saying, and leave.

        Args:
            farewell: Whether it says its farewell, if it has one: not where another process goes on.
        """
        self._drained = True
        if self.pipeline is not None and self.pipeline.call_id is not None:
            with suppress(FishjamAgentsError):
                if farewell:
                    self.pipeline.end_with_farewell()
                else:
                    self.pipeline.end_call()

    async def serve(
        self,
        make: Callable[[], AgentPipeline],
        shared: SharedConnections,
        limits: LimitSettings,
        claims: Claims | None,
        open_journal: Callable[[], Awaitable[CallJournal | None]] | None = None,
        lost: Iterable[str] = (),
    ) -> CallOutcome | HeldElsewhere:
        """Be in the room until the call ends.

        Args:
            make: Makes the bot; it may raise whatever user code raises.
            shared: The connections of the process.
            limits: Limits of the call.
            claims: Who serves which room; None where nobody else can.
            open_journal: Opens the call's journal, once the claim is ours; None without journals.
            lost: Bots of others in the room whose connection is lost: deleted, so that they do not come back.

        Returns:
            Why it ended; or that somebody else serves the room.

        Raises:
            ClaimLostError: Somebody else has taken the room over.
            ClaimStoreError: The claims cannot be used.
            FishjamAgentsError: As `Worker.run`.
        """
        room_id = self.state.room_id
        if claims is not None:
            claim = await claims.acquire(room_id)
            if isinstance(claim, HeldElsewhere):
                return claim
            if claim.orphan is not None:
                lost = {*lost, claim.orphan}
        self.is_claimed = True
        for agent_id in lost:
            await delete_agent(shared.client, room_id, agent_id)
        if self._is_told_to_leave():
            return CallOutcome.STOPPED
        self.pipeline = make()
        self.pipeline.vendors = self.vendors
        self._runs += 1
        self.pipeline.next_call_id = self.log_id
        journal = None
        if open_journal is not None:
            journal = self.pipeline.journal = await open_journal()
            self._journal_id = None if journal is None else journal.call
        self._worker = Worker(
            self.pipeline,
            fishjam_id=shared.client.url,
            management_token="",
            room=RoomSettings(id=room_id),
            limits=limits,
            placed=self._joined,
            shared=shared,
            before_connect=lambda agent_id: self._note(claims, agent_id),
        )
        if self._is_told_to_leave():
            self._worker.stop()
        try:
            outcome = await self._worker.run()
            if journal is not None and not self.goes_on_elsewhere:
                journal.end(outcome.value)
            return outcome
        finally:
            self._worker = self.pipeline = None
            self.has_joined = False
            # A note about an agent that is gone already costs who takes over a request, and nothing else.
            if claims is not None:
                try:
                    await claims.note_agent(room_id, None)
                except FishjamAgentsError as error:
                    logger.warning("%s", error, extra=self.log_fields)

    def _is_told_to_leave(self) -> bool:
        return self.stopping is not None

    def _joined(self, where: JoinedRoom) -> None:
        self.has_joined = True
        journal = "" if self._journal_id is None else f", written down in the journal {self._journal_id}"
        extra = {**self.log_fields, "call": self.log_id, "bot": self.state.bot, "peer": where.peer_id}
        bot, call = self.state.bot, self.id
        logger.info("the bot %s joins as %s: call %s%s", bot, where.peer_id, call, journal, extra=extra)

    async def _note(self, claims: Claims | None, agent_id: str) -> None:
        self.state = replace(self.state, agent_id=agent_id)
        if claims is not None and not await claims.note_agent(self.state.room_id, agent_id):
            raise ClaimLostError(
                f"the room {self.state.room_id} was taken over by another process: nothing to do"
            )


async def delete_agent(client: AsyncFishjamClient, room_id: str, agent_id: str) -> None:
    """Delete the agent that a process which is gone left in a room, if it is there.

    Raises:
        FishjamAgentsError: The server does not say that it is gone.
    """
    try:
        await client.delete_peer(room_id, agent_id)
        logger.info("deleted the agent of the process that had this room before", extra={"room": room_id})
    except NotFoundError:
        logger.debug("the agent of the process that had this room is gone", extra={"room": room_id})

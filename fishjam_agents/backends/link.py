"""The pipeline's end of a backend: the outbox, its sender, the reader, and reconnecting.

What the user says while the backend is away stays in the outbox (bounded) and is delivered once when it is
back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from fishjam_agents.backends.connecting import CONNECT_DEADLINE, Connecting
from fishjam_agents.backends.conversation import PastConversation, told_in_words
from fishjam_agents.backends.open_turn import OpenTurn
from fishjam_agents.backends.outbox import Outbox
from fishjam_agents.backends.port import (
    AudioInput,
    Backend,
    BackendContext,
    BackendEvent,
    BackendFailure,
    BackendInput,
    BackendSession,
    BackendWarning,
    ConversationEnded,
    Failover,
    InlineSession,
    SessionRefresh,
    ToolDeclaration,
    UpdateInput,
    ignore_handle,
)
from fishjam_agents.backends.replacement import Replacement, goes_on_with
from fishjam_agents.backends.tracebacks import SEE, describe
from fishjam_agents.backends.vendors import (
    PATIENCE,
    LimitReachedError,
    VendorUnavailableError,
    VendorUse,
)
from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import TRIED_AGAIN, BackendError
from fishjam_agents.events import Turn
from fishjam_agents.race import race

logger = logging.getLogger(__name__)

SEND_DEADLINE = 10.0
MAX_ATTEMPTS = 6
"""Failed attempts in a row after which the backend is given up."""
BACKOFF = Backoff(first=0.25, longest=8.0)
"""Waits between attempts."""
REFRESH_INTERVAL = 5.0
"""A session that asks to be renewed before it lasted this long, in seconds, counts as failed."""
TAKEOVER_ATTEMPTS = 3
"""Failed attempts after which a backend that was to take the call over does not."""
TAKEOVER_PATIENCE = 10.0
"""Seconds after which it is not tried again either: the caller waits, and the one before can go on."""
STEADY = 30.0
"""A session that lasted this long, in seconds, resets the count of attempts."""


class _ReplacedError(Exception):
    """Another backend goes on from here."""


class BackendLink:
    """One backend for one call.

    Args:
        backend: What to connect to.
        call: Id of the call.
        emit: Takes the backend's events; synchronous.
        outage: Told the length of an outage when it is over, in seconds.
        lost: Told that an outage begins.
        instructions: The system prompt.
        turn_mode: Who rules over turns.
        conversation: What was said before this process served the call.
        keep_handle: Takes the handle of the vendor's session.
        vendors: Use that the session makes of accounts at vendors.
        replaced: Told that a session was left for another backend.
        enrich: Returns what the model is to know with a turn, for backends that ask for it.

    Attributes:
        tools: The tools on offer; set them before `run`.
        connect_deadline: Seconds until a session must be open.
        send_deadline: Seconds until an input must be taken.
    """

    connect_deadline: ClassVar[float] = CONNECT_DEADLINE
    send_deadline: ClassVar[float] = SEND_DEADLINE

    def __init__(
        self,
        backend: Backend,
        call: str,
        emit: Callable[[BackendEvent], None],
        outage: Callable[[float], None],
        instructions: str | None = None,
        turn_mode: Literal["local", "backend"] = "local",
        conversation: PastConversation | None = None,
        keep_handle: Callable[[str], None] = ignore_handle,
        vendors: VendorUse | None = None,
        lost: Callable[[], None] = lambda: None,
        replaced: Callable[[], None] = lambda: None,
        enrich: Callable[[Turn], Awaitable[str | None]] | None = None,
    ) -> None:
        self._backend = backend
        self._call = call
        self._emit = emit
        self._outage = outage
        self._lost = lost
        self._replaced = replaced
        self._enrich = enrich
        self._turn = OpenTurn()
        # Who is to go on, while no session of it has been open yet; and whether places have to be given back.
        self._opening: Replacement | None = None
        self._unsettled = False
        self._instructions = instructions
        self._owner = turn_mode
        self._memory: dict[str, Any] = {}
        self._conversation = conversation
        self._keep_handle = keep_handle
        self._vendors = VendorUse() if vendors is None else vendors
        self.tools: Sequence[ToolDeclaration] = ()
        self._outbox = Outbox(backend.audio_kept)
        self._inline: InlineSession | None = None
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reported_drop = 0.0
        self.connected = asyncio.Event()

    @property
    def dropped(self) -> float:
        """Seconds of the user's audio that the backend did not take in time."""
        return self._outbox.dropped

    def put(self, item: BackendInput) -> None:
        """Pass an input on, in order. Never waits."""
        inline = self._inline
        if inline is not None and isinstance(item, AudioInput):
            # So it is with nearly every input of such a backend.
            if self._turn.inputs:
                self._turn.inputs.append(item)
            self._handle(inline, item)
            return
        if isinstance(item, UpdateInput):
            if self._outbox.amend(item):
                return
            # Also for the connections that follow.
            self._instructions = self._instructions if item.instructions is None else item.instructions
            self.tools = self.tools if item.tools is None else item.tools
            if item.instructions is not None:
                item = replace(item, instructions=self._told(item.instructions))
        if inline is not None:
            self._turn.note(item)
            self._handle(inline, item)
            return
        self._outbox.put(item)
        if self._outbox.dropped - self._reported_drop >= 1.0:
            lost = self._outbox.dropped - self._reported_drop
            self._reported_drop = self._outbox.dropped
            self._emit(
                BackendWarning(f"the backend takes no audio: {lost:.1f} s of the user's speech were dropped")
            )

    def replace(self, replacement: Replacement) -> None:
        """Have another backend go on with the call, once what was put before has been sent."""
        if self._inline is None:
            self._outbox.put(replacement)
        else:
            self._adopt(replacement)
            self._inline = None
            if not self._broken.done():
                self._broken.set_exception(_ReplacedError())
                self._broken.exception()

    def begin_with(self, backend: Backend, instructions: str | None) -> None:
        """Have another backend serve the call from its beginning; before `run`."""
        self._backend, self._instructions = backend, instructions
        self._unsettled = True

    def verify_places(self, backend: Backend) -> None:
        """Check that another backend would have places at its accounts, if the call went on with it.

        Accounts are those of the loop: from another thread nothing is checked, and what is full is known when
        the backend is opened.

        Raises:
            LimitReachedError: One is full.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        places = self._vendors.beside()
        try:
            backend.reserve(places)
        finally:
            places.close()

    def _adopt(self, replacement: Replacement) -> None:
        if not goes_on_with(self._backend, replacement.backend):
            self._memory = {}
            # Who is speaking goes on in the new session.
            self._outbox.put_back(self._turn.take())
        self._opening = replacement
        self._unsettled = True
        self._backend = replacement.backend
        self._conversation = replacement.conversation
        self._instructions = replacement.instructions
        self.tools = replacement.tools

    def _left_for_another(self) -> None:
        self._vendors.leave()
        self._replaced()

    def _opened(self) -> None:
        """Take note that a session is open: one that has taken the call over has it from now on."""
        if self._unsettled:
            self._unsettled = False
            self._vendors.settle()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.opened()

    def _taken_back(self, error: BackendError, failures: int, since: float) -> Replacement | None:
        """Return who goes on in the place of a backend that cannot take over; None where it may yet.

        Args:
            error: Why it could not be opened.
            failures: Attempts in a row that failed.
            since: When it was to take over, loop time.
        """
        opening = self._opening
        late = asyncio.get_running_loop().time() - since >= TAKEOVER_PATIENCE
        away = isinstance(error, VendorUnavailableError | LimitReachedError)
        if opening is None or opening.failed is None:
            return None
        if error.retryable and not away and not late and failures < TAKEOVER_ATTEMPTS:
            return None
        self._opening = None
        # Instructions of the last moment were for the one that does not go on.
        self._outbox.drop_updates()
        opening.failed(error)
        return self._outbox.take_replacement()

    def _handle(self, session: InlineSession, item: BackendInput) -> None:
        try:
            session.handle(item)
        except Exception as error:
            # A backend's bug ends its call with a sentence, not the room's loop.
            self._inline = None
            logger.debug("the backend's own error:", exc_info=error)
            if not self._broken.done():
                self._broken.set_exception(
                    BackendError(f"the backend failed on {type(item).__name__} ({describe(error)}): {SEE}")
                )
                # The link may be over already: asyncio is not to say that it got lost.
                self._broken.exception()

    async def run(self) -> str:
        """Keep a session open until cancelled, or until the model ends the conversation.

        Returns:
            Why it did.

        Raises:
            BackendError: The backend failed in a way only the user can mend, or too often in a row; or it
                could not be asked at all for `PATIENCE`.
        """
        try:
            return await self._run()
        finally:
            self._vendors.close()

    async def _run(self) -> str:
        loop = asyncio.get_running_loop()
        attempt = failures = 0
        lost_at: float | None = None
        paced: bool | None = None
        taken_over = loop.time()
        while True:
            started = loop.time()
            served = False
            opening = self._opening
            account = self._backend.endpoint
            try:
                async with self._open(attempt, paced) as session:
                    served, paced = True, None
                    if lost_at is not None:
                        self._outage(loop.time() - lost_at)
                        lost_at = None
                    self.connected.set()
                    self._opened()
                    await self._serve(session)
                error = BackendError("the backend ended the session", retryable=True)
            except ConversationEnded as ended:
                return str(ended)
            except _ReplacedError:
                attempt, failures, paced, taken_over = attempt + 1, 0, False, loop.time()
                self._left_for_another()
                continue
            except SessionRefresh as refresh:
                if loop.time() - started > REFRESH_INTERVAL and self._opening in (None, opening):
                    attempt += 1
                    continue
                error = BackendError(
                    f"the backend wants a new connection at once ({refresh})", retryable=True
                )
            except BackendError as raised:
                error = raised
            except Exception as bug:
                # A backend's bug ends its call with a sentence, and no other call of the process with it.
                logger.debug("the backend's own error:", exc_info=bug)
                kind = type(self._backend).__name__
                error = BackendError(f"the backend {kind} failed ({describe(bug)}): {SEE}")
                if self._opening is None:
                    raise error from bug
            finally:
                self._inline = None
            attempt += 1
            if self._opening not in (None, opening):
                # It had been left for another one: how it ended is no failure of that one.
                failures, paced, taken_over = 0, False, loop.time()
                self._left_for_another()
                continue
            if (replacement := self._outbox.take_replacement()) is not None:
                # Whoever was to go on goes on at once.
                self._adopt(replacement)
                failures, paced, taken_over = 0, False, loop.time()
                self._left_for_another()
                continue
            if isinstance(error, Failover):
                failures = 0
            else:
                failures = 1 if loop.time() - started > STEADY else failures + 1
            if (replacement := self._taken_back(error, failures, taken_over)) is not None:
                self._adopt(replacement)
                failures, paced, taken_over = 0, False, loop.time()
                self._left_for_another()
                continue
            if error.failure == "auth" and not error.retryable and self._backend.endpoint != account:
                # The key was changed meanwhile: the next connection has the new one.
                error.retryable = True
            if not error.retryable or isinstance(error, VendorUnavailableError | LimitReachedError):
                # It has waited for its turn already, as long as a call waits.
                raise error
            if failures >= MAX_ATTEMPTS:
                raise BackendError(
                    error.reason if error.action == TRIED_AGAIN else error.cause,
                    subject=error.subject,
                    action=f"given up after {failures} attempts",
                    failure=error.failure,
                ) from error
            if lost_at is None:
                # An attempt that was in vain kept the caller waiting from its beginning.
                lost_at = loop.time() if served else started
                self._lost()
            self._emit(BackendFailure.of(error, retryable=True))
            # Its traceback holds the whole session that is lost, for as long as the next one lasts.
            del error
            await asyncio.sleep(BACKOFF.delay(failures))

    def _open(self, attempt: int, paced: bool | None) -> Connecting:
        context = BackendContext(
            self._call,
            self._emit,
            self._told(self._instructions),
            self.tools,
            attempt,
            self._owner,
            self._memory,
            self._conversation,
            self._keep_handle,
            self._vendors,
            self._enrich if self._backend.capabilities.enriches else None,
        )
        # While the one before can go on nobody waits for a vendor.
        patience = PATIENCE if self._opening is None or self._opening.failed is None else 0.0
        return Connecting(self._backend, context, self.connect_deadline, patience=patience, paced=paced)

    def _told(self, instructions: str | None) -> str | None:
        """Instructions, with what was said before where the backend tells it in no other way."""
        if self._conversation is None or self._backend.capabilities.conversation:
            return instructions
        return told_in_words(instructions, self._conversation)

    async def _serve(self, session: BackendSession | InlineSession) -> None:
        if isinstance(session, InlineSession):
            self._broken = asyncio.get_running_loop().create_future()
            # What an event brings about meanwhile waits its turn behind what was there before.
            while len(self._outbox) and not self._broken.done():
                item = await self._outbox.peek()
                self._outbox.sent(item)
                if isinstance(item, Replacement):
                    self._adopt(item)
                    raise _ReplacedError
                self._turn.note(item)
                self._handle(session, item)
            self._inline = session
            await self._broken
            return
        await race(f"backend-{self._call}", read=session.read(), send=self._send(session))

    async def _send(self, session: BackendSession) -> None:
        while True:
            item = await self._outbox.peek()
            if isinstance(item, Replacement):
                self._outbox.sent(item)
                self._adopt(item)
                raise _ReplacedError
            try:
                async with asyncio.timeout(self.send_deadline):
                    await session.send(item)
            except TimeoutError as error:
                raise BackendError(
                    f"the backend took nothing for {self.send_deadline:g} s", retryable=True
                ) from error
            self._outbox.sent(item)
            self._turn.note(item)

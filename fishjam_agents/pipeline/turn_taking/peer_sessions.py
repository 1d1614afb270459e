"""Backend sessions of `hearing.mode: per_peer`, one for each peer, and what belongs to which."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import assert_never

from fishjam_agents.backends import port
from fishjam_agents.backends.id_namespace import IdNamespace, split_id
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.errors import BackendError

_SAID_REMEMBERED = 256
"""Ids of `say` that are remembered; more do not wait to be spoken."""
_SEPARATOR = "@"


class _Session:
    """One peer's session.

    Attributes:
        number: Number of the session, unique in the call and part of the ids of what it says.
        begun: Whether it was told of a turn; what comes before is the end of one it knows nothing of.
    """

    def __init__(
        self,
        peer: str,
        ids: IdNamespace,
        connect: Callable[[Callable[[port.BackendEvent], None]], BackendLink],
        emit: Callable[[_Session, port.BackendEvent], None],
    ) -> None:
        self.peer = peer
        self.ids = ids
        self.number = ids.number
        self.begun = False
        self.link = connect(lambda event: emit(self, event))
        self.task: asyncio.Task[None] | None = None


class PeerSessions:
    """Sessions of a call, in place of the one `BackendLink` of the other modes; a `BackendInputSink`.

    Each session has ids of its own for replies and tool calls; the call knows them by `id@number`, so that no
    two are the same, also when a peer comes back.

    Args:
        connect: Makes the link of a session, given the taker of its events.
        limit: Sessions that may be open.
        event: Takes a session's events with its peer; synchronous.

    Attributes:
        tools: The tools on offer; set them before `run`.
    """

    def __init__(
        self,
        connect: Callable[[Callable[[port.BackendEvent], None]], BackendLink],
        limit: int,
        event: Callable[[port.BackendEvent, str], None],
    ) -> None:
        self._connect = connect
        self._limit = limit
        self._event = event
        self.tools: Sequence[port.ToolDeclaration] = ()
        self._update = port.UpdateInput()
        self._open: dict[str, _Session] = {}
        self._numbers: dict[int, _Session] = {}
        self._peers: dict[int, str] = {}
        self._waiting: dict[str, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._said: OrderedDict[str, tuple[int, str | None]] = OrderedDict()
        self._last: _Session | None = None
        self._count = 0
        self._dropped_before = 0.0
        self._running = False
        self._over: asyncio.Future[BackendError | str] = asyncio.get_running_loop().create_future()

    @property
    def dropped(self) -> float:
        """Seconds of the users' audio that the backend did not take in time, all sessions."""
        return self._dropped_before + sum(session.link.dropped for session in self._open.values())

    # --- peers ---

    def open(self, peer: str) -> None:
        """Open a session for a peer, or let it wait for one."""
        if peer in self._open:
            return
        if len(self._open) >= self._limit:
            if peer not in self._waiting:
                self._waiting[peer] = None
                message = f"{peer} is not heard: {self._limit} sessions are open: raise hearing.max_sessions"
                self._event(port.BackendWarning(message), peer)
            return
        self._count += 1
        session = _Session(peer, IdNamespace(_SEPARATOR, self._count, self._said), self._connect, self._emit)
        if self._update != port.UpdateInput():
            session.link.put(self._update)
        self._open[peer] = self._numbers[session.number] = session
        self._peers[session.number] = peer
        if self._running:
            self._start(session)

    def close(self, peer: str) -> None:
        """Close the session of a peer; who waits for one gets it."""
        self._waiting.pop(peer, None)
        session = self._open.get(peer)
        if session is None:
            return
        self._forget(session)
        if session.task is not None:
            session.task.cancel()
        self._next()

    def _forget(self, session: _Session) -> None:
        if self._open.pop(session.peer, None) is not None:
            self._dropped_before += session.link.dropped
        self._numbers.pop(session.number, None)
        if self._last is session:
            self._last = None

    def _next(self) -> None:
        if self._waiting and len(self._open) < self._limit:
            peer = next(iter(self._waiting))
            del self._waiting[peer]
            self.open(peer)

    # --- running ---

    async def run(self) -> str:
        """Keep the sessions open until cancelled, or until the last one's model ends the conversation.

        Returns:
            Why it did.

        Raises:
            BackendError: The only session that was open is lost for good.
        """
        self._running = True
        try:
            for session in self._open.values():
                self._start(session)
            over = await self._over
            if isinstance(over, BackendError):
                raise over
            return over
        finally:
            self._running = False
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, session: _Session) -> None:
        session.link.tools = self.tools
        session.task = asyncio.get_running_loop().create_task(
            self._serve(session), name=f"backend-{session.number}"
        )
        self._tasks.add(session.task)
        session.task.add_done_callback(self._tasks.discard)

    async def _serve(self, session: _Session) -> None:
        try:
            reason = await session.link.run()
            if self._numbers.get(session.number) is session:
                self._ended(session, reason)
        except BackendError as error:
            if self._numbers.get(session.number) is session:
                self._given_up(session, error)

    def _ended(self, session: _Session, reason: str) -> None:
        """Close the session whose model ended its conversation; the call ends with the last one."""
        if len(self._open) == 1 and not self._waiting and not self._over.done():
            self._over.set_result(reason)
        self._forget(session)
        self._next()

    def _given_up(self, session: _Session, error: BackendError) -> None:
        """Go on with the other sessions when one is lost for good; the call ends with the last."""
        if len(self._open) == 1 and not self._waiting:
            self._forget(session)
            if not self._over.done():
                self._over.set_result(error)
            return
        self._event(port.BackendFailure.of(error), session.peer)
        self._forget(session)
        self._next()

    # --- what a session says ---

    def _emit(self, session: _Session, event: port.BackendEvent) -> None:
        if self._numbers.get(session.number) is not session:
            return
        event = session.ids.renamed(event)
        if isinstance(event, (port.UserTranscript, port.PreemptiveReply)) and event.peer is None:
            event = replace(event, peer=session.peer)
        self._event(event, session.peer)

    def addressee(self, reply: str) -> str | None:
        """Return the peer whom a reply answers; None for what is said to everybody."""
        if reply in self._said:
            return self._said[reply][1]
        return self._peers.get(split_id(reply, _SEPARATOR)[1] or 0)

    def _find(self, name: str) -> tuple[_Session | None, str]:
        """The session of a reply or tool call, None when it is closed, and its own id for it."""
        if name in self._said:
            return self._numbers.get(self._said[name][0]), name
        own, number = split_id(name, _SEPARATOR)
        return self._numbers.get(number or 0), own

    # --- what sessions are told ---

    def put(self, entry: port.BackendInput) -> None:
        """Pass an entry to whom it concerns: the peer it names, who said what it answers, or everybody."""
        match entry:
            case port.AudioInput() | port.SpeechSuspectedInput() | port.TurnStartedInput():
                self._speech(entry.peer, entry)
            case port.TurnPausedInput() | port.TurnResumedInput():
                self._speech(entry.peer, entry)
            case port.TurnEndedInput():
                self._speech(entry.turn.peer, entry)
            case port.ImageInput(peer=str(peer)) | port.TurnCancelledInput(peer=str(peer)):
                # What one peer's camera shows, or takes back, is no business of the others' models.
                session = self._open.get(peer)
                if session is not None:
                    session.link.put(entry)
            case port.InterruptInput():
                self._interrupt(entry)
            case port.ToolResultInput():
                session, own = self._find(entry.call)
                if session is not None:
                    session.link.put(replace(entry, call=own))
            case port.UpdateInput():
                self._update = _merged(self._update, entry)
                self._put_everywhere(entry)
            case (
                port.AudioEndedInput()
                | port.TurnCancelledInput()
                | port.TextInput()
                | port.ImageInput()
                | port.ControlInput()
                | port.OutOfBandInput()
            ):
                self._put_everywhere(entry)
            case _:
                assert_never(entry)

    def _put_everywhere(self, entry: port.BackendInput) -> None:
        for session in self._open.values():
            session.link.put(entry)

    def _speech(
        self,
        peer: str | None,
        entry: port.AudioInput
        | port.SpeechSuspectedInput
        | port.TurnStartedInput
        | port.TurnPausedInput
        | port.TurnResumedInput
        | port.TurnEndedInput,
    ) -> None:
        session = self._open.get(peer or "")
        begins = isinstance(entry, (port.TurnStartedInput, port.SpeechSuspectedInput))
        if session is None:
            # Lost for good before: a new turn is a new attempt.
            if peer is None or peer in self._waiting or not begins:
                return
            self.open(peer)
            session = self._open.get(peer)
            if session is None:
                return
        if not session.begun:
            if not begins:
                return
            session.begun = True
        if isinstance(entry, port.TurnEndedInput):
            self._last = session
        session.link.put(entry)

    def _interrupt(self, entry: port.InterruptInput) -> None:
        if entry.heard is None:
            return
        session, own = self._find(entry.heard.reply)
        if session is not None:
            session.link.put(port.InterruptInput(replace(entry.heard, reply=own)))

    def verify_session(self, peer: str | None) -> None:
        """Check that a peer has a session, or for None that there is one.

        Raises:
            BackendError: There is none.
        """
        self._addressed(peer)

    def _addressed(self, peer: str | None) -> _Session:
        session = self._last if peer is None else self._open.get(peer)
        session = session or (next(iter(self._open.values()), None) if peer is None else None)
        if session is None:
            who = "anybody" if peer is None else peer
            raise BackendError(f"there is no session for {who} yet: wait until they are heard")
        return session

    def send_text(self, entry: port.TextInput | port.OutOfBandInput, peer: str | None) -> None:
        """Pass text on: questions and words to speak to a peer, or who spoke last; other text to all or one.

        Raises:
            BackendError: There is no such session.
        """
        session = self._addressed(peer)
        if isinstance(entry, port.OutOfBandInput):
            session.link.put(entry)
            return
        if entry.reply is not None:
            self._said[entry.reply] = (session.number, peer)
            if len(self._said) > _SAID_REMEMBERED:
                self._said.popitem(last=False)
        if entry.reply is not None or peer is not None:
            session.link.put(entry)
        else:
            self.put(entry)


def _merged(before: port.UpdateInput, after: port.UpdateInput) -> port.UpdateInput:
    """Both updates as one, for sessions that are opened after them."""
    return port.UpdateInput(
        before.instructions if after.instructions is None else after.instructions,
        before.tools if after.tools is None else after.tools,
    )

"""A backend behind the pipeline's own link, with everything that comes of it noted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, ClassVar, TypeVar

import numpy as np

from fishjam_agents.backends import port
from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.errors import BackendError
from fishjam_agents.events import Turn
from fishjam_agents.testing.conformance.fake_service import FakeService, Received

EventT = TypeVar("EventT", bound=port.BackendEvent)

ECHO = port.ToolDeclaration(
    "kit_echo",
    "Give back what it is given.",
    {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
)
"""The tool that every backend under test is told of."""
_GLANCE = 0.01
_ENDS_WITHIN = 5.0


class Harness:
    """One conversation with the backend of a far side.

    Use as an async context manager; leaving it asserts that everything ended.

    Args:
        far: The far side; it runs.
        earlier: What was said before; None in a call that begins here.

    Attributes:
        backend: The backend under test.
        events: Everything it emitted.
        outages: Length of each outage that is over.
        failure: What ended the link, None while it runs.
    """

    def __init__(self, far: FakeService, earlier: PastConversation | None = None) -> None:
        self.backend = far.backend()
        self.capabilities = self.backend.capabilities
        self.events: list[port.BackendEvent] = []
        self.outages: list[float] = []
        self.failure: BackendError | None = None
        self._far = far
        self._turns = 0
        self._left = False
        self._late: list[port.BackendEvent] = []

        # A link whose patience a test has time for.
        class HastyLink(BackendLink):
            connect_deadline: ClassVar[float] = far.deadline
            send_deadline: ClassVar[float] = far.deadline

        self._link = HastyLink(
            self.backend,
            "kit",
            self._emit,
            self.outages.append,
            "Be brief.",
            conversation=earlier,
        )
        if self.capabilities.tools:
            self._link.tools = [ECHO]
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Harness:
        self._before = asyncio.all_tasks()
        self._running = asyncio.create_task(self._run(), name="conformance link")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()
        if error is None:
            assert not self._late, f"emitted after the session was left: {self._late[:3]}"
            mine = asyncio.current_task()
            left = [task for task in asyncio.all_tasks() - self._before if task is not mine]
            assert not left, f"tasks left behind: {left}"

    async def leave(self) -> None:
        """End the conversation, as the end of a call does; what is emitted afterwards is noted as late."""
        if self._left or self._running is None:
            return
        self._running.cancel()
        done, _ = await asyncio.wait({self._running}, timeout=_ENDS_WITHIN)
        assert done, f"the session did not close within {_ENDS_WITHIN:g} s"
        self._left = True
        await self.settle(0.2)

    async def _run(self) -> None:
        try:
            await self._link.run()
        except BackendError as error:
            self.failure = error

    def _emit(self, event: port.BackendEvent) -> None:
        (self._late if self._left else self.events).append(event)

    # --- what a test does ---

    async def connected(self) -> None:
        """Wait until there is a session."""
        await self.until(self._link.connected.is_set, "a session")

    def put(self, *entries: port.BackendInput) -> None:
        """Pass entries to the backend, as the pipeline does."""
        for item in entries:
            self._link.put(item)

    def turn(self, seconds: float = 0.6, sample: int = 1000) -> None:
        """A turn of somebody, all at once: audio whose samples all have one value."""
        self._turns += 1
        rate = self.capabilities.input_rate
        audio = np.full(round(seconds * rate), sample, np.int16)
        turn = _turn(self._turns, seconds)
        self.put(port.TurnStartedInput("ann", turn.start))
        if self.capabilities.wants_turn_audio:
            self.put(port.TurnEndedInput(turn, audio))
            return
        if rate:
            size = rate // 50
            self.put(
                *(
                    port.AudioInput("ann", audio[start : start + size], 0.02, speech=True)
                    for start in range(0, len(audio) - size + 1, size)
                )
            )
        self.put(port.TurnEndedInput(turn))

    def prompt(self) -> None:
        """Give a service that does nothing by itself a reason to: a turn."""
        if not self._far.unprompted:
            self.turn()

    async def until(self, holds: Callable[[], Any], what: str, within: float | None = None) -> None:
        """Wait until something holds; `what` says what is missing if it never does."""
        patience = self._far.patience if within is None else within
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while not holds():
            if self.failure is not None:
                raise AssertionError(f"the backend failed while waiting for {what}: {self.failure}")
            assert loop.time() < end, f"no {what} within {patience:g} s, but {self.events[-5:]}"
            await asyncio.sleep(_GLANCE)

    async def failed(self, within: float) -> BackendError:
        """Wait until the link gave the backend up; what it said."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while self.failure is None:
            assert loop.time() < end, f"the backend did not fail within {within:g} s, but {self.events[-5:]}"
            await asyncio.sleep(_GLANCE)
        return self.failure

    async def settle(self, seconds: float = 0.3) -> None:
        """Wait for what should not come."""
        await asyncio.sleep(seconds)

    def of(self, kind: type[EventT]) -> list[EventT]:
        """The events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def received(self, *kinds: str) -> Sequence[Received]:
        """Return the items that reached the far side, of some kinds or of all."""
        return [item for item in self._far.received() if not kinds or item.kind in kinds]

    async def reply_begins(self, sample: int, seconds: float = 0.6) -> str:
        """Have a turn answered; the id of the reply, once there is audio of it."""
        known = {event.reply for event in self.of(port.ReplyAudio)}

        def new() -> list[str]:
            return [event.reply for event in self.of(port.ReplyAudio) if event.reply not in known]

        await self._far.reply(seconds, sample)
        self.turn(seconds, sample)
        await self.until(new, "audio of a reply")
        return new()[0]


def _turn(number: int, seconds: float) -> Turn:
    """A turn as the pipeline tells of it."""
    start = float(number)
    return Turn(f"turn-{number}", "ann", "ann-mic", start, start + seconds)

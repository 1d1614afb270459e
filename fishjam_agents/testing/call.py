"""A call under test: a bot in a room in memory, led step by step in virtual time.

    with MemoryCall(Bot()) as call:
        ann = call.join("ann")
        ann.say(speech(2.0))
        call.until("reply_first_audio")
        ann.say(speech(1.5))
        call.until("reply_interrupted")
        call.expect("reply_interrupted", within=0.5, after="barge_in_suspected")

Time passes only where the test lets it: in `wait`, `until` and `run`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.formats import FRAME_SECONDS, AudioFormat
from fishjam_agents.events import Event
from fishjam_agents.observe.timeline import Timeline, render
from fishjam_agents.pipeline.agent import AgentPipeline
from fishjam_agents.session import PeerType
from fishjam_agents.testing.clock import VirtualClock
from fishjam_agents.testing.expectations import find, judge
from fishjam_agents.testing.memory import MemoryRoom
from fishjam_agents.testing.memory_peer import MemoryPeer
from fishjam_agents.testing.scenario import Expectations, Expected
from fishjam_agents.testing.sounds import RATE
from fishjam_agents.testing.time_spec import Reference

T = TypeVar("T")

PATIENCE = 30.0
"""Virtual seconds that `until` waits for an event if it is not told otherwise."""
LONG_PATIENCE = 600.0
"""Virtual seconds that `wait_for` waits if it is not told otherwise."""
_QUIET_ON_ARRIVAL = 0.5
_INSTANT = 1e-6
"""Seconds that are too short to wait for: the clock may not move by less."""
TROUBLE = ("error", "backend_failure")
"""Events that no call should have."""


class MemoryCall:
    """A bot in a room in memory. Nothing happens until the test lets time pass: `wait`, `until`, `run`.

    Use as a context manager. At its end the bot is stopped, and events of trouble (an `error` of a hook, a
    `backend_failure`) fail the test.

    Args:
        bot: The bot.
        delay: Seconds each of its messages takes to the server.
        jitter: Largest extra delay, seconds.
        room: A room of your own, in place of one with `delay` and `jitter`; its rate is what the bot hears.
        view: Whether the bot is told who is in the room; else it knows people by their sound alone.
        trouble: Whether errors and failures are part of the test.
        limit: Virtual seconds after which a call that does not end is stopped.

    Attributes:
        bot: The bot.
        room: Its room.
        observed: The events so far, as observers and hooks get them.
        unfinished: Names of the tasks that were left when the bot had ended.
    """

    def __init__(
        self,
        bot: AgentPipeline,
        *,
        delay: float = 0.0,
        jitter: float = 0.0,
        room: MemoryRoom | None = None,
        view: bool = True,
        trouble: bool = False,
        limit: float = 3600.0,
    ) -> None:
        self.bot = bot
        self.room = MemoryRoom(RATE, delay, jitter) if room is None else room
        self.observed: list[Event] = []
        self.unfinished: list[str] = []
        self._view = view
        self._settles = True
        self._trouble = trouble
        self._runner = VirtualClock(limit).runner()
        self._timeline = Timeline()
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._ended: float | None = None

    def __enter__(self) -> MemoryCall:
        self.bot.verify()
        self.bot.observers += [self._timeline, self._told]
        try:
            self._runner.run(self._open())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        try:
            self._runner.run(self._close())
            failure = self._failure()
        finally:
            self._ended = self.now
            self._runner.close()
            for observer in (self._timeline, self._told):
                self.bot.observers.remove(observer)
        if error is not None:
            return
        if failure is not None:
            raise failure
        if not self._trouble:
            self.expect_none(*TROUBLE)

    async def _open(self) -> None:
        await self.room.__aenter__()
        run = self.bot.run(
            self.room.session,
            input_format=AudioFormat(self.room.sample_rate),
            room=self.room if self._view else None,
        )
        self._task = asyncio.create_task(run, name="bot")
        if self._settles:
            # The bot gets as far as it comes without time.
            await asyncio.sleep(FRAME_SECONDS)

    async def _close(self) -> None:
        if self._task is not None and not self._task.done():
            self.bot.stop()
            await asyncio.wait({self._task})
        await self.room.__aexit__()
        self.unfinished = [task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}]

    def _told(self, event: Event) -> None:
        self.observed.append(event)
        self._news.set()

    def _failure(self) -> BaseException | None:
        task = self._task
        return task.exception() if task is not None and task.done() and not task.cancelled() else None

    # --- what people do ---

    def join(
        self, name: str, *, agent: bool = False, metadata: Mapping[str, Any] | None = None
    ) -> MemoryPeer:
        """Somebody comes in with an open microphone.

        Args:
            name: Their peer id.
            agent: Whether it is another bot.
            metadata: That of their microphone's track; None is `{"type": "microphone"}`.

        Returns:
            The peer: `say`, `stop_speaking`, `muted`, `republish`. Samples are int16 mono at 16 kHz.
        """
        kind = PeerType.AGENT if agent else PeerType.WEBRTC
        return self._at_once(lambda: self.room.join(name, kind, metadata))

    def leave(self, name: str) -> None:
        """Somebody goes, in the middle of a word if need be."""
        self._at_once(lambda: self.room.leave(name))

    def _at_once(self, act: Callable[[], T]) -> T:
        """Act on the call's loop, where what the room tells of belongs; no time passes."""
        if asyncio.events._get_running_loop() is not None:
            return act()

        async def acting() -> T:
            return act()

        return self._runner.run(acting())

    # --- time ---

    @property
    def now(self) -> float:
        """Call time, virtual seconds."""
        return self._ended if self._ended is not None else self._runner.get_loop().time()

    def wait(self, seconds: float) -> None:
        """Let time pass. `call.wait(ann.say(sound))` waits until it is said."""
        self.run(asyncio.sleep(seconds))

    def until(self, event: str, *, within: float = PATIENCE) -> Mapping[str, Any]:
        """Let time pass until an event comes; none if it came before.

        Args:
            event: Which, as in scenarios: `reply_ended`, `reply_ended 2`, `user_turn_ended of ann`.
            within: Virtual seconds from now that it may take.

        Returns:
            The event, as the timeline has it.

        Raises:
            AssertionError: It did not come; the message shows what came instead.
            ValueError: There is no such event.
        """
        __tracebackhide__ = True
        reference = Reference.parse(event)
        found = self.run(self._until(reference, within))
        if found is None:
            over = self._task is not None and self._task.done()
            why = "the call ended before" if over else f"it did not come within {within:g} s"
            failure = self._failure()
            raise AssertionError(f"{reference}: {why}\n\n{self}") from failure
        return found

    async def _until(self, reference: Reference, within: float) -> Mapping[str, Any] | None:
        assert self._task is not None
        deadline = asyncio.get_running_loop().time() + within
        over = asyncio.ensure_future(self._over())
        try:
            while (found := find(reference, self.events)) is None:
                self._news.clear()
                left = deadline - asyncio.get_running_loop().time()
                if left <= _INSTANT or self._task.done():
                    return None
                news = asyncio.ensure_future(self._news.wait())
                await asyncio.wait({news, over}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
            return found
        finally:
            over.cancel()

    async def _over(self) -> None:
        assert self._task is not None
        await asyncio.wait({self._task})

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine within the call: an action of the bot, a fake of the test."""
        return self._runner.run(work)

    # --- a call as a coroutine ---

    def play(self, script: Callable[[MemoryCall], Coroutine[Any, Any, None]]) -> MemoryCall:
        """Run the whole call beside a coroutine that leads it: until either is over.

        Both begin at 0.0 s. In place of the `with` block; what came of the call can be asked afterwards.

        Args:
            script: Given the call. Use `arrive`, `wait_for` and `asyncio.sleep` in it.

        Returns:
            The call.
        """
        self._settles = False
        with self:
            self.run(self._beside(script))
        return self

    async def _beside(self, script: Callable[[MemoryCall], Coroutine[Any, Any, None]]) -> None:
        assert self._task is not None
        player = asyncio.create_task(script(self), name="script")
        await asyncio.wait({self._task, player}, return_when=asyncio.FIRST_COMPLETED)
        if not player.done():
            player.cancel()
            await asyncio.wait({player})
        if not player.cancelled():
            player.result()

    async def arrive(self, *names: str) -> list[MemoryPeer]:
        """Let people come in and be quiet for half a second, as people are."""
        peers = [self.join(name) for name in names]
        await asyncio.sleep(_QUIET_ON_ARRIVAL)
        return peers

    async def wait_for(self, kind: str, count: int = 1, *, within: float = LONG_PATIENCE) -> Any:
        """Wait until the call has had so many events of a kind.

        Returns:
            The last of these, as in `observed`.

        Raises:
            AssertionError: They did not come within so many virtual seconds; the message shows what did.
        """
        deadline = asyncio.get_running_loop().time() + within
        while len(found := self.of(kind)) < count:
            left = deadline - asyncio.get_running_loop().time()
            if left <= _INSTANT:
                raise AssertionError(f"{kind} {count}: it did not come within {within:g} s\n\n{self}")
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)
        return found[count - 1]

    # --- what came of it ---

    def of(self, kind: str) -> list[Any]:
        """Return the events of a kind so far, as in `observed`."""
        return [event for event in self.observed if event.kind == kind]

    @property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """The events so far, as a timeline has them: `kind`, `at` and `media_at` in seconds of the call."""
        events: Sequence[Mapping[str, Any]] = self._timeline.document(self.now)["events"]
        return events

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events so far, in order."""
        return self._timeline.kinds

    @property
    def heard(self) -> npt.NDArray[np.int16]:
        """Audio of the bot that the room heard, gaps as zeros: int16 mono at its track's rate, shape (n,)."""
        return self.room.played()

    def __str__(self) -> str:
        return render(self._timeline.document(self.now))

    def expect(
        self,
        event: str,
        *,
        count: int | None = None,
        within: float | None = None,
        not_before: float | None = None,
        after: str | None = None,
        where: Mapping[str, str] | None = None,
        least: Mapping[str, float] | None = None,
        most: Mapping[str, float] | None = None,
    ) -> Mapping[str, Any] | None:
        """Assert that an event came, and when. Lets no time pass.

        Args:
            event: Which: `reply_ended`, `reply_ended 2`, `user_turn_ended.media_at of ann`; a time after the
                point is the one compared, `at` (decided) without.
            count: How many of them the call must hold so far; None is at least the one named.
            within: At most so many seconds after `after`.
            not_before: At least so many seconds after it.
            after: The event from which they are counted; None is the call's zero.
            where: Fields with the text they must have: `{"reason": "left"}`.
            least: Fields with the least they may be: `{"heard.seconds": 2}`.
            most: Fields with the most they may be.

        Returns:
            The event, None where `count` is 0.

        Raises:
            AssertionError: It did not come, or not so; the message shows the timeline.
            ValueError: There is no such event.
        """
        __tracebackhide__ = True
        expected = Expected(
            event=event,
            count=count,
            after=after,
            within=within,
            not_before=not_before,
            where=where or {},
            least=least or {},
            most=most or {},
        )
        self._judge(Expectations(events=(expected,), failures=True))
        return find(Reference.parse(event), self.events)

    def expect_order(self, *events: str) -> None:
        """Assert that these events came in this order; others may have come in between.

        Raises:
            AssertionError: They did not.
            ValueError: There is no such event.
        """
        __tracebackhide__ = True
        self._judge(Expectations(order=events, failures=True))

    def expect_none(self, *events: str) -> None:
        """Assert that none of these events came so far.

        Raises:
            AssertionError: One did.
            ValueError: There is no such event.
        """
        __tracebackhide__ = True
        self._judge(Expectations(absent=events, failures=True))

    def _judge(self, expectations: Expectations) -> None:
        __tracebackhide__ = True
        missed = [verdict for verdict in judge(expectations, self.events) if not verdict.met]
        if missed:
            lines = "\n".join(f"{verdict.expected}: {verdict.came}" for verdict in missed)
            raise AssertionError(f"{lines}\n\n{self}")

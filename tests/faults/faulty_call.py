"""A call to which something happens: a bot in a room, a caller, a vendor, and fault proxies between them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fishjam_agents import AgentPipeline
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.events import Event
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline.preload import preload
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.callers import Caller
from fishjam_agents.testing import Cut, FaultProxy, HalfOpen, Injection, Refuse, Reset
from fishjam_agents.testing.faults import Scope
from fishjam_agents.tools import tool
from fishjam_agents.worker import LimitSettings, RoomSettings, Worker

from .cells import FISHJAM, PARTS, Cell
from .utterances import Utterance, utterance
from .vendors import Vendor, VendorName, vendor

PATIENCE = 20.0
"""Seconds within which anything that is to happen happens."""
TRIES = 3
"""How often somebody says it again who is not answered because the room was not heard."""
_PATHS: dict[str, str | tuple[str, ...]] = {
    "agent": "/socket/agent",
    "notifier": "/socket/server",
    "rest": ("/room", "/validate"),
}


class Bot(AgentPipeline):
    """Says what its model says."""

    hearing = HearingSettings(echo="none")
    instructions = "Be brief."


class BotWithTool(Bot):
    """Has a tool that takes its time."""

    @tool(idempotent=True)
    async def look_up(self) -> str:
        """Look something up."""
        await asyncio.sleep(0.8)
        return "found"


@dataclass(slots=True)
class Outcome:
    """Fate of a call.

    Attributes:
        cell: Which call.
        answered: How often the caller had to speak after the fault to be answered; 0 is never.
        error: Sentence with which the call ended, if it did.
        problems: What is wrong about it.
        told: Failures and errors that were told meanwhile.
    """

    cell: Cell
    answered: int = 0
    error: str | None = None
    problems: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        cell = self.cell
        return {
            "socket": cell.socket,
            "fault": cell.trouble.name,
            "phase": cell.phase,
            "answered": self.answered,
            "error": self.error,
            "problems": self.problems,
            "told": self.told,
        }

    @property
    def summary(self) -> str:
        return f"ends: {self.error}" if self.error is not None else "goes on"


class FaultyCall:
    """One call, step by step."""

    def __init__(
        self, cell: Cell, server: EmbeddedServer, fishjam: FaultProxy, far: Vendor, caller: Caller
    ) -> None:
        self.cell = cell
        self.server = server
        self.fishjam = fishjam
        self.vendor = far
        self.caller = caller
        self.outcome = Outcome(cell)
        self.events: list[Event] = []
        self.said: list[Utterance] = []
        self.bot = BotWithTool() if cell.phase == "tool" else Bot()
        self.bot.backend = far.backend()
        self.bot.observers.append(self.events.append)
        if cell.phase == "greeting":
            rate = self.bot.backend.capabilities.output_rate
            self.bot.greeting = (6000 * np.sin(np.arange(2 * rate) / 9)).astype(np.int16)
        self.worker = Worker(
            self.bot,
            fishjam_id=fishjam.url,
            management_token=server.token,
            room=RoomSettings(id=caller.room.id),
            limits=LimitSettings(reconnect=8.0),
        )
        self.running: asyncio.Task[object] | None = None
        self.visitor: Caller | None = None

    # --- steps ---

    def start(self) -> None:
        self.running = asyncio.create_task(self.worker.run(), name=str(self.cell))

    @property
    def over(self) -> bool:
        return self.running is not None and self.running.done()

    def count(self, kind: str) -> int:
        return sum(event.kind == kind for event in self.events)

    async def until(self, holds: Callable[[], bool], what: str, patience: float = PATIENCE) -> bool:
        """Wait until something holds or the call is over; tell when it does not come."""
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while not holds() and not self.over:
            if loop.time() > end:
                self.outcome.problems.append(f"no {what} within {patience:g} s")
                return False
            await asyncio.sleep(0.01)
        return not self.over

    def say(self) -> Utterance:
        number = len(self.said)
        words = utterance(f"{'abcdefgh'[number]}{number}", seed=number)
        self.said.append(words)
        self.vendor.utterances.append(words)
        self.caller.say(words.clip)
        return words

    async def reach(self) -> None:
        """Bring the call into its phase."""
        phase = self.cell.phase
        if phase == "joining":
            return
        self.start()
        await self.until(self._ready, "call")
        if phase == "greeting":
            await self.until(lambda: self.count("reply_first_audio") > 0, "greeting")
            await asyncio.sleep(0.3)
            return
        await asyncio.sleep(0.2)
        self.say()
        first: dict[str, str] = {
            "user speaking": "user_started_speaking",
            "thinking": "user_turn_ended",
            "bot speaking": "reply_first_audio",
            "tool": "tool_started",
            "barge-in": "reply_first_audio",
            "leaving": "reply_first_audio",
        }
        await self.until(lambda: self.count(first[phase]) > 0, f"{first[phase]} before the fault")
        if phase == "barge-in":
            await asyncio.sleep(0.8)
            self.say()
            await self.until(lambda: self.count("barge_in_suspected") > 0, "suspected barge-in")
        else:
            await asyncio.sleep(0.0 if phase == "thinking" else 0.3)

    async def suffer(self) -> None:
        """Let it happen, and take it back."""
        injected = self.fail()
        if self.cell.phase == "joining":
            self.start()
        if self.cell.phase == "leaving":
            self.worker.stop()
        if self.cell.socket in ("notifier", "rest"):
            self.visitor = await self.server.add_caller(self.caller.room.id)
        if self.cell.phase == "greeting":
            # Somebody speaks over the greeting, so that something passes.
            self.say()
        if self.cell.phase == "joining" and self.cell.socket in PARTS:
            # Nobody connects to them before there is something to ask.
            await self.until(self._ready, "call")
            self.say()
        if injected and self.cell.phase != "leaving":
            await self._strikes(injected)
        await asyncio.sleep(self.cell.trouble.seconds)
        for proxy in (self.fishjam, *self.vendor.proxies.values()):
            proxy.clear()

    async def _strikes(self, injected: Sequence[Injection]) -> None:
        """Wait until it has happened; where nothing passes, somebody says something."""

        def struck() -> bool:
            return any(one.struck.is_set() for one in injected)

        for patience in (2.5, 8.0, 8.0):
            if await self._comes(struck, patience) or self.over:
                return
            if self.bot.call_id is not None:
                self.say()
        self.outcome.problems.append("nothing happened: no connection had the fault")

    def fail(self) -> list[Injection]:
        """Inject the faults.

        Returns:
            Those of them that are sure to strike: refusals do only where somebody connects.
        """
        injected = []
        path = _PATHS.get(self.cell.socket, "")
        proxies = [self.fishjam] if self.cell.socket in FISHJAM else self.vendor.faulty
        for proxy in proxies:
            # Where nobody is connected yet, it happens to whoever connects first.
            first = self.cell.phase == "joining" or not proxy.connections
            several = len(self.cell.trouble.faults) > 1
            for fault in self.cell.trouble.faults:
                if isinstance(fault, Refuse):
                    how = "reset" if path and fault.how == "port" else fault.how
                    proxy.inject(Refuse(how), path=path)
                elif isinstance(fault, (Cut, Reset)):
                    if first and several:
                        continue
                    scope: Scope = "all" if first else "live"
                    injected.append(proxy.inject(fault, scope, path=path, count=1 if first else None))
                elif isinstance(fault, HalfOpen) and several:
                    # For whoever connects again.
                    proxy.inject(fault, path=path)
                elif isinstance(fault, HalfOpen) and not first:
                    injected.append(proxy.inject(fault, "live", path=path))
                else:
                    injected.append(proxy.inject(fault, path=path))
        return injected

    async def answered(self) -> None:
        """Somebody speaks after it, and is answered."""
        if not await self.until(self._ready, "call after the fault"):
            return
        await self._quiet()
        for attempt in range(1, TRIES + 1):
            turns, replies = self.count("user_turn_ended"), self.count("reply_started")
            self.say()
            if (
                await self._comes(lambda turns=turns: self.count("user_turn_ended") > turns, 5.0)
                and await self._comes(lambda replies=replies: self.count("reply_started") > replies, PATIENCE)
                and await self._comes(self._spoken, PATIENCE)
            ):
                self.outcome.answered = attempt
                return
            if self.over:
                return
        self.outcome.problems.append("the caller is not answered any more")

    def _ready(self) -> bool:
        return self.bot.call_id is not None and not self.bot.connecting

    def _spoken(self) -> bool:
        last = [event.kind for event in self.events if event.kind in ("reply_started", "reply_ended")]
        return last[-1:] == ["reply_ended"]

    async def _comes(self, holds: Callable[[], bool], patience: float) -> bool:
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while not holds() and not self.over and loop.time() < end:  # noqa: ASYNC110 - many events
            await asyncio.sleep(0.01)
        return holds()

    async def _quiet(self) -> None:
        """Wait until nothing is said or answered any more."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE
        since, seen = loop.time(), -1
        while loop.time() < end and not self.over:
            saying = self.caller.speaks_until > self.server.clock.now
            if len(self.events) != seen or saying or self.bot.speech is not None:
                since, seen = loop.time(), len(self.events)
            elif loop.time() - since > 0.8:
                return
            await asyncio.sleep(0.05)

    async def end(self) -> None:
        """Leave, within the time that is promised."""
        assert self.running is not None
        early = self.over and self.cell.phase != "leaving"
        self.worker.stop()
        done, _ = await asyncio.wait([self.running], timeout=PATIENCE)
        if not done:
            self.outcome.problems.append(f"it has not ended {PATIENCE:g} s after stop")
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)
            return
        error = self.running.exception()
        if isinstance(error, FishjamAgentsError):
            self.outcome.error = str(error)
        elif error is not None:
            self.outcome.problems.append(f"it ended with {error!r}")
        elif early:
            self.outcome.error = self.events[-1].sentence() if self.events else "it ended without a word"

    # --- judging ---

    def judge(self) -> Outcome:
        outcome = self.outcome
        for event in self.events:
            if event.kind in ("backend_failure", "backend_warning", "error", "outage"):
                outcome.told.append(event.sentence())
        self._judge_sentences()
        visitor = self.visitor
        if visitor is not None and self.cell.phase != "leaving" and outcome.error is None:
            known = [event for event in self.events if event.as_dict().get("peer") == visitor.id]
            if not known:
                outcome.problems.append("who came meanwhile is not known")
        if self.cell.phase != "leaving":
            self._judge_audio()
        left = [peer for peer in self.caller.room.peers.values() if peer.type.value == "agent"]
        if left and not (self.cell.socket == "rest" and self.cell.phase == "leaving"):
            outcome.problems.append("the bot's agent is left in the room")
        return outcome

    def _judge_sentences(self) -> None:
        outcome = self.outcome
        ends = [] if outcome.error is None else [outcome.error]
        for sentence in (*outcome.told, *ends):
            if "Traceback" in sentence or "Error(" in sentence or not sentence.strip():
                outcome.problems.append(f"no sentence for people: {sentence!r}")
            ours = "Fishjam" in sentence or "room" in sentence
            if ours and self.cell.socket not in FISHJAM:
                outcome.problems.append(f"Fishjam is blamed for a vendor's fault: {sentence!r}")
        if self.cell.socket in FISHJAM:
            outcome.problems += [
                f"the vendor is blamed for Fishjam's fault: {event.sentence()!r}"
                for event in self.events
                if event.kind == "backend_failure"
            ]

    def _least_share(self) -> float:
        """Return which share of what was said has to have come."""
        damaged = self.cell.socket in PARTS and self.cell.trouble.name.startswith("garbled")
        if self.cell.socket in FISHJAM or damaged:
            # What the room says to nobody is lost, and a damaged request is of damaged words.
            return 0.0
        if any(event.kind == "outage" and event.as_dict()["what"] == "agent_socket" for event in self.events):
            # The machine was too busy for our pings, and what the room was told meanwhile nobody heard.
            return 0.0
        # A new call of Vapi's begins where the lost one ends: what was on its way is in neither.
        return 0.4 if self.cell.socket == "vapi" else 0.95

    def _judge_audio(self) -> None:
        """All that was said came whole and once, wherever the model's memory of it is."""
        conversations = self.vendor.conversations()
        for number, words in enumerate(self.said):
            counts = [words.counted_in(heard) for heard in conversations]
            most = max((times for _, times in counts), default=0)
            share = max((part for part, _ in counts), default=0.0)
            if most > 1:
                self.outcome.problems.append(f"{words.name} came {most} times")
            if self.outcome.error is not None:
                continue
            if share < self._least_share():
                self.outcome.problems.append(
                    f"of {words.name} (number {number}) {share:.0%} came while the vendor was away"
                )
        if self._least_share() and self.outcome.error is None and self.outcome.answered > 1:
            self.outcome.problems.append(f"the caller was answered at attempt {self.outcome.answered}")


@asynccontextmanager
async def faulty_call(cell: Cell, server: EmbeddedServer) -> AsyncIterator[FaultyCall]:
    async with AsyncExitStack() as stack:
        name: VendorName = "realtime" if cell.socket in FISHJAM else cell.socket  # type: ignore[assignment]
        far = await stack.enter_async_context(vendor(name, tool=cell.phase == "tool"))
        fishjam = await stack.enter_async_context(FaultProxy(server.url))
        caller = await server.add_caller(server.rooms.create().id)
        yield FaultyCall(cell, server, fishjam, far, caller)


async def suffer(cell: Cell, server: EmbeddedServer) -> Outcome:
    """Run one cell."""
    async with faulty_call(cell, server) as call:
        await asyncio.to_thread(preload, call.bot)
        await call.reach()
        await call.suffer()
        if cell.phase != "leaving":
            await call.answered()
        await call.end()
        outcome = call.judge()
        logging.getLogger(__name__).info("%s: %s %s", cell, outcome.summary, outcome.problems)
        return outcome

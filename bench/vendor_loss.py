"""`python -m bench.vendor_loss [--calls 200]`: many calls of one process lose their vendor at once.

The vendor is an emulator in another process, reached by the vendor's own client over real sockets; the room's
side is left out: each call is a `BackendLink`, which is all of it that a vendor meets. Twice: the emulator is
killed (SIGKILL) and is back after a while, and it refuses everything with 503 and `Retry-After`.

In the gap each call says something. What a connection costs is counted where this process makes it, so that
those which nobody accepts count, too; of a cascade's language model requests are counted, where they arrive.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
from fishjam_agents_gemini import Gemini
from fishjam_agents_openai.chat import Chat
from fishjam_agents_openai.realtime import Realtime

from bench.child import Child, child
from bench.machine import describe
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, SpeechToText, TextToSpeech, Transcript
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.backends.vendors import Vendors
from fishjam_agents.events import Turn

KILLED = "killed"
KINDS = ("gemini", "realtime", "cascade")
FRAMES = 10
"""Frames of 20 ms that each call says in the gap."""
FIRST_VALUE = 1000
"""Samples of the first call; silence and echoes have others."""
SETTLE = 2.0
"""Seconds in which what is on its way arrives."""
START_DEADLINE = 120.0
BACK_DEADLINE = 90.0


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that notes its outgoing connections.

    Attributes:
        connects: When each was begun, with the port, seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.connects: list[tuple[float, int]] = []

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect, and note it."""
        self.connects.append((time.monotonic(), address[1]))
        await super().sock_connect(sock, address)


@dataclass(frozen=True, slots=True)
class _Transcriber(SpeechToText):
    """Understands the value of the samples."""

    in_process: ClassVar[bool] = True

    async def transcribe(self, audio: Samples) -> AsyncIterator[Transcript]:
        yield Transcript(f"call {int(audio[0])}", True)


@dataclass(frozen=True, slots=True)
class _Silence(TextToSpeech):
    """Speaks a moment of silence for each sentence."""

    in_process: ClassVar[bool] = True
    sample_rate: int = 24000

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        yield bytes(960)


@dataclass(slots=True)
class _Call:
    """One call.

    Attributes:
        link: Its backend's link.
        value: Value of its samples.
        back: When its backend was back, or it was answered, loop time; None before.
        answers: Replies to the end.
        returned: Set when it is back.
    """

    link: BackendLink
    value: int
    back: float | None = None
    answers: int = 0
    returned: asyncio.Event = field(default_factory=asyncio.Event)

    def comes_back(self, now: float) -> None:
        """Take note that it is back."""
        self.back = now
        self.returned.set()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures of one loss; times in seconds.

    Attributes:
        kind: The vendor.
        loss: How it was lost.
        calls: Number of calls.
        away: Attempts while the vendor was away, and how long that was.
        peak: Most attempts within one second, at any time.
        total: All attempts from the loss until all were back.
        half: Until half of the calls were back, from the vendor's return.
        all: Until all were.
        once: Calls whose words arrived exactly once and whole.
        gave_up: Calls that ended.
    """

    kind: str
    loss: str
    calls: int
    away: tuple[int, float]
    peak: int
    total: int
    half: float
    all: float
    once: int
    gave_up: int

    def row(self) -> str:
        """The figures as a line of a table."""
        return (
            f"| {self.kind} | {self.loss} | {self.away[0]} in {self.away[1]:.1f} s | {self.peak} "
            f"| {self.total} | {self.half:.1f} | {self.all:.1f} | {self.once} of {self.calls} "
            f"| {self.gave_up} |"
        )


HEAD = """| vendor | loss | attempts while it was away | most in a second | attempts in all \
| half back, s | all back, s | heard once | ended |
|---|---|---|---|---|---|---|---|---|"""


def _backend(kind: str) -> port.Backend:
    if kind == "gemini":
        return Gemini()
    if kind == "realtime":
        return Realtime(model="gpt-realtime")
    return Cascade(stt=[_Transcriber()], llm=[Chat(model="emulated")], tts=[_Silence()])


class _Trial:
    def __init__(self, kind: str, calls: int, loop: CountingLoop) -> None:
        self._kind, self._loop = kind, loop
        self._backend = _backend(kind)
        self._calls = [self._call(FIRST_VALUE + number) for number in range(calls)]
        self._tasks = [loop.create_task(call.link.run(), name=f"call {call.value}") for call in self._calls]

    def _call(self, value: int) -> _Call:
        def emit(event: port.BackendEvent) -> None:
            if isinstance(event, port.ReplyAudioEnded):
                call.answers += 1
                if self._kind == "cascade":
                    call.comes_back(self._loop.time())

        def outage(seconds: float) -> None:
            call.comes_back(self._loop.time())

        call = _Call(BackendLink(self._backend, f"call-{value}", emit, outage), value)
        return call

    async def connected(self) -> None:
        """Wait until every call has its backend, and the emulator is done with that."""
        async with asyncio.timeout(START_DEADLINE):
            await asyncio.gather(*(call.link.connected.wait() for call in self._calls))
        await asyncio.sleep(SETTLE)

    async def speak(self, seconds: float) -> None:
        """Let each call say something at some moment of the gap."""
        moments = sorted((random.uniform(0.2, seconds - 0.5), call) for call in self._shuffled())
        begun = self._loop.time()
        for moment, call in moments:
            await asyncio.sleep(begun + moment - self._loop.time())
            self._say(call)

    def _shuffled(self) -> list[_Call]:
        return random.sample(self._calls, len(self._calls))

    def _say(self, call: _Call) -> None:
        rate = self._backend.capabilities.input_rate
        frame = np.full(rate // 50, call.value, np.int16)
        peer = f"peer-{call.value}"
        call.link.put(port.TurnStartedInput(peer, 0.0))
        for _ in range(FRAMES):
            if not self._backend.capabilities.wants_turn_audio:
                call.link.put(port.AudioInput(peer, frame, 0.02))
        audio = np.tile(frame, FRAMES) if self._backend.capabilities.wants_turn_audio else None
        call.link.put(port.TurnEndedInput(Turn(f"turn-{call.value}", peer, "mic", 0.0, 0.02 * FRAMES), audio))

    async def outcome(self, loss: str, lost: float, vendor: Child) -> Outcome:
        """Wait for the calls of a vendor that has just come back, end them, and return the figures."""
        back = time.monotonic()
        await self._all_back()
        counted = await vendor.ask(30, do="count")
        outcome = self._figures(loss, lost, back, counted)
        await self._end()
        return outcome

    async def _all_back(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(BACK_DEADLINE):
                await asyncio.gather(*(self._is_back(call, task) for call, task in self._both()))
        await asyncio.sleep(SETTLE)

    def _both(self) -> Iterator[tuple[_Call, asyncio.Task[str]]]:
        return zip(self._calls, self._tasks, strict=True)

    async def _is_back(self, call: _Call, task: asyncio.Task[str]) -> None:
        back = self._loop.create_task(call.returned.wait())
        await asyncio.wait({back, task}, return_when=asyncio.FIRST_COMPLETED)
        back.cancel()

    def _figures(self, loss: str, lost: float, back: float, counted: dict[str, Any]) -> Outcome:
        address = _port(self._kind)
        connects = [at for at, to in self._loop.connects if to == address and at >= lost]
        attempts = connects
        if self._kind == "cascade":
            # While nobody is there an attempt is a connection; else it is a request, on whichever connection.
            attempts = [at for at in connects if at < back] if loss == KILLED else []
            attempts += [at for at in counted["asked"] if at >= lost]
        times = sorted(call.back - back for call in self._calls if call.back is not None)
        samples = FRAMES * (self._backend.capabilities.input_rate // 50)
        heard = counted["heard"]
        once = sum(
            heard.get(f"call {call.value}") == 1 and call.answers == 1
            if self._kind == "cascade"
            else heard.get(str(call.value)) == samples
            for call in self._calls
        )
        return Outcome(
            self._kind,
            loss,
            len(self._calls),
            (sum(at < back for at in attempts), back - lost),
            max((sum(start <= at < start + 1 for at in attempts) for start in attempts), default=0),
            len(attempts),
            statistics.median(times) if times else math.inf,
            max(times) if len(times) == len(self._calls) else math.inf,
            once,
            sum(task.done() for task in self._tasks),
        )

    async def _end(self) -> None:
        """End the calls; tells why some had ended by themselves."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                print(f"{task.get_name()} ended: {error}", file=sys.stderr)
                break
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        left = [account for account in Vendors.shared() if account.calls or account.waiting]
        if left:
            raise RuntimeError(f"places were left behind: {left}")


_ADDRESS = {
    "gemini": "GOOGLE_GEMINI_BASE_URL",
    "realtime": "OPENAI_BASE_URL",
    "cascade": "OPENAI_BASE_URL",
}


def _port(kind: str) -> int:
    address = os.environ[_ADDRESS[kind]]
    return int(address.rpartition(":")[2].partition("/")[0])


@asynccontextmanager
async def _emulator(kind: str, folder: str, port: int = 0) -> AsyncIterator[Child]:
    async with child("vendor_emulator", kind=kind, port=port, folder=folder) as vendor:
        os.environ.update((await vendor.hear(60))["environment"])
        yield vendor


async def killed(kind: str, calls: int, away: float, loop: CountingLoop) -> Outcome:
    """The emulator is killed, and another one takes its place."""
    with tempfile.TemporaryDirectory() as folder:
        async with _emulator(kind, folder) as vendor:
            trial = _Trial(kind, calls, loop)
            await trial.connected()
            lost = time.monotonic()
            await vendor.kill()
        await trial.speak(away)
        await asyncio.sleep(max(0.0, lost + away - time.monotonic() - 1.0))
        async with _emulator(kind, folder, _port(kind)) as vendor:
            return await trial.outcome(KILLED, lost, vendor)


async def refused(kind: str, calls: int, away: float, loop: CountingLoop) -> Outcome:
    """The emulator drops all calls and answers 503 with `Retry-After`."""
    with tempfile.TemporaryDirectory() as folder:
        async with _emulator(kind, folder) as vendor:
            trial = _Trial(kind, calls, loop)
            await trial.connected()
            lost = time.monotonic()
            await vendor.ask(30, do="refuse", status=503, seconds=round(away))
            await trial.speak(away / 2)
            await asyncio.sleep(max(0.0, lost + away - time.monotonic()))
            await vendor.ask(30, do="accept")
            return await trial.outcome("503, Retry-After", lost, vendor)


Loss: TypeAlias = Callable[[str, int, float, CountingLoop], Coroutine[Any, Any, Outcome]]


def run_one(loss: Loss, kind: str, calls: int, away: float, loop: CountingLoop) -> Outcome:
    """Lose one vendor once; the environment is as it was before."""
    before = dict(os.environ)
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(loss(kind, calls, away, loop))
    finally:
        os.environ.clear()
        os.environ.update(before)


def measure(kinds: Sequence[str], calls: int) -> list[Outcome]:
    """Both losses of each vendor."""
    outcomes = []
    for kind in kinds:
        for loss, away in ((killed, 5.0), (refused, 10.0)):
            outcomes.append(run_one(loss, kind, calls, away, CountingLoop()))
            print(outcomes[-1].row(), file=sys.stderr, flush=True)
    return outcomes


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.vendor_loss", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--vendor", action="append", choices=KINDS)
    arguments = parser.parse_args()
    outcomes = measure(arguments.vendor or KINDS, arguments.calls)
    print(describe())
    print(f"\n{arguments.calls} calls of one process\n\n{HEAD}")
    print("\n".join(outcome.row() for outcome in outcomes))


if __name__ == "__main__":
    main()

"""One thread for a model that several calls share: they take turns, and none waits without bound."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fishjam_agents.errors import BackendError, ConfigError

K = TypeVar("K")
M = TypeVar("M")
T = TypeVar("T")
R = TypeVar("R")
_NICE = 2
"""How much lower the priority of the threads of models is: the loop, which has sound to send, goes first.
Much lower would leave them little of a machine that is busy with something else."""

_GLANCE = 1.0
"""Seconds after which a thread that waits sees that a program ended in the middle of its calls."""


class _End:
    """Mark behind the last piece of an answer."""


class Job(Generic[T]):
    """One piece of work for the model, as the function that does it sees it.

    `put`, `on_stop` and `stopped` are for the worker's thread; who takes long looks at `stopped` often.
    """

    def __init__(
        self, worker: ModelWorker, call: object, function: Callable[[Job[T]], Any], urgent: bool
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._worker = worker
        self._function = function
        self.call = call
        self.urgent = urgent
        self.pieces: asyncio.Queue[T | _End] = asyncio.Queue()
        self.begun = self._loop.create_future()
        self.over: asyncio.Future[Any] = self._loop.create_future()
        self._stopped = threading.Event()
        self._on_stop: Callable[[], None] | None = None

    @property
    def stopped(self) -> bool:
        """True once nobody wants the rest, or the program ends."""
        return self._stopped.is_set() or _program_ends()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Have a function called when nobody wants the rest, in any thread, and maybe twice."""
        self._on_stop = callback
        if self.stopped:
            callback()

    def put(self, piece: T) -> None:
        """Hand over a piece of the answer."""
        self._tell(self.pieces.put_nowait, piece)

    def stop(self) -> None:
        """Want no more of it: a job that waits is dropped, one that runs is told."""
        if self.over.done():
            return
        self.over.cancel()
        self._stopped.set()
        if not self._worker.drop(self) and self._on_stop is not None:
            self._on_stop()

    def run(self) -> None:
        """Do the work, in the worker's thread."""
        self._tell(_settle, self.begun, None)
        try:
            result = self._function(self)
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
            self._tell(_fail, self.over, error)
        else:
            self._tell(_settle, self.over, result)
        self._tell(self.pieces.put_nowait, _End())

    def _tell(self, function: Callable[..., object], *values: object) -> None:
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *values)


def _settle(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


class ModelWorker:
    """Thread of one model. It is there while calls are, and works for each of them in turn.

    Usage: one for each loaded model, shared by all calls of the process; each call holds `with
    worker.call() as call:` and awaits `call.run(function)` or iterates `call.stream(function)`.

    Args:
        what: What works there, as messages name it: "Whisper".
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._changed = threading.Condition()
        # Two rings of calls: who waits for an answer, and what may come later.
        self._urgent: dict[object, deque[Job[Any]]] = {}
        self._other: dict[object, deque[Job[Any]]] = {}
        self._calls = 0
        self._thread: threading.Thread | None = None

    @contextmanager
    def call(self, wait: float = 5.0) -> Iterator[ModelCall]:
        """A call that may use the model; the last one that leaves ends the thread.

        Args:
            wait: Seconds that each of its jobs waits for its turn at most.
        """
        with self._changed:
            if self._thread is None:
                # No daemon: the interpreter would end it in the middle of C++, which aborts the process.
                thread = threading.Thread(target=self._work, name=f"model {self.what}")
                thread.start()
                self._thread = thread
            self._calls += 1
        try:
            yield ModelCall(self, wait)
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify()

    @property
    def waiting(self) -> int:
        """Number of jobs that wait for their turn."""
        with self._changed:
            return sum(len(jobs) for ring in (self._urgent, self._other) for jobs in ring.values())

    def add(self, job: Job[Any]) -> None:
        """Have a job wait for its turn."""
        with self._changed:
            self._ring(job).setdefault(job.call, deque()).append(job)
            self._changed.notify()

    def drop(self, job: Job[Any]) -> bool:
        """Take a job back that waits.

        Returns:
            Whether it did: False if it runs, or is done.
        """
        with self._changed:
            ring = self._ring(job)
            jobs = ring.get(job.call, deque())
            if job not in jobs:
                return False
            jobs.remove(job)
            if not jobs:
                del ring[job.call]
            return True

    def _ring(self, job: Job[Any]) -> dict[object, deque[Job[Any]]]:
        return self._urgent if job.urgent else self._other

    def _next(self) -> Job[Any] | None:
        """The first job of the call that has waited longest since its last one."""
        for ring in (self._urgent, self._other):
            for call in ring:
                jobs = ring.pop(call)
                job = jobs.popleft()
                if jobs:
                    # A dict keeps the order of insertion: this call goes to the end.
                    ring[call] = jobs
                return job
        return None

    def _work(self) -> None:
        _give_way()
        while True:
            with self._changed:
                while (job := self._next()) is None:
                    if not self._calls or _program_ends():
                        self._thread = None
                        return
                    self._changed.wait(_GLANCE)
            job.run()


class ModelCall:
    """Place of one call at a model."""

    def __init__(self, worker: ModelWorker, wait: float) -> None:
        self._worker = worker
        self._wait = wait

    async def run(self, function: Callable[[Job[Any]], R], *, urgent: bool = True) -> R:
        """Have a function run in the model's thread, and return what it returns.

        Args:
            function: It gets its `Job`. Who stops waiting for it drops it, or has `job.stopped` set.
            urgent: False for what may come later, than the urgent jobs of other calls, too.

        Raises:
            BackendError: Its turn did not come in time.
        """
        job: Job[Any] = Job(self._worker, self, function, urgent)
        try:
            await self._begin(job)
            result: R = await job.over
            return result
        finally:
            job.stop()

    async def stream(
        self, function: Callable[[Job[T]], object], *, urgent: bool = True
    ) -> AsyncGenerator[T, None]:
        """Have a function run in the model's thread, and yield what it hands over with `job.put`.

        Args:
            function: It gets its `Job`. When the iterator is closed `job.stopped` is set.
            urgent: As of `run`.

        Raises:
            BackendError: Its turn did not come in time.
        """
        job: Job[T] = Job(self._worker, self, function, urgent)
        try:
            await self._begin(job)
            while not isinstance(piece := await job.pieces.get(), _End):
                yield piece
            job.over.result()
        finally:
            job.stop()

    async def _begin(self, job: Job[Any]) -> None:
        worker = self._worker
        worker.add(job)
        await asyncio.wait([job.begun], timeout=self._wait)
        if not job.begun.done() and worker.drop(job):
            raise BackendError(
                f"{worker.what} is busy with other calls, it had no turn within {self._wait:g} s: "
                "have fewer calls at a time, or a faster machine",
                retryable=True,
            )


@dataclass(frozen=True, slots=True)
class SharedModel(Generic[M]):
    """A model that is loaded, and the thread that works with it.

    Attributes:
        model: The model.
        worker: Its thread.
    """

    model: M
    worker: ModelWorker


class SharedModels(Generic[K, M]):
    """Models of one kind, each loaded once for all calls of a process, on first use.

    Args:
        what: What they are, as messages name them: "Whisper".
        load: Loads one and runs it once; it blocks.
    """

    def __init__(self, what: str, load: Callable[[K], M]) -> None:
        self._what = what
        self._load = load
        self._loading = threading.Lock()
        self._loaded: dict[K, SharedModel[M]] = {}

    def get(self, key: K) -> SharedModel[M]:
        """Load a model, unless it is: not in a loop that has sound to send.

        Args:
            key: What it is loaded by: its path and threads.

        Raises:
            ConfigError: It cannot be loaded; nothing of it is kept.
        """
        with self._loading:
            if key not in self._loaded:
                # What a model starts threads of inherits their priority.
                with ThreadPoolExecutor(1, f"load {self._what}", initializer=_give_way) as thread:
                    model = thread.submit(self._load, key).result()
                self._loaded[key] = SharedModel(model, ModelWorker(self._what))
            return self._loaded[key]

    async def ready(self, key: K) -> SharedModel[M]:
        """As `get`, in a thread: for who connects without having loaded it before (`Component.preload`).

        Raises:
            BackendError: It cannot be loaded.
        """
        if (shared := self._loaded.get(key)) is not None:
            return shared
        try:
            return await asyncio.to_thread(self.get, key)
        except ConfigError as error:
            raise BackendError(str(error), failure="config") from error


def _program_ends() -> bool:
    """Return whether only other threads are left, for which the interpreter waits."""
    return not threading.main_thread().is_alive()


def _give_way() -> None:
    if sys.platform == "linux":
        with suppress(OSError):
            # Of this thread alone, and of those that it starts: nice(2), as Linux has it.
            os.nice(_NICE)

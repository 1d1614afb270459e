"""A whole call on this machine: callers, bot and recorder on one clock, over real sockets or in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.wav import Clip
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.events import BackendFailure, ErrorRaised, Event
from fishjam_agents.fishjam.options import audio_sample_rate
from fishjam_agents.observe.log import EventLog
from fishjam_agents.observe.replay.recorder import MemoryRecorder
from fishjam_agents.observe.timeline import Timeline
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.preload import preload
from fishjam_agents.server import EmbeddedServer, RoomClock
from fishjam_agents.simulation.result import SimulationResult
from fishjam_agents.simulation.scene import LONGEST_SECONDS, Scene
from fishjam_agents.simulation.sounds import Prepared, prepare
from fishjam_agents.simulation.stop_request import StopRequest
from fishjam_agents.simulation.warm_up import short_collections
from fishjam_agents.testing.clock import VirtualClock, VirtualClockError
from fishjam_agents.testing.memory import MemoryRoom
from fishjam_agents.testing.scenario import Scenario
from fishjam_agents.worker.call_outcome import REASONS
from fishjam_agents.worker.limits import CallLimits
from fishjam_agents.worker.settings import LimitSettings, RoomSettings
from fishjam_agents.worker.worker import Worker

T = TypeVar("T")

_STARTING_SECONDS = 60.0
"""Seconds of virtual time that a call in memory may take beside its own length."""

_LOOK = 0.05
"""Seconds between two looks whether a call that has not begun, or is over, is to be stopped."""
_LEAVING = 3.0
"""Seconds in which the bot of a call that was stopped may leave, and its code be cancelled."""

_LATE = 0.001
"""Lateness of timers in memory, seconds: epoll, which real loops use, counts whole milliseconds."""
_PHASE = 0.01
"""Lag of the bot's ticks behind the room's clock in memory, seconds. Over sockets they are somewhere
between two of the room's, so the middle is nearest to all of them."""


async def simulate(
    pipeline: AgentPipeline,
    callers: Scenario | Sequence[Clip] | Prepared,
    *,
    seconds: float | None = None,
    delay: float = 0.0,
    jitter: float = 0.0,
    limits: LimitSettings = LimitSettings(),  # noqa: B008 - frozen
    stop: StopRequest | None = None,
) -> SimulationResult:
    """Let callers talk to a bot in an embedded server of their own and record what happens.

    Args:
        pipeline: The bot; it must not run elsewhere.
        callers: A scenario, also one whose sounds are ready (`prepare`); or what each caller says from the
            call's zero on: any rate, mono or stereo. At least one.
        seconds: Length of the call, at most 600. None is the scenario's, or ends it when the callers have
            finished and the bot has been silent for 3 s.
        delay: Seconds each message of the bot takes to the server, beside the scenario's.
        jitter: Largest extra delay, in seconds, beside the scenario's.
        limits: What ends the call early.
        stop: Ends it when it is made, and what was recorded by then is the call.

    Returns:
        The call. A bot that failed in the middle of it ended it; then `failure` is set.

    Raises:
        FishjamAgentsError: The call did not come about; a `StoppedError` where it was to end before it began.
        ValueError: There is no caller.
    """
    stop = StopRequest() if stop is None else stop
    cast = prepare(callers)
    async with AsyncExitStack() as stack:
        stack.enter_context(stop.call())
        await _loaded(pipeline, stop)
        server = await stack.enter_async_context(
            EmbeddedServer(delay=delay + cast.delay, jitter=jitter + cast.jitter)
        )
        room = server.rooms.create()
        scene = Scene(
            room,
            server.clock,
            cast.parts,
            cast.seconds if seconds is None else seconds,
            lambda: pipeline.connecting,
            stop,
        )
        worker = Worker(
            pipeline,
            fishjam_id=server.url,
            management_token=server.token,
            room=RoomSettings(id=room.id),
            limits=limits,
            # By then all that a call needs is loaded.
            placed=lambda placement: stack.enter_context(short_collections()),
        )
        return await _perform(pipeline, scene, server.clock, room.id, worker.run(), worker.stop, stop)


async def _loaded(pipeline: AgentPipeline, stop: StopRequest) -> None:
    """Wait until what a call of this bot loads is there.

    Raises:
        StoppedError: It is no longer waited for.
    """
    loading = asyncio.ensure_future(asyncio.to_thread(preload, pipeline))
    try:
        while not loading.done():
            stop.check()
            await asyncio.wait({loading}, timeout=_LOOK)
        await loading
    finally:
        # Its thread goes on to its end, which nobody is told of any more.
        loading.cancel()


def simulate_fast(
    pipeline: AgentPipeline,
    callers: Scenario | Sequence[Clip] | Prepared,
    *,
    seconds: float | None = None,
    limits: LimitSettings = LimitSettings(),  # noqa: B008 - frozen
    stop: StopRequest | None = None,
) -> SimulationResult:
    """As `simulate`, in memory and under a virtual clock: as fast as the machine computes it.

    Room, playout and callers are the embedded server's, without its sockets. The same call gives the same
    events every time.

    Raises:
        FishjamAgentsError: The call did not come about, or the bot needs more than this process: a backend
            that is not `in_process`, sockets in a hook.
        ValueError: There is no caller.
    """
    pipeline.verify()
    if not pipeline.backend.in_process:
        raise FishjamAgentsError(
            f"{type(pipeline.backend).__name__} is not in this process and keeps its own time: "
            "run the scenario without --fast"
        )
    cast = prepare(callers)
    stop = StopRequest() if stop is None else stop

    async def call() -> SimulationResult:
        rate = audio_sample_rate(pipeline.backend.capabilities.input_rate)
        async with MemoryRoom(rate, cast.delay, cast.jitter) as memory:
            scene = Scene(
                memory.room,
                memory.clock,
                cast.parts,
                cast.seconds if seconds is None else seconds,
                lambda: pipeline.connecting,
                stop,
            )
            watch = CallLimits(limits, memory, lambda ending: pipeline.stop(REASONS[ending]))
            await asyncio.sleep(_PHASE)
            watch.start()
            try:
                run = pipeline.run(memory.session, input_format=AudioFormat(rate), room=memory)
                return await _perform(pipeline, scene, memory.clock, memory.room.id, run, pipeline.stop, stop)
            finally:
                watch.close()

    try:
        with stop.call():
            return VirtualClock(LONGEST_SECONDS + _STARTING_SECONDS, late=_LATE).run(call())
    except VirtualClockError as error:
        raise FishjamAgentsError(f"the bot does not run in memory ({error}): leave out --fast") from error


async def _perform(
    pipeline: AgentPipeline,
    scene: Scene,
    clock: RoomClock,
    room: str,
    work: Coroutine[Any, Any, object],
    leave: Callable[[], None],
    stop: StopRequest,
) -> SimulationResult:
    """Run the bot's `work` and the scene beside each other until either is over."""
    timeline = Timeline()
    log = EventLog(lambda: pipeline.call_id, room, scene.names)
    # The scene first: it finds out where call time has its zero.
    observers: list[Callable[[Event], None]] = [scene, timeline, log]
    errors = _Errors()
    pipeline.observers.extend((*observers, errors))
    # Its own record is for calls in the world: this one is part of the result.
    pipeline.recorder, others = MemoryRecorder(), pipeline.recorder
    recorder = pipeline.recorder
    async with _task(_failure(work), stop) as working, _task(scene.play(), stop) as playing:
        await asyncio.wait({working, playing}, return_when=asyncio.FIRST_COMPLETED)
        failure = working.result() if working.done() and not playing.done() else None
        if failure is not None or scene.zero is None:
            scene.stop()
        recording = await playing
        missed = scene.missed
        lag = clock.worst_lag
        # What happens from here on is the end of the simulation, not of the call.
        for observer in observers:
            pipeline.observers.remove(observer)
        errors.over = True
        leave()
        while not (working.done() or stop.asked):
            await asyncio.wait({working}, timeout=_LOOK)
        # A hook that holds up the bot's leave costs nobody the recording.
        await asyncio.wait({working}, timeout=_LEAVING)
        if working.done():
            working.result()
    pipeline.observers.remove(errors)
    pipeline.recorder = others
    if recording is None or scene.zero is None:
        stop.check()
        raise failure or FishjamAgentsError("the bot ended the call before it began: see its on_start")
    # A call that is stopped as it begins may have told nothing yet.
    offset = scene.call_zero - scene.zero if timeline.kinds else 0.0
    document = timeline.document(recording.seconds, offset=offset, names=scene.names)
    head = {"version": document["version"], "duration": document["duration"], "lag": round(lag, 4)}
    if scene.stopped:
        head["stopped"] = True
    tracks = {caller.microphone.track.id: f"microphone-{n}" for n, caller in enumerate(scene.callers, 1)}
    return SimulationResult(
        seconds=recording.seconds,
        heard=recording.heard(scene.callers[0].id),
        room=recording.room,
        timeline={**head, "events": [_readable(event, tracks) for event in document["events"]]},
        lag=lag,
        record=recorder.text(zero=offset, names=scene.names, tracks=tracks),
        failure=failure,
        missed=missed,
        errors=errors.during,
        causes=errors.causes,
        late_errors=errors.after,
        stopped=scene.stopped,
    )


@asynccontextmanager
async def _task(work: Coroutine[Any, Any, T], stop: StopRequest) -> AsyncIterator[asyncio.Task[T]]:
    """A task that is over with the block; after a stop it is left behind if it swallows its cancellation."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_LEAVING if stop.asked else None)
        if task.done() and not task.cancelled():
            task.exception()


class _Errors:
    """An observer that collects what code of the user's did wrong, also when the call is over, and causes."""

    def __init__(self) -> None:
        self.during: list[str] = []
        self.after: list[str] = []
        self.causes: dict[str, str] = {}
        self.over = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, BackendFailure) and event.cause is not None and event.fallback is not None:
            self.causes[event.message] = event.cause
        elif isinstance(event, ErrorRaised) and event.where not in ("input", "mcp"):
            (self.after if self.over else self.during).append(f"{event.where} {event.message}")


def _readable(event: dict[str, Any], tracks: dict[str, str]) -> dict[str, Any]:
    # Whoever joined before zero is there when the call begins.
    shown = {**event, "at": max(event["at"], 0.0)}
    if "track" in shown:
        shown["track"] = tracks.get(shown["track"], shown["track"])
    return shown


async def _failure(work: Coroutine[Any, Any, object]) -> FishjamAgentsError | None:
    try:
        await work
    except FishjamAgentsError as error:
        return error
    return None

"""A whole call on this machine: server, callers, bot and recorder, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from fishjam_agents.audio.wav import Clip
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.events import Event
from fishjam_agents.observe.log import EventLog
from fishjam_agents.observe.timeline import Timeline
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.server import EmbeddedServer, RoomClock
from fishjam_agents.simulation.result import SimulationResult
from fishjam_agents.simulation.scene import Scene
from fishjam_agents.worker.settings import LimitSettings, RoomSettings
from fishjam_agents.worker.worker import Worker


class _RoomTime:
    """An observer that finds out where call time has its zero on the room clock.

    An event is passed on right after its `at` was read; the least distance seen is the nearest to the truth.
    """

    def __init__(self, clock: RoomClock) -> None:
        self._clock = clock
        self.of_call_zero = float("inf")

    def __call__(self, event: Event) -> None:
        self.of_call_zero = min(self.of_call_zero, self._clock.now - event.at)


async def simulate(
    pipeline: AgentPipeline,
    callers: Sequence[Clip],
    *,
    seconds: float | None = None,
    delay: float = 0.0,
    jitter: float = 0.0,
    limits: LimitSettings = LimitSettings(),  # noqa: B008 - frozen
) -> SimulationResult:
    """Let callers talk to a bot in an embedded server of their own and record what happens.

    Args:
        pipeline: The bot; it must not run elsewhere.
        callers: What each caller says from the call's zero on: any rate, mono or stereo. At least one.
        seconds: Length of the call, at most 600. None ends it when the callers have finished and the bot has
            been silent for 3 s.
        delay: Seconds each message of the bot takes to the server.
        jitter: Largest extra delay, in seconds.
        limits: What ends the call early.

    Returns:
        The call. A bot that failed in the middle of it ended it; then `failure` is set.

    Raises:
        FishjamAgentsError: The call did not come about.
        ValueError: There is no caller.
    """
    timeline = Timeline()
    async with EmbeddedServer(delay=delay, jitter=jitter) as server:
        room_time = _RoomTime(server.clock)
        room = server.rooms.create()
        scene = Scene(server, room.id, callers, seconds)
        await scene.join()
        worker = Worker(
            pipeline,
            fishjam_id=server.url,
            management_token=server.token,
            room=RoomSettings(id=room.id),
            limits=limits,
        )
        log = EventLog(lambda: pipeline.call_id, room.id, scene.names)
        observers: list[Callable[[Event], None]] = [room_time, timeline, log]
        pipeline.observers.extend(observers)
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(_failure(worker))
            playing = tasks.create_task(scene.play())
            await asyncio.wait({working, playing}, return_when=asyncio.FIRST_COMPLETED)
            failure = working.result() if working.done() and not playing.done() else None
            if failure is not None or scene.zero is None:
                scene.stop()
            recording = await playing
            lag = server.clock.worst_lag
            # What happens from here on is the end of the simulation, not of the call.
            for observer in observers:
                pipeline.observers.remove(observer)
            worker.stop()
    if recording is None or scene.zero is None:
        raise failure or FishjamAgentsError("the bot ended the call before it began: see its on_start")
    document = timeline.document(
        recording.seconds, offset=room_time.of_call_zero - scene.zero, names=scene.names
    )
    head = {"version": document["version"], "duration": document["duration"], "lag": round(lag, 4)}
    tracks = {caller.microphone.track.id: f"microphone-{n}" for n, caller in enumerate(scene.callers, 1)}
    return SimulationResult(
        seconds=recording.seconds,
        heard=recording.heard(scene.callers[0].id),
        room=recording.room,
        timeline={**head, "events": [_readable(event, tracks) for event in document["events"]]},
        lag=lag,
        failure=failure,
    )


def _readable(event: dict[str, Any], tracks: dict[str, str]) -> dict[str, Any]:
    # Whoever joined before zero is there when the call begins.
    shown = {**event, "at": max(event["at"], 0.0)}
    if "track" in shown:
        shown["track"] = tracks.get(shown["track"], shown["track"])
    return shown


async def _failure(worker: Worker) -> FishjamAgentsError | None:
    try:
        await worker.run()
    except FishjamAgentsError as error:
        return error
    return None

"""Callers who speak to a bot in a room of the embedded server, from a common zero to the end of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from fishjam_agents.audio.formats import FRAMES_PER_SECOND
from fishjam_agents.events import Event
from fishjam_agents.pipeline.turn_taking.push_to_talk import BUTTON
from fishjam_agents.server import Caller, Recorder, Recording, RoomClock
from fishjam_agents.server.media.playout import Segment
from fishjam_agents.server.room import Room
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.session import PeerType
from fishjam_agents.simulation.caller_audio import CallerAudio
from fishjam_agents.simulation.scheduler import Missed, Scheduler
from fishjam_agents.simulation.sounds import RATE, CallerPart, Utterance
from fishjam_agents.simulation.stop_request import StopRequest
from fishjam_agents.testing.time_spec import TimeSpec

SILENCE_PEAK = 32
"""A bot whose loudest sample is below this (-60 dBFS) says nothing, even if it sends."""
QUIET_SECONDS = 3.0
"""The bot has nothing more to say when it was silent for this long after the callers finished."""
LONGEST_SECONDS = 600.0
"""No simulated call is longer."""


class EndRule:
    """Decides the end of a call. Pure: times are seconds since the call's zero.

    Args:
        seconds: Ends the call then, whatever happens; None ends it when all is said.

    Attributes:
        limit: The latest end.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.limit = LONGEST_SECONDS if seconds is None else min(seconds, LONGEST_SECONDS)
        self._ends_when_quiet = seconds is None
        self._last_sound = 0.0

    def over(self, at: float, sounds: bool) -> bool:
        """Return whether the call is over at `at`; `sounds` is whether anybody spoke until then."""
        if sounds:
            self._last_sound = at
        if at >= self.limit:
            return True
        return self._ends_when_quiet and at - self._last_sound >= QUIET_SECONDS


class Scene:
    """One conversation between simulated callers and the bot of a room.

    Zero is the room-clock tick at which the callers who join before it are connected and the bot's track is
    there. Also an observer: what the bot's pipeline tells is what lines may wait for.

    Args:
        room: The room.
        clock: Its clock; it runs.
        parts: What each caller does.
        seconds: Length of the call; None ends it when everybody is done.
        connecting: Whether the bot's model is still being connected; its silence means nothing then.
        stop: Ends the call at the next tick after it was made.

    Attributes:
        zero: Room time at which the call began, in seconds; None before.
        call_zero: Room time at which the pipeline's call time has its zero, as near as its events tell.
        callers: The callers, in the order of `parts`.
        stopped: Whether `stop` has ended the call.
    """

    def __init__(
        self,
        room: Room,
        clock: RoomClock,
        parts: Sequence[CallerPart],
        seconds: float | None = None,
        connecting: Callable[[], bool] = lambda: False,
        stop: StopRequest | None = None,
    ) -> None:
        if not parts:
            raise ValueError("a scene needs at least one caller")
        self.zero: float | None = None
        self.call_zero = float("inf")
        self._room = room
        self._clock = clock
        self._parts = parts
        self._audio = [CallerAudio(part.noise, part.echo) for part in parts]
        self._scheduler = Scheduler()
        self._unheard: list[Missed] = []
        self._rule = EndRule(seconds)
        self._connecting = connecting
        self.stopped = False
        self._stop = StopRequest() if stop is None else stop
        self._time = 0.0
        self._recorder: Recorder | None = None
        self._over: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        peers = [room.add_peer(PeerConfig(PeerType.WEBRTC, {"name": part.name})) for part in parts]
        self.callers = [Caller(room, peer, clock) for peer in peers]
        for caller, part in zip(self.callers, parts, strict=True):
            if part.camera is not None:
                caller.show(part.camera)
            if part.joins is None:
                caller.join()

    @property
    def missed(self) -> list[Missed]:
        """Parts of the scene that did not happen so far."""
        return self._unheard + self._scheduler.missed()

    @property
    def names(self) -> dict[str, str]:
        """Peer id to the name a caller has in a timeline."""
        return {caller.id: part.name for caller, part in zip(self.callers, self._parts, strict=True)}

    def __call__(self, event: Event) -> None:
        """Take an event of the bot's pipeline."""
        # It is passed on right after its `at` was read; the least distance seen is the nearest to the truth.
        self.call_zero = min(self.call_zero, self._clock.now - event.at)
        if self.zero is None:
            return
        plain = event.as_dict()
        names = self.names
        for key in ("at", "media_at", "start"):
            if key in plain:
                plain[key] += self.call_zero - self.zero
        if "peer" in plain:
            plain["peer"] = names.get(plain["peer"], plain["peer"])
        self._scheduler.saw(plain)

    async def play(self) -> Recording | None:
        """Wait for the bot, play the call and record it.

        Returns:
            What everybody heard; None when `stop` came before zero.
        """
        unsubscribe = self._clock.subscribe(self._tick)
        try:
            end = await self._over
        finally:
            unsubscribe()
        return None if self._recorder is None else self._recorder.stop(end)

    def stop(self) -> None:
        """End the call now."""
        if not self._over.done():
            self._over.set_result(self._clock.position)

    def leave(self) -> None:
        """The callers hang up."""
        for caller in self.callers:
            self._room.remove_peer(caller.peer)

    def _tick(self, ticks: int) -> None:
        if self._over.done():
            return
        position = ticks / FRAMES_PER_SECOND
        if self._stop.asked:
            self.stopped = True
            self._over.set_result(position)
            return
        bot = self._bot_windows()
        if self.zero is None:
            if not self._bot_is_there():
                return
            self._begin(position)
        assert self.zero is not None
        time = self._time = position - self.zero
        self._scheduler.perform(time)
        sounds = self._scheduler.pending or any(audio.speaking for audio in self._audio) or _audible(bot)
        if self._rule.over(time, sounds or self._connecting()):
            self._over.set_result(min(position, self.zero + self._rule.limit))
            return
        for caller, audio, part in zip(self.callers, self._audio, self._parts, strict=True):
            for rate, segments in bot if part.echo is not None or part.echo_changes else ():
                audio.overhear(rate, ticks - 1, segments)
            frame = audio.frame()
            if caller.joined:
                caller.feed(frame, RATE)

    def _begin(self, position: float) -> None:
        self.zero = position
        self._stop.begun = True
        self._clock.reset_lag()
        self._recorder = self._room.record(position, [self.callers[0].id])
        for caller, audio, part in zip(self.callers, self._audio, self._parts, strict=True):
            key = f"callers.{part.name}"
            if part.joins is not None:
                self._scheduler.add(part.joins, f"{key}.joins", caller.join)
            if part.leaves is not None:
                self._scheduler.add(part.leaves, f"{key}.leaves", partial(self._leave, caller, audio))
            for index, (moment, seconds) in enumerate(part.mutes):
                self._scheduler.add(moment, f"{key}.mutes[{index}]", partial(self._mute, caller, seconds))
            for index, (moment, seconds) in enumerate(part.presses):
                self._scheduler.add(moment, f"{key}.presses[{index}]", partial(self._press, caller, seconds))
            for place, moment, echo in part.echo_changes:
                self._scheduler.add(moment, f"{key}.{place}", partial(setattr, audio, "echo", echo))
            for line in part.lines:
                begins = line.at or part.joins or TimeSpec(0.0)
                self._scheduler.add(begins, line.key, partial(self._say, caller, audio, line))

    def _say(self, caller: Caller, audio: CallerAudio, line: Utterance) -> None:
        if caller.joined:
            audio.say(line.samples)
        else:
            self._unheard.append(Missed(line.key, "its caller was not in the room"))

    def _leave(self, caller: Caller, audio: CallerAudio) -> None:
        audio.stop_speaking()
        caller.leave()

    def _mute(self, caller: Caller, seconds: float | None) -> None:
        caller.mute()
        if seconds is not None:
            self._scheduler.at(self._time + seconds, "", caller.unmute)

    def _press(self, caller: Caller, seconds: float | None) -> None:
        self._room.update_peer_metadata(caller.peer, {BUTTON: True})
        if seconds is not None:
            release = partial(self._room.update_peer_metadata, caller.peer, {BUTTON: False})
            self._scheduler.at(self._time + seconds, "", release)

    def _bot_is_there(self) -> bool:
        return any(peer.type is not PeerType.WEBRTC and peer.sources for peer in self._room.peers.values())

    def _bot_windows(self) -> list[tuple[int, Sequence[Segment]]]:
        """Return the audio that each track of a bot played in the window that is over, and its rate."""
        return [
            (source.recording_rate, source.segments())
            for peer in self._room.peers.values()
            if peer.type is not PeerType.WEBRTC
            for source in peer.sources.values()
        ]


def _audible(bot: Sequence[tuple[int, Sequence[Segment]]]) -> bool:
    for _, segments in bot:
        for segment in segments:
            samples = segment.samples
            if len(samples) and max(int(samples.max()), -int(samples.min())) >= SILENCE_PEAK:
                return True
    return False

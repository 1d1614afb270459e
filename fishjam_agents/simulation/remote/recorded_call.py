"""One call of recorded callers to whoever is in a room of a running server, from joining to hanging up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fishjam_agents.audio.formats import FRAME_SECONDS, FRAMES_PER_SECOND
from fishjam_agents.audio.resampling import Resampler
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import Clip
from fishjam_agents.errors import ConfigError, FishjamAgentsError
from fishjam_agents.event_base import short_id
from fishjam_agents.fishjam import AsyncFishjamClient, NotFoundError
from fishjam_agents.fishjam.addressing import base_url
from fishjam_agents.fishjam.errors import SessionClosedError
from fishjam_agents.secrecy import shown_url
from fishjam_agents.server.media.mix import RECORDING_RATE, Mix
from fishjam_agents.server.media.voice_activity import QUIET_TICKS
from fishjam_agents.server.webrtc.opus import CLOCK_RATE
from fishjam_agents.server.webrtc.tracks import PacketSink
from fishjam_agents.simulation.remote.peer_session import JOIN_DEADLINE, PeerSession, join
from fishjam_agents.simulation.remote.sound import HeardTrack, Voice
from fishjam_agents.simulation.scene import EndRule
from fishjam_agents.simulation.stop_request import StopRequest

COMPANY_DEADLINE = 30.0
"""Seconds in which somebody else in the room has to publish sound: bots join within one or two."""

_LOOK = 0.05
"""Seconds between two looks whether a call that has not begun is to be stopped."""
_QUIET = QUIET_TICKS / FRAMES_PER_SECOND
"""Seconds of quiet after which somebody is taken to have ended: that much earlier it was."""


@dataclass(frozen=True, slots=True)
class Account:
    """Account of a server.

    Attributes:
        fishjam_id: Its URL, or the ID of an app in the cloud.
        management_token: Its management token.
    """

    fishjam_id: str
    management_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class RecordedCall:
    """Recording of a call; sample 0 is the moment at which the callers began.

    Attributes:
        heard: All that others in the room said, int16 mono at 16 kHz, shape (n,).
        room: The same beside what the callers said, shape (n, 2): callers left, others right.
        said: Whether all recordings were said.
        failure: What ended it early, None if nothing did.
    """

    heard: Samples
    room: Samples
    said: bool
    failure: FishjamAgentsError | None = None

    @property
    def seconds(self) -> float:
        """Length of the call."""
        return len(self.heard) / RECORDING_RATE


@dataclass(frozen=True, slots=True)
class Admission:
    """Admission of one caller.

    Attributes:
        token: Its peer token.
        id: Its peer id, "" where only the server knows it.
    """

    token: str = field(repr=False)
    id: str = ""


@asynccontextmanager
async def admitted(account: Account, room_id: str, callers: int) -> AsyncIterator[list[Admission]]:
    """Make new peers of a room; they are deleted afterwards.

    Raises:
        ConfigError: There is no such room.
        FishjamAgentsError: The server is not there, or refuses the management token.
    """
    async with AsyncFishjamClient(account.fishjam_id, account.management_token) as client:
        created: list[Admission] = []
        try:
            for _ in range(callers):
                created.append(await _new_peer(client, room_id, account.fishjam_id))  # noqa: PERF401 - those made count
            yield created
        finally:
            for admission in created:
                try:
                    await client.delete_peer(room_id, admission.id)
                except NotFoundError:
                    # It was removed, or the whole room.
                    continue
                except FishjamAgentsError:
                    # The server is gone, and the peers with it.
                    break


async def _new_peer(client: AsyncFishjamClient, room_id: str, fishjam_id: str) -> Admission:
    try:
        peer, token = await client.create_peer(room_id)
    except NotFoundError as error:
        raise ConfigError(
            f"there is no room {room_id} at {shown_url(fishjam_id)}: give the id of one that is open"
        ) from error
    return Admission(token, peer.id)


class RemoteScene:
    """The callers of one call, and what happens in it. Also takes what the first caller's session tells.

    Args:
        names: What each is called.
        clips: What each says.
        own: Peer ids of the callers, as far as they are known: nobody is told of them, or hears them.
        tell: Takes what happens: seconds of the call, None before it began, and a sentence.
        seconds: Length of the call; None ends it when all is said and everybody was quiet for 3 s.
        stop: Ends it.
    """

    def __init__(
        self,
        names: Sequence[str],
        clips: Sequence[Clip],
        own: Collection[str],
        tell: Callable[[float | None, str], None],
        seconds: float | None,
        stop: StopRequest,
    ) -> None:
        self._own = own
        self._tell = tell
        self._stop = stop
        self._rule = EndRule(seconds)
        self._zero: float | None = None
        self._peers: dict[str, str] = {}
        self._tracks: list[HeardTrack] = []
        self._company = asyncio.Event()
        self._fell_silent: tuple[float, str] | None = None
        self._speaks_since: dict[str, float] = {}
        self._voices = [Voice(clip, self._spoken(name)) for name, clip in zip(names, clips, strict=True)]
        self._heard = Mix()
        self._said = Mix()
        self._length = 0
        self._resamplers = [Resampler(CLOCK_RATE, RECORDING_RATE) for _ in clips]
        self._written = [0 for _ in clips]

    # What the session of the first caller tells.

    def peer_joined(self, peer_id: str, name: str) -> None:
        """Another peer is in the room."""
        if peer_id in self._own:
            return
        self._peers[peer_id] = name or f"peer {short_id(peer_id)}"
        self._say(f"{self._peers[peer_id]} is in the room")

    def peer_left(self, peer_id: str) -> None:
        """Another peer is no longer in the room."""
        if (name := self._peers.pop(peer_id, None)) is not None:
            self._say(f"{name} left the room")

    def track_added(self, track_id: str, peer_id: str) -> PacketSink:
        """Another peer's sound is negotiated."""
        if peer_id in self._own:
            return _Unheard()
        name = self._peers.get(peer_id, f"peer {short_id(peer_id)}")
        self._say(f"{name} publishes sound")
        track = HeardTrack(self._heard, self._spoken(name))
        if self._zero is not None:
            track.begin(self._zero)
        self._tracks.append(track)
        self._company.set()
        return track

    async def play(self, sessions: Sequence[PeerSession]) -> RecordedCall:
        """Wait until there is somebody to talk to, say the recordings, and listen to the end.

        Raises:
            FishjamAgentsError: Nobody was there, or no media came about.
            StoppedError: It was stopped before it began.
        """
        reading = [asyncio.create_task(session.read()) for session in sessions]
        try:
            await self._begins(sessions, reading)
            failure = await self._run(sessions, reading)
        finally:
            for task in reading:
                task.cancel()
            await asyncio.wait(reading)
        heard = self._heard.samples(self._length)[:, 0]
        said = self._said.samples(self._length)[:, 0]
        over = not any(voice.speaks for voice in self._voices)
        return RecordedCall(heard, np.stack([said, heard], axis=1), over, failure)

    async def _begins(self, sessions: Sequence[PeerSession], reading: Sequence[asyncio.Task[None]]) -> None:
        await self._until(
            [session.flows() for session in sessions],
            reading,
            JOIN_DEADLINE,
            "no media flowed within {seconds:g} s: is UDP open between this machine and the server?",
        )
        await self._until(
            [self._company.wait()],
            reading,
            COMPANY_DEADLINE,
            "nobody else published sound in the room within {seconds:g} s: is the bot running, in this room?",
        )

    async def _until(
        self,
        awaited: Sequence[Coroutine[Any, Any, object]],
        reading: Sequence[asyncio.Task[None]],
        seconds: float,
        otherwise: str,
    ) -> None:
        """Wait for something while the sessions are read.

        Raises:
            FishjamAgentsError: It did not come in time, or a session ended.
            StoppedError: It is no longer waited for.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        waiting = asyncio.gather(*awaited)
        try:
            while not waiting.done():
                self._stop.check()
                if loop.time() > end:
                    raise FishjamAgentsError(otherwise.format(seconds=seconds))
                tasks: set[asyncio.Future[Any]] = {waiting, *reading}
                await asyncio.wait(tasks, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
                for task in reading:
                    if task.done():
                        task.result()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _run(
        self, sessions: Sequence[PeerSession], reading: Sequence[asyncio.Task[None]]
    ) -> FishjamAgentsError | None:
        """Send and hear 20 ms at a time to the end of the call; returns what ended it early."""
        loop = asyncio.get_running_loop()
        zero = self._zero = loop.time()
        self._stop.begun = True
        for voice in self._voices:
            voice.begin()
        for track in self._tracks:
            track.begin(zero)
        ticks = 0
        while True:
            for index, (voice, session) in enumerate(zip(self._voices, sessions, strict=True)):
                self._record(index, voice.send(session.voice))
            ticks += 1
            for track in self._tracks:
                track.take()
            self._length = ticks * RECORDING_RATE // FRAMES_PER_SECOND
            sounds = any(voice.speaks for voice in self._voices) or any(t.speaking for t in self._tracks)
            if self._stop.asked or self._rule.over(ticks * FRAME_SECONDS, sounds):
                return None
            for task in reading:
                if task.done() and (ended := _ending(task)) is not None:
                    self._say(str(ended))
                    return None if isinstance(ended, SessionClosedError) else ended
            await asyncio.sleep(max(zero + ticks * FRAME_SECONDS - loop.time(), 0))

    def _record(self, index: int, frame: Samples) -> None:
        samples = self._resamplers[index].process(frame)
        self._said.add(self._written[index], samples)
        self._written[index] += len(samples)

    def _spoken(self, name: str) -> Callable[[bool], None]:
        """Return what tells that somebody begins and ends to speak, and how long an answer took."""

        def changed(speaks: bool) -> None:
            now = self._at()
            if now is None:
                return
            if speaks:
                since = ""
                if self._fell_silent is not None and self._fell_silent[1] != name:
                    since = f", {now - self._fell_silent[0]:.2f} s after {self._fell_silent[1]} fell silent"
                self._speaks_since[name] = now
                self._say(f"{name} speaks{since}")
            else:
                ended = now - _QUIET
                self._fell_silent = (ended, name)
                begun = self._speaks_since.pop(name, ended)
                self._tell(ended, f"{name} fell silent, after {ended - begun:.1f} s")

        return changed

    def _say(self, sentence: str) -> None:
        self._tell(self._at(), sentence)

    def _at(self) -> float | None:
        return None if self._zero is None else asyncio.get_running_loop().time() - self._zero


def _ending(task: asyncio.Task[None]) -> FishjamAgentsError | None:
    error = task.exception()
    if error is None or isinstance(error, FishjamAgentsError):
        return error
    raise error


async def call_room(
    url: str,
    admissions: Sequence[Admission],
    names: Sequence[str],
    clips: Sequence[Clip],
    tell: Callable[[float | None, str], None],
    *,
    seconds: float | None = None,
    stop: StopRequest | None = None,
) -> RecordedCall:
    """Let recorded callers talk to whoever is in a room, and record what they hear.

    Args:
        url: The server's URL, or the ID of an app in the cloud.
        admissions: One for each caller.
        names: What the callers call themselves.
        clips: What each says, any rate, mono or stereo.
        tell: Takes what happens: seconds of the call, None before it began, and a sentence.
        seconds: Length of the call, at most 600; None ends it when all is said and everybody was quiet for
            3 s.
        stop: Ends it when it is made, and what was recorded by then is the call.

    Raises:
        FishjamAgentsError: It did not come about.
        StoppedError: It was stopped before it began.
    """
    stop = StopRequest() if stop is None else stop
    scene = RemoteScene(names, clips, [one.id for one in admissions], tell, seconds, stop)
    joined = asyncio.Event()

    async def converse() -> RecordedCall:
        async with AsyncExitStack() as stack:
            sessions = [
                await stack.enter_async_context(
                    join(base_url(url), admission.token, name, scene if number == 0 else _Unheard())
                )
                for number, (admission, name) in enumerate(zip(admissions, names, strict=True))
            ]
            joined.set()
            return await scene.play(sessions)

    with stop.call():
        calling = asyncio.create_task(converse())
        try:
            # The scene looks by itself.
            while not (calling.done() or joined.is_set()):
                stop.check()
                await asyncio.wait({calling}, timeout=_LOOK)
            return await calling
        finally:
            calling.cancel()
            await asyncio.wait({calling})


class _Unheard:
    """Taker of what the sessions of all but the first caller tell: the same, and nobody listens."""

    def peer_joined(self, peer_id: str, name: str) -> None:
        """Nothing is done with it."""

    def peer_left(self, peer_id: str) -> None:
        """Nothing is done with it."""

    def track_added(self, track_id: str, peer_id: str) -> PacketSink:
        """Sound that is thrown away."""
        return self

    def put(self, sequence: int, timestamp: int, payload: bytes) -> None:
        """Nothing is done with it."""

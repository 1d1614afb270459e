"""`hearing.mode: mix`: the voices of a room summed into one microphone, on the room's clock.

Each voice has a queue of its own; every 20 ms one frame of each goes into the sum. A voice that runs dry is
silent for that frame and starts again when two frames are there; one that comes late in a burst catches up
in its next pause. Nobody waits for anybody, so a stalled peer stalls nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.formats import FRAME_SECONDS, AudioFormat
from fishjam_agents.audio.mixing import mix_softly
from fishjam_agents.hearing.loudness import Loudness
from fishjam_agents.hearing.microphone import MAX_PACKET, QUIET_AFTER, Deliver, Microphone
from fishjam_agents.turns.machine import SpeechEnded, SpeechStarted, TurnEnded, TurnEvent, TurnStarted

Samples = npt.NDArray[np.int16]

TRACK = "mix"
"""What events give as the track of a mix."""
_LEAD = 2
"""Frames a voice collects before it is mixed in: packets of 20 ms may come 20 ms late without a gap."""
_MAX_BACKLOG = 0.5
"""Seconds a voice may be behind; what is older is dropped, because the others go on meanwhile."""
_QUIET_PEAK = 256
"""Peak of a frame (-42 dBFS) that a voice which is behind may skip: nothing is said in it."""


class MixInput:
    """One (peer, track) of a mix: what `Roster` is given in place of a microphone.

    Attributes:
        peer: Id of the speaker.
        track: Id of the track; changes when the peer's track returns under a new one.
        damaged: Packets dropped because they were empty, odd or too long.
    """

    def __init__(
        self, peer: str, track: str, format: AudioFormat, left: Callable[[MixInput, str], None]
    ) -> None:
        self.peer = peer
        self.track = track
        self.damaged = 0
        self._rate = format.sample_rate
        self._size = format.frame_samples
        self._left = left
        self._queue = np.empty(0, np.int16)
        self._flowing = False
        self._last_packet: float | None = None

    def feed(self, data: bytes, now: float, barge_in: bool) -> bool:
        """Take a packet: 16-bit little-endian mono PCM at call time `now`.

        Returns:
            False when it was dropped because it was damaged.
        """
        size = len(data)
        if size == 0 or size & 1 or size > self._rate * 2 * MAX_PACKET:
            self.damaged += 1
            return False
        self._last_packet = now
        self._queue = np.concatenate((self._queue, np.frombuffer(data, np.int16)))
        self._queue = self._queue[-round(_MAX_BACKLOG * self._rate) :]
        return True

    def quiet_for(self, now: float) -> float:
        """Seconds since the last packet; 0 before the first."""
        return 0.0 if self._last_packet is None else now - self._last_packet

    def live(self, now: float) -> bool:
        """Whether packets come; what is left of one that ceased is forgotten."""
        if self._last_packet is not None and now - self._last_packet < QUIET_AFTER:
            return True
        if not len(self._queue) // self._size:
            self._queue = self._queue[:0]
        return False

    def next_frame(self) -> Samples | None:
        """20 ms, or None while there is nothing to mix in."""
        size, queue = self._size, self._queue
        if not self._flowing:
            if len(queue) < size * _LEAD:
                return None
            self._flowing = True
        while len(queue) > size * (_LEAD + 1) and _peak(queue[:size]) < _QUIET_PEAK:
            queue = queue[size:]
        if len(queue) < size:
            self._flowing = False
            return None
        frame, self._queue = queue[:size], queue[size:]
        return frame

    def end(self, reason: str) -> None:
        """The peer left, or the connection was lost."""
        self._queue = self._queue[:0]
        self._flowing = False
        self._last_packet = None
        self._left(self, reason)


class Mixer:
    """Voices in, one microphone out.

    Args:
        format: What packets hold: 16-bit mono at the rate asked of the server.
        make: Builds the microphone of the mix: given its peer (None), its track and whom it delivers to.
        deliver: Told of every frame of the mix with what follows from it; the microphone's `peer` is then
            who was clearly loudest, or None.

    Attributes:
        microphone: The mix, with its own voice detection and turn machine.
    """

    def __init__(
        self,
        format: AudioFormat,
        make: Callable[[str | None, str, Deliver], Microphone],
        deliver: Deliver,
    ) -> None:
        self._format = format
        self._deliver = deliver
        self._voices: list[MixInput] = []
        self._loudness: Loudness[str] = Loudness()
        self._onset = 0.0
        self._next: float | None = None
        self._silence = np.zeros(format.frame_samples, np.int16)
        self.microphone = make(None, TRACK, self._named)

    def add(self, peer: str, track: str) -> MixInput:
        """A peer's microphone joins the mix."""
        voice = MixInput(peer, track, self._format, self._ended)
        self._voices.append(voice)
        return voice

    def _ended(self, voice: MixInput, reason: str) -> None:
        if reason != "outage":
            self._voices.remove(voice)
        if not self._voices or reason == "outage":
            self.microphone.end(reason)
            self._next = None

    def tick(self, now: float, barge_in: bool) -> None:
        """Mix what is due at call time `now`. Called every 20 ms; catches up when it is called late.

        Args:
            now: Call time, seconds.
            barge_in: Whether the bot has a reply under way.
        """
        live = [voice.live(now) for voice in self._voices]
        if not any(live):
            self._next = None
            self.microphone.silence(now)
            return
        if self._next is None or now - self._next > MAX_PACKET:
            self._next = now
        while self._next <= now + 1e-9:
            self._next += FRAME_SECONDS
            self._mix(now, barge_in)

    def _mix(self, now: float, barge_in: bool) -> None:
        frames: list[Samples] = []
        energies: dict[str, float] = {}
        for voice in self._voices:
            frame = voice.next_frame()
            if frame is None:
                continue
            frames.append(frame)
            wide = frame.astype(np.float64)
            energies[voice.peer] = energies.get(voice.peer, 0.0) + float(wide @ wide)
        # One frame late on this clock: the microphone counts its own media time by the frames it is fed.
        self._loudness.add(self.microphone.media + FRAME_SECONDS, energies)
        mixed = mix_softly(frames) if frames else self._silence
        self.microphone.feed(mixed.tobytes(), now, barge_in)

    def _named(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        if happened:
            microphone.peer = self._name(happened)
        self._deliver(microphone, frame, happened)

    def _name(self, happened: Sequence[TurnEvent]) -> str | None:
        """Who is meant by what happened in one frame."""
        loudness = self._loudness
        for event in happened:
            if isinstance(event, SpeechStarted):
                self._onset = event.at
            elif isinstance(event, TurnStarted):
                loudness.open_turn(event.at)
            elif isinstance(event, TurnEnded):
                name = loudness.of_turn()
                loudness.close_turn()
                return name
        first = happened[0]
        if isinstance(first, (SpeechEnded, TurnEnded)):
            return loudness.since(self._onset)
        return loudness.since(first.at)


def _peak(frame: Samples) -> int:
    return max(int(frame.max()), -int(frame.min()))

"""`hearing.mode: mix`: the voices of a room summed into one microphone, on the room's clock.

Every 20 ms one frame of each voice goes into the sum. A voice that runs dry is left out until it is back, so
nobody waits for anybody. The rules of `Microphone` hold for the sum: what nobody sent is not silence but
missing, and what comes late in a burst is heard at once where only silence was counted in its stead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.formats import FRAME_SECONDS, AudioFormat
from fishjam_agents.audio.mixing import mix_softly
from fishjam_agents.audio.samples import Samples
from fishjam_agents.hearing.echo_canceller import EchoCanceller
from fishjam_agents.hearing.loudness import Loudness
from fishjam_agents.hearing.loudspeaker import MixedLoudspeakers
from fishjam_agents.hearing.microphone import MAX_PACKET, QUIET_AFTER, Deliver, Microphone
from fishjam_agents.hearing.mix_input import LEAD, MixInput
from fishjam_agents.turns.machine import SpeechEnded, SpeechStarted, TurnEnded, TurnEvent, TurnStarted

TRACK = "mix"
"""Track of a mix in events."""


class Mixer:
    """Voices in, one microphone out.

    Args:
        format: What packets hold: 16-bit mono at the rate asked of the server.
        make: Builds the microphone of the mix: given its peer (None), its track and whom it delivers to.
        deliver: Told of every frame of the mix with what follows from it; the microphone's `peer` is then
            who was clearly loudest, or None.
        reference: What the bot says; None without echo guard.
        cancel: Makes an echo canceller for a voice; None without.

    Attributes:
        microphone: The mix, with its own voice detection and turn machine.
    """

    def __init__(
        self,
        format: AudioFormat,
        make: Callable[[str | None, str, Deliver], Microphone],
        deliver: Deliver,
        reference: EchoReference | None = None,
        cancel: Callable[[], EchoCanceller] | None = None,
    ) -> None:
        self._format = format
        self._reference = reference
        self._cancel = cancel
        self._deliver = deliver
        self._voices: list[MixInput] = []
        self._loudness: Loudness[str] = Loudness()
        self._onset = 0.0
        self._now = 0.0
        self._next: float | None = None
        self._loudspeakers = MixedLoudspeakers(format.sample_rate)
        self.microphone = make(None, TRACK, self._named)
        self.microphone.loudspeakers = None if reference is None else self._loudspeakers

    def add(self, peer: str, track: str) -> MixInput:
        """A peer's microphone joins the mix."""
        canceller = None if self._cancel is None else self._cancel()
        voice = MixInput(peer, track, self._format, self._ended, self._reference, canceller)
        self._voices.append(voice)
        return voice

    def _ended(self, voice: MixInput, reason: str) -> None:
        if reason != "outage":
            self._voices.remove(voice)
            if any(other.quiet_for(self._now) < QUIET_AFTER for other in self._voices):
                return
        # Nobody is left whose silence could end what the voice was saying.
        self.microphone.end(reason)
        self._next = None

    def close(self, reason: str) -> None:
        """End what is being said, and forget what has not been mixed."""
        for voice in self._voices:
            voice.clear()
        self.microphone.end(reason)
        self._next = None

    def tick(self, now: float, barge_in: bool) -> None:
        """Mix what is due at call time `now`. Called every 20 ms; catches up when it is called late.

        Args:
            now: Call time, seconds.
            barge_in: Whether the bot has a reply under way.
        """
        self._now = now
        if self._next is None or now - self._next > MAX_PACKET:
            self._next = now
        while self._next <= now + 1e-9:
            self._next += FRAME_SECONDS
            self._mix(self._voices, barge_in)
        self._catch_up(barge_in)
        self.microphone.silence(now)

    def _mix(self, voices: Sequence[MixInput], barge_in: bool) -> None:
        frames: list[Samples] = []
        energies: dict[str, float] = {}
        loud = False
        now, microphone = self._now, self.microphone
        # The frame before this one may still wait to be judged.
        microphone.settle()
        # When the microphone will have the frame end.
        end = max(microphone.media, min(microphone.media + FRAME_SECONDS, now))
        self._loudspeakers.begin()
        for voice in voices:
            frame = voice.next_frame()
            if frame is None:
                continue
            suspected = voice.loud and microphone.machine.in_speech
            if voice.canceller is not None:
                frame = voice.canceller.clean(frame, end, suspected)
            frames.append(frame)
            if voice.loudspeaker is not None:
                voice.ring.append(end, frame)
                self._loudspeakers.add(voice.loudspeaker, end, suspected, voice.ring)
            loud = loud or voice.loud
            wide = frame.astype(np.float64)
            energies[voice.peer] = energies.get(voice.peer, 0.0) + float(wide @ wide)
        if not frames or (not loud and self._within_word()):
            return
        self._loudness.add(end, energies)
        microphone.feed(mix_softly(frames).tobytes(), now, barge_in)

    def _within_word(self) -> bool:
        """Return whether a speaker's packets stopped within a word: others' silence is not theirs then."""
        now = self._now
        return self.microphone.machine.in_speech and any(voice.stalled(now) for voice in self._voices)

    def _catch_up(self, barge_in: bool) -> None:
        """Hear at once what came late, unless somebody who is on time speaks meanwhile."""
        late = [voice for voice in self._voices if voice.backlog > LEAD + 1]
        if late and all(voice in late for voice in self._voices if voice.loud):
            while late := [voice for voice in late if voice.backlog > LEAD]:
                self._mix(late, barge_in)

    def _named(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        if happened:
            microphone.peer = self._name(happened)
        self._deliver(microphone, frame, happened)

    def _name(self, happened: Sequence[TurnEvent]) -> str | None:
        """Return the peer to whom the events of one frame belong."""
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
        return loudness.since(self._onset if isinstance(first, (SpeechEnded, TurnEnded)) else first.at)

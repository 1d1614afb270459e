"""The bot's voice: replies in, paced chunks on the track out, and what was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import numpy as np

from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.resampling import StreamResampler, playout_resampler
from fishjam_agents.audio.samples import Samples
from fishjam_agents.events import Heard
from fishjam_agents.playout.background_mixer import BackgroundMixer
from fishjam_agents.playout.schedule import Schedule
from fishjam_agents.playout.sender import TrackSender
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.session import OutgoingTrack

_NOTHING: Samples = np.empty(0, np.int16)


class AudioOutputListener(Protocol):
    """Callbacks of the owner of a voice. Called synchronously."""

    def first_audio(self, reply: str) -> None:
        """The first chunk of a reply is on the wire."""
        ...

    def reply_played(self, heard: Heard) -> None:
        """The last sample of a reply has been played."""
        ...

    def output_failed(self, error: Exception) -> None:
        """The track can no longer be written to."""
        ...


class PlayoutTap(Protocol):
    """Taker of what plays when; times are loop time in seconds. Called synchronously."""

    def sent(self, samples: Samples, end: float) -> None:
        """A chunk was sent, whose last sample plays at `end`."""
        ...

    def cut(self, at: float) -> None:
        """Drop what would play at `at` or later."""
        ...


class AudioOutput:
    """Paced playout of replies on one track.

    Args:
        track: The bot's track.
        sample_rate: Hz of the track.
        source_rate: Hz of the audio given to `write`.
        settings: Lead, rewind and bounds.
        listener: Told of first audio, ends and failures.

    Attributes:
        reference: Told of what plays when, for the echo guard; None without one.
        recording: Told of the same; None where nothing is recorded.
    """

    def __init__(
        self,
        track: OutgoingTrack,
        sample_rate: int,
        source_rate: int,
        settings: PlayoutSettings,
        listener: AudioOutputListener,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._rates = (source_rate, sample_rate)
        self._resamples = source_rate != sample_rate
        self._listener = listener
        estimate = getattr(track, "playout_estimate", None)
        self._schedule = Schedule(sample_rate, settings, estimate and estimate())
        self._sender = TrackSender(track, listener.output_failed)
        self._resamplers: dict[str, StreamResampler] = {}
        self._announced: set[str] = set()
        self.reference: EchoReference | None = None
        self.recording: PlayoutTap | None = None

    @property
    def sample_rate(self) -> int:
        """Hz of the track."""
        return self._rates[1]

    @property
    def active(self) -> bool:
        """True while a reply is under way."""
        return bool(self._schedule.replies)

    @property
    def paused(self) -> bool:
        """True while replies are being held."""
        return self._schedule.paused

    @property
    def current(self) -> str | None:
        """Id of the reply that is playing or next to play."""
        return self._schedule.current

    @property
    def underruns(self) -> int:
        """Number of times the audio of an unfinished reply ran out at the listener."""
        return self._schedule.underruns

    @property
    def dropped(self) -> float:
        """Seconds of audio refused because the buffer was full."""
        return self._schedule.dropped

    def ask(self, may_begin: Callable[[str], bool]) -> None:
        """Let replies begin to sound only when they may: asked by id, again and again until it is so."""
        self._schedule.may_begin = may_begin

    def sounds(self, reply: str) -> bool:
        """Return whether any of a live reply was sent."""
        target = self._schedule.find(reply)
        return target is not None and target.position > 0

    def is_live(self, reply: str) -> bool:
        """Return whether a reply has begun and neither ended nor been interrupted."""
        return self._schedule.find(reply) is not None

    def begin(self, reply: str, priority: int = 0, interruptible: bool = True) -> None:
        """A reply begins; it plays after those that sound, and those of its priority or a higher one."""
        self._schedule.begin(reply, priority, interruptible)

    def protect(self, reply: str, protected: bool) -> None:
        """Set whether `pause` leaves a live reply alone once it sounds."""
        target = self._schedule.find(reply)
        if target is not None:
            target.interruptible = not protected

    def is_generated(self, reply: str) -> bool:
        """Return whether all audio of a reply has been given; true of a dead one."""
        target = self._schedule.find(reply)
        return target is None or target.generated

    def seconds(self, reply: str) -> float:
        """Audio given for a live reply so far, in seconds; 0 when it is dead."""
        target = self._schedule.find(reply)
        return 0.0 if target is None else target.written / self._rates[1]

    def add_text(self, reply: str, text: str, at: float | None = None) -> None:
        """Words of a live reply; `at` is where in its audio they begin, seconds, if known."""
        target = self._schedule.find(reply)
        if target is not None:
            target.add_text(text, at)

    def break_off(self, reply: str) -> None:
        """The words of a live reply that were given last are not spoken to their end."""
        target = self._schedule.find(reply)
        if target is not None:
            target.break_off()

    def write(self, reply: str, samples: Samples) -> bool:
        """Play audio of a live reply: int16 mono, shape (n,), at the source rate.

        Returns:
            False when it was not kept: the reply is dead, or the buffer is full.
        """
        if self._resamples:
            if not self.is_live(reply):
                return False
            resampler = self._resamplers.get(reply)
            if resampler is None:
                resampler = self._resamplers[reply] = playout_resampler(*self._rates)
            samples = resampler.process(samples)
        if not self._schedule.write(reply, samples):
            return False
        self._send(self._loop.time())
        return True

    def finish(self, reply: str) -> float | None:
        """All audio of a reply has been given.

        Returns:
            Its length in seconds, None when it is dead.
        """
        target = self._schedule.find(reply)
        if target is None:
            return None
        resampler = self._resamplers.pop(reply, None)
        if resampler is not None:
            self._schedule.write(reply, resampler.flush())
        target.generated = True
        self.pump(self._loop.time())
        return target.written / self._rates[1]

    def pump(self, now: float) -> None:
        """Send what is due and tell of what has ended. Called by the ticker; mostly there is neither."""
        if self._schedule.rests:
            return
        self._send(now)
        for heard in self._schedule.collect(now):
            self._announced.discard(heard.reply)
            self._listener.reply_played(heard)

    def _send(self, now: float) -> None:
        if self._sender.blocked:
            return
        schedule = self._schedule
        background = schedule.background is not None
        if background and schedule.make_way(now) and not self._cut():
            return
        goes_on = schedule.pump(now, self._send_chunk)
        if schedule.begun:
            self._announce()
        if goes_on and background:
            self._send_background(now)

    def _send_background(self, now: float) -> None:
        if self._schedule.background is None or self._sender.blocked:
            return
        for chunk in self._schedule.pump_background(now):
            if not self._send_chunk(chunk):
                return

    def _send_chunk(self, chunk: Samples) -> bool:
        """Send a chunk; returns whether more should be sent now."""
        goes_on = self._sender.send(chunk.tobytes())
        if self.reference is not None:
            self.reference.sent(chunk, self._schedule.until)
        if self.recording is not None:
            self.recording.sent(chunk, self._schedule.until)
        return goes_on

    def _announce(self) -> None:
        begun, self._schedule.begun = self._schedule.begun, []
        for reply in begun:
            if reply not in self._announced and self.is_live(reply):
                self._announced.add(reply)
                self._listener.first_audio(reply)

    def pause(self) -> None:
        """Fall silent, and be able to go on."""
        now = self._loop.time()
        tail = self._schedule.pause(now)
        if tail is not None:
            self._cut(tail)
            self._send_background(now)

    @property
    def background(self) -> BackgroundMixer:
        """Mixer of the sound under the voice; made when it is first asked for."""
        if self._schedule.background is None:
            self._schedule.background = BackgroundMixer()
        return self._schedule.background

    def mute_background(self, muted: bool) -> None:
        """Silence what sounds under the voice, or let it sound again."""
        now = self._loop.time()
        tail = self._schedule.mute_background(muted, now)
        if tail is not None:
            self._cut(tail)
            self._send_background(now)

    def _cut(self, tail: Samples = _NOTHING) -> bool:
        """Have the server drop what it has not played, and send what fades it out.

        Returns:
            Whether more should be sent now.
        """
        goes_on = self._sender.interrupt()
        end = self._schedule.until - len(tail) / self._rates[1]
        if self.reference is not None:
            self.reference.cut(end)
        if self.recording is not None:
            self.recording.cut(end)
        return self._send_chunk(tail) if len(tail) else goes_on

    def drop(self, reply: str) -> Heard | None:
        """End one reply; the others play on with the next tick, or `go_on`.

        Returns:
            What was heard of it, None when it is dead.
        """
        now = self._loop.time()
        dropped = self._schedule.drop(reply, now)
        if dropped is None:
            return None
        heard, tail = dropped
        if tail is not None:
            self._cut(tail)
        self._resamplers.pop(reply, None)
        self._announced.discard(reply)
        return heard

    def go_on(self) -> None:
        """Play what is due now, after a reply was dropped."""
        self.pump(self._loop.time())

    def resume(self) -> None:
        """Go on after a pause."""
        self._schedule.resume()
        self.pump(self._loop.time())

    def interrupt(self) -> list[Heard]:
        """Fall silent and drop every reply.

        Returns:
            What was heard of each that was under way, oldest first.
        """
        now = self._loop.time()
        heard, tail = self._schedule.interrupt(now)
        if tail is not None:
            self._cut(tail)
            self._send_background(now)
        self._resamplers.clear()
        self._announced.clear()
        return heard

    def heard(self, reply: str | None = None) -> Heard | None:
        """Return the part of a live reply that has been heard by now; of the current one without an id."""
        return self._schedule.heard(self._loop.time(), reply)

    async def close(self) -> None:
        """Stop sending."""
        await self._sender.close()

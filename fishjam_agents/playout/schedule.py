"""Schedule of sending: replies in, 20 ms chunks out, and the part of them heard. No I/O, no clock.

Invariant: the samples of a reply that are played form one contiguous run of indices; where a reply goes on
after a pause it repeats at most `rewind` plus one chunk, nothing of it a second time, and nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fishjam_agents.audio.formats import FRAMES_PER_SECOND
from fishjam_agents.audio.gain import fade_in, fade_out
from fishjam_agents.audio.samples import Samples
from fishjam_agents.events import Heard
from fishjam_agents.playout.background_mixer import BackgroundMixer
from fishjam_agents.playout.estimate import FishjamPlayoutEstimate
from fishjam_agents.playout.reply import Reply
from fishjam_agents.playout.sent_chunk import SentChunk, make_sent
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.session import PlayoutEstimate

_FADE = 0.01
"""Length of the chunk that fades out at a cut and of the fade-in at a resume, seconds."""
_GROWTH = 0.02
"""Seconds that an underrun adds to the lead."""
_INSTANT = 1e-6
"""Seconds below which times are the same."""
_SILENCE: Samples = np.empty(0, np.int16)
_UNSETTLED = 16
"""Chunks after which those that have been played are let go of, if nobody asked meanwhile."""


class Schedule:
    """The playout of one bot's track. Times are loop time in seconds; audio is int16 mono, shape (n,).

    Args:
        sample_rate: Hz of the track.
        settings: Lead, rewind and bounds.
        estimate: Tells what the room has heard of the track; None estimates it by Fishjam's rules.

    Attributes:
        replies: Those under way: begun, and neither played to their end nor interrupted; for reading.
        paused: Whether replies are being held.
        lead: Audio kept ahead of real time, seconds; grows at underruns.
        underruns: How often the audio of an unfinished reply ran out at the listener.
        dropped: Seconds of audio refused because the buffer was full.
        background: What sounds under the voice; None costs nothing.
        begun: Ids of replies of which the first chunk has been given; whoever tells of them empties it.
        may_begin: Asked for a reply of which nothing was sent; it waits, and all behind it, until it may.
    """

    def __init__(
        self,
        sample_rate: int,
        settings: PlayoutSettings | None = None,
        estimate: PlayoutEstimate | None = None,
    ) -> None:
        self._settings = settings or PlayoutSettings()
        self._rate = sample_rate
        self._chunk = sample_rate // FRAMES_PER_SECOND
        self._fade = round(sample_rate * _FADE)
        self._keep = round((self._settings.rewind + _FADE) * sample_rate) + self._chunk
        self._max_buffer = self._settings.max_buffer * sample_rate
        self._estimate = FishjamPlayoutEstimate(sample_rate) if estimate is None else estimate
        self.replies: list[Reply] = []
        self._sent: list[SentChunk] = []
        self._last: SentChunk | None = None
        self._voiced = float("-inf")
        self._counted = 0
        self._fade_next = False
        self.paused = False
        self.lead = self._settings.lead
        self.underruns = 0
        self.dropped = 0.0
        self.background: BackgroundMixer | None = None
        self.begun: list[str] = []
        self.may_begin: Callable[[str], bool] | None = None

    @property
    def rests(self) -> bool:
        """True while time alone brings nothing to do: no chunk that will be due, no end to be reached."""
        if self.background is not None:
            return False
        replies = self.replies
        return not replies or (replies[0].position == replies[0].written and not replies[0].generated)

    @property
    def current(self) -> str | None:
        """Id of the reply that is playing or next to play."""
        return self.replies[0].id if self.replies else None

    @property
    def until(self) -> float:
        """Time at which the last chunk sent ends, by the estimate."""
        return self._estimate.end

    def find(self, reply: str) -> Reply | None:
        """The live reply of that id; None when it has ended or never began."""
        for candidate in self.replies:
            if candidate.id == reply:
                return candidate
        return None

    def begin(self, reply: str, priority: int = 0, interruptible: bool = True) -> None:
        """A reply begins; it plays after those that sound, and those of its priority or a higher one.

        Args:
            reply: Its id.
            priority: Its place among those that wait.
            interruptible: Whether a pause holds it once it sounds.
        """
        if self.find(reply) is not None:
            return
        replies = self.replies
        place = len(replies)
        while place and not replies[place - 1].position and replies[place - 1].priority < priority:
            place -= 1
        replies.insert(place, Reply(reply, priority, interruptible))

    def write(self, reply: str, samples: Samples) -> bool:
        """Buffer audio of a live reply.

        Returns:
            False when nothing was kept: the reply is dead or the buffer is full.
        """
        target, buffered = None, len(samples)
        for each in self.replies:
            buffered += each.written - each.position
            if each.id == reply:
                target = each
        if target is None:
            return False
        if buffered > self._max_buffer:
            self.dropped += len(samples) / self._rate
            return False
        target.write(samples)
        return True

    def pump(self, now: float, send: Callable[[Samples], bool]) -> bool:
        """Send the chunks that are due: as many as keep the lead.

        Args:
            now: Loop time.
            send: Sends one; returns whether more may be sent now.

        Returns:
            Whether more may be sent now.
        """
        estimate = self._estimate
        for reply in self.replies:
            if self.paused and not reply.is_uninterruptible:
                return True
            if not reply.position:
                if self.may_begin is not None and not self.may_begin(reply.id):
                    return True
            elif 0 < now - estimate.end < 1 and reply.written > reply.position and not self._fade_next:
                self._underrun()
            while estimate.end < now + self.lead and (unsent := reply.written - reply.position):
                if unsent < self._chunk and not reply.generated:
                    return True
                if not send(self._next_chunk(reply, now)):
                    return False
            if not reply.generated or reply.unsent:
                return True
        return True

    def _next_chunk(self, reply: Reply, now: float) -> Samples:
        start = reply.position
        chunk = reply.take(self._chunk)
        if not start:
            self.begun.append(reply.id)
        if self._fade_next:
            chunk = np.concatenate((fade_in(chunk[: self._fade]), chunk[self._fade :]))
            self._fade_next = False
        return self._note(now, reply, start, chunk)

    def _note(
        self, now: float, reply: Reply | None, start: int, voice: Samples, tail: Samples | None = None
    ) -> Samples:
        """A chunk of voice goes out now; what is sent is the voice with the background under it."""
        background, length, estimate = self.background, len(voice), self._estimate
        if len(self._sent) >= _UNSETTLED:
            self._settle(now)
        under = None if background is None else background.state
        self._sent.append(make_sent((reply, start, length, under, tail)))
        estimate.send(now, length)
        self._voiced = estimate.end
        return voice if background is None else background.under(voice)

    def pump_background(self, now: float) -> Iterator[Samples]:
        """Give the chunks of the background that are due where nothing is said."""
        background = self.background
        while background is not None and background.sounds and self._estimate.end < now + self._settings.lead:
            self._sent.append(make_sent((None, 0, self._chunk, background.state, None)))
            self._estimate.send(now, self._chunk)
            yield background.alone(self._chunk)

    def make_way(self, now: float) -> bool:
        """Take the background back that was sent ahead, when a reply has something to say.

        Returns:
            Whether there was any: the caller interrupts the track, and pumps.
        """
        if (
            self.background is None
            or self._estimate.end - max(self._voiced, now) < 2 * self._chunk / self._rate
        ):
            return False
        reply = self._next_to_send()
        if reply is None:
            return False
        if reply.position and not self._fade_next:
            self._underrun()
        self._rollback(now)
        return True

    def _next_to_send(self) -> Reply | None:
        """The reply that has audio to send now."""
        for reply in self.replies:
            if self.paused and not reply.is_uninterruptible:
                return None
            if not reply.position and self.may_begin is not None and not self.may_begin(reply.id):
                return None
            if reply.unsent >= self._chunk or (reply.unsent and reply.generated):
                return reply
            if reply.unsent or not reply.generated:
                return None
        return None

    def _underrun(self) -> None:
        self.underruns += 1
        if self.lead < self._settings.max_lead:
            self.lead = min(self.lead + _GROWTH, self._settings.max_lead)

    def pause(self, now: float) -> Samples | None:
        """Hold the replies: what was sent and not heard counts as unsent again.

        Returns:
            None when the server can hold no audio of ours. Else the caller interrupts the track and sends
            the returned chunk: 10 ms that fade what would have come next to zero, or nothing.
        """
        if self.paused:
            return None
        self.paused = True
        if not self.audible(now) or (self.replies and self.replies[0].is_uninterruptible):
            return None
        return self._fade_away(self._rollback(now), now)

    def _fade_away(self, dropped: SentChunk | None, now: float) -> Samples:
        """Audio that follows a cut: what would have come next, faded to zero.

        Args:
            dropped: What was sent to come next, None for nothing.
            now: Loop time.
        """
        if dropped is not None and dropped.tail is not None:
            # It was falling silent already, and that is part of what the cut drops.
            return self._note(now, None, 0, dropped.tail, dropped.tail)
        last = self._last
        if last is None or last.reply is None or self._estimate.end < now - _INSTANT:
            return _SILENCE
        reply, end = last.reply, last.start + last.length
        if reply.position != end or (dropped is not None and dropped.reply is not reply):
            # Of what comes next nothing sounds yet.
            return _SILENCE
        tail = fade_out(reply.peek(self._fade))
        return self._note(now, None, 0, tail, tail) if len(tail) else tail

    def resume(self) -> None:
        """Go on after a pause, with a fade-in, from the nearest dip in energy before the cut."""
        if not self.paused:
            return
        self.paused = False
        if self.replies and self.replies[0].position and not self.replies[0].is_uninterruptible:
            self.replies[0].rewind(round(self._settings.rewind * self._rate), self._rate)
            self._fade_next = True

    def interrupt(self, now: float) -> tuple[list[Heard], Samples | None]:
        """Drop every reply.

        Returns:
            What was heard of each that was under way, oldest first, and what `pause` returns.
        """
        tail = self._fade_away(self._rollback(now), now) if self.audible(now) else None
        heard = [reply.heard(reply.position, self._rate) for reply in self.replies]
        self.replies.clear()
        self.paused = False
        self._fade_next = False
        return heard, tail

    def drop(self, reply: str, now: float) -> tuple[Heard, Samples | None] | None:
        """End one reply; the others play on.

        Returns:
            None when it is dead. Else what was heard of it and what `pause` returns.
        """
        target = self.find(reply)
        if target is None:
            return None
        self._settle(now)
        tail = None
        if self._sounds(target, now) or any(sent.reply is target for sent in self._sent):
            dropped = self._rollback(now)
            # Of one that had not begun to play nothing is faded out: the reply before it goes on.
            sounds = self._sounds(target, now) or (dropped is not None and dropped.tail is not None)
            tail = self._fade_away(dropped, now) if sounds else _SILENCE
        if target is self.replies[0]:
            self._fade_next = False
        self.replies.remove(target)
        return target.heard(target.position, self._rate), tail

    def _sounds(self, reply: Reply, now: float) -> bool:
        """Return whether a reply is what was played last, up to now."""
        last = self._last
        return last is not None and last.reply is reply and self._estimate.end >= now - _INSTANT

    def mute_background(self, muted: bool, now: float) -> Samples | None:
        """Silence the background, or let it sound again.

        Returns:
            What `pause` returns; the background itself falls silent in what `pump_background` gives.
        """
        if self.background is None:
            self.background = BackgroundMixer()
        sounded, self.background.muted = self.background.sounds, muted
        if not (muted and sounded):
            return None
        return self._fade_away(self._rollback(now), now)

    def audible(self, now: float) -> bool:
        """Return whether the server may still hold voice of ours; half a second of grace for the network."""
        return self._voiced + 0.5 > now

    def collect(self, now: float) -> list[Heard]:
        """Take the replies whose last sample has been played."""
        self._settle(now)
        ended = []
        while self.replies:
            reply = self.replies[0]
            if not reply.generated or reply.unsent or any(sent.reply is reply for sent in self._sent):
                break
            self.replies.pop(0)
            ended.append(reply.heard(reply.written, self._rate))
        return ended

    def heard(self, now: float, reply: str | None = None) -> Heard | None:
        """Return the part of a live reply that has been heard by now; of the current one without an id."""
        target = next(iter(self.replies), None) if reply is None else self.find(reply)
        if target is None:
            return None
        self._settle(now)
        samples, before = target.position, self._counted
        for sent in self._sent:
            if sent.reply is target:
                samples = sent.start + max(0, min(self._estimate.played(now) - before, sent.length))
                break
            before += sent.length
        return target.heard(samples, self._rate)

    def _settle(self, now: float) -> None:
        """Let go of chunks that have been played, but for what a rewind may need."""
        played, counted = self._estimate.played(now), self._counted
        gone, last = 0, None
        for sent in self._sent:
            if counted + sent.length > played:
                break
            if last is not None and last.reply is not sent.reply:
                self._forget_played(last)
            counted, last = counted + sent.length, sent
            gone += 1
        if last is not None:
            self._forget_played(last)
            self._last, self._counted = last, counted
            del self._sent[:gone]

    def _forget_played(self, sent: SentChunk) -> None:
        if sent.reply is not None:
            sent.reply.forget(sent.start + sent.length - self._keep)

    def _rollback(self, now: float) -> SentChunk | None:
        """Count what was sent and not heard as unsent: the cut falls between two chunks.

        Returns:
            The first chunk that is not heard, None when all are.
        """
        played = self._estimate.interrupt(now)
        while self._sent and self._counted < played:
            self._last = self._sent.pop(0)
            self._counted += self._last.length
        dropped = self._sent[0] if self._sent else None
        for sent in reversed(self._sent):
            if sent.reply is not None:
                sent.reply.position = sent.start
            if sent.background is not None and self.background is not None:
                self.background.restore(sent.background)
        self._voiced = min(self._voiced, self._estimate.end)
        self._sent.clear()
        return dropped

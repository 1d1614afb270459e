"""Processing of one microphone: packets in; 20 ms frames and turn events out.

Everything here is synchronous, from the bytes of a packet to the events of the turn machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from fishjam_agents.audio.detection import Detection
from fishjam_agents.audio.detectors import DetectorName
from fishjam_agents.audio.formats import FRAME_SECONDS, AudioFormat
from fishjam_agents.audio.reblock import Reblocker
from fishjam_agents.audio.resampling import vad_resampler
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.second_opinion import NetworkName
from fishjam_agents.audio.vad import FRAME_SAMPLES, SAMPLE_RATE, Decision
from fishjam_agents.audio.vad_batch import Question
from fishjam_agents.hearing.detector_bank import DetectorBank
from fishjam_agents.hearing.front_end import FrontEnd
from fishjam_agents.hearing.loudspeaker import Loudspeakers
from fishjam_agents.hearing.media_clock import JITTER, MediaClock
from fishjam_agents.hearing.ring import SECONDS, UNTIL_SUSPECTED, Ring
from fishjam_agents.hearing.stages import Stage
from fishjam_agents.hearing.thinning import Silence, Thinning
from fishjam_agents.hearing.turn_sound import TurnPredictor, TurnSound
from fishjam_agents.turns.decision_log import DecisionLogs, RecordedMachine
from fishjam_agents.turns.machine import (
    NOTHING,
    SpeechEnded,
    State,
    TurnEnded,
    TurnEvent,
    TurnMachine,
    TurnStarted,
)
from fishjam_agents.turns.settings import TurnSettings

Deliver = Callable[["Microphone", Samples | None, Sequence[TurnEvent]], None]

RESTART_AFTER = 1.0
"""Seconds without a packet after which the noise may be another one: a mute, another device."""
QUIET_AFTER = JITTER
"""Seconds without a packet after which their absence counts as silence."""
MAX_PACKET = 1.0
"""Seconds of audio beyond which a packet is dropped as damaged."""
ECHO_PRE_ROLL = 0.1
"""Seconds before an interruption's onset that are handed over where the bot's voice comes back: enough for a
soft first sound, and hardly a word of the bot's."""
_IDLE = State.IDLE
_TURN_TAIL = 0.2
"""Seconds kept after the last sound when the audio of a whole turn is handed over."""


def is_damaged(data: bytes, sample_rate: int) -> bool:
    """Return whether a packet is no 16-bit mono audio: empty, odd in length, or too long."""
    size = len(data)
    return size == 0 or size & 1 == 1 or size > sample_rate * 2 * MAX_PACKET


class Microphone:
    """One (peer, track) input.

    Args:
        peer: Id of the speaker; None for a mix, until somebody speaks.
        track: Id of the track.
        format: What the packets hold: 16-bit mono at the rate asked of the server.
        turns: Settings of the turn machine.
        stages: The user's processing, instances of this microphone's own.
        deliver: Told of every frame with what follows from it, and of silences (frame None).
        stage_failed: Told once of each stage that raised.
        decision_logs: Where the turn machine's inputs are recorded, None for nowhere.
        vad: Which voice detector.
        predictor: Takes the sound of turns where the policy that ends them hears; then the last 8 s are kept.
        second_opinion: Who is asked where the detector may be wrong, None for nobody.
        near_voice: Whether voices far below that of the speaker count for nothing.
        thinning: Whether a part of its silence is judged only; None for never.
        bank: Judges frames together with those of other microphones; None to judge each as it comes.
        failed: Told when hearing failed after `feed` had returned, as it may with a bank.

    Raises:
        ValueError: A bank without `failed`.
        MissingExtraError: Voice detection needs a package that is not installed.

    Attributes:
        peer: Id of the speaker; of a mix, who was loudest when something last happened, None if nobody was.
        track: Id of the track; changes when the peer's track returns under a new one.
        media: Media time, call time in seconds at the end of the last frame (`media_clock`). Never runs back.
        missing_samples: With a silence, how many samples it stands for.
        damaged: Packets dropped because they were empty, odd or too long.
        last_packet: Call time at which the last packet came; None before the first.
        machine: The turn machine.
        detection: Voice detection.
        answer: The decision on the frame that was asked about last.
        loudspeakers: What knows the echo of what the bot says, so that it is no speech; None without echo
            guard.
        front_end: What is done to the sound before it is judged; its canceller takes that echo out of it.
    """

    # An instance that has a dictionary, and more than thirty attributes, is three times as large.
    __slots__ = (
        "_bank",
        "_barge_in",
        "_by_hand",
        "_clock",
        "_deliver",
        "_failed",
        "_format",
        "_heard_from",
        "_keeps_turns",
        "_opened",
        "_predictor",
        "_restarts",
        "_ring",
        "_settings",
        "_silence",
        "_sound",
        "_stage_failed",
        "_thinning",
        "_to_vad",
        "_turn",
        "_vad_blocks",
        "_whole",
        "answer",
        "damaged",
        "detection",
        "front_end",
        "last_packet",
        "loudspeakers",
        "machine",
        "missing_samples",
        "peer",
        "track",
    )

    def __init__(
        self,
        peer: str | None,
        track: str,
        format: AudioFormat,
        turns: TurnSettings,
        stages: Sequence[Stage],
        deliver: Deliver,
        stage_failed: Callable[[Microphone, Stage, Exception], None],
        decision_logs: DecisionLogs | None = None,
        vad: DetectorName = "default",
        predictor: TurnPredictor[Microphone] | None = None,
        second_opinion: NetworkName | None = None,
        near_voice: bool = False,
        thinning: Thinning | None = None,
        bank: DetectorBank | None = None,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        if bank is not None and failed is None:
            raise ValueError("a microphone with a bank may fail after feed() has returned: pass failed, too")
        self.peer = peer
        self.track = track
        self._clock = MediaClock(format.sample_rate)
        self.damaged = 0
        self.missing_samples = 0
        self.detection = Detection(vad, turns.preset, second_opinion, near_voice)
        start = self.detection.start
        self.machine = TurnMachine(turns, start)
        if decision_logs is not None:
            self.machine = RecordedMachine(turns, start, decision_logs.open_log(peer, track, start))
        self._format = format
        self._settings = turns
        self._deliver = deliver
        self._stage_failed = stage_failed
        self.front_end = FrontEnd(format, stages, self.machine)
        self._to_vad = vad_resampler(format.sample_rate) if format.sample_rate != SAMPLE_RATE else None
        self._vad_blocks = Reblocker(FRAME_SAMPLES)
        self._opened = 0.0
        self._by_hand = turns.mode == "push_to_talk"
        # Bytes of a packet that is one frame and needs no resampling to be judged.
        self._whole = 2 * FRAME_SAMPLES if self._to_vad is None and not self._by_hand else -1
        self._bank = bank if self.detection.gathers and not self._by_hand else None
        self._failed = failed
        self._restarts = 0
        self.answer: Decision
        # Nobody asks for the sound of a turn that the model hears as it is said, and ends by itself.
        self._keeps_turns = turns.mode != "backend"
        # What led softly to a sound belongs to it (`NearVoice.lead`).
        self._ring = Ring(SECONDS if self._keeps_turns or near_voice else UNTIL_SUSPECTED)
        self._turn: list[tuple[float, Samples]] | None = None
        self._predictor = predictor
        self._sound = None if predictor is None else TurnSound()
        self._heard_from = 0.0
        self._thinning = thinning or Thinning()
        self._silence = Silence()
        self.last_packet: float | None = None
        self.loudspeakers: Loudspeakers | None = None
        self._barge_in = False

    @property
    def media(self) -> float:
        """Media time: call time in seconds at the end of the last frame."""
        return self._clock.media

    def feed(self, data: bytes, now: float, barge_in: bool) -> bool:
        """Take a packet.

        Args:
            data: 16-bit little-endian mono PCM.
            now: Call time, seconds.
            barge_in: Whether the bot has a reply under way.

        Returns:
            False when the packet was dropped because it was damaged.
        """
        last = self.last_packet
        if (
            len(data) == self._whole
            and last is not None
            and now - last < RESTART_AFTER
            and self.front_end.is_idle
            and (self._bank is None or not self._bank.gathers())
        ):
            self.last_packet = now
            self._barge_in = barge_in
            self._hear_whole(data, now, barge_in)
            return True
        if is_damaged(data, self._format.sample_rate):
            self.damaged += 1
            return False
        samples = np.frombuffer(data, np.int16)
        if last is None:
            self._clock.begin(now - len(samples) / self._format.sample_rate)
        elif now - last >= RESTART_AFTER:
            self._forget_noise()
        self.last_packet = now
        self._barge_in = barge_in
        work = self._take(samples, now, barge_in, self._restarts)
        if self._bank is None:
            self._hear_now(work)
        else:
            self._bank.put(self, work)
        return True

    def fail(self, error: Exception) -> None:
        """Part of `detector_bank.Asker`."""
        if self._failed is None:
            raise error
        self._failed(error)

    def _hear_now(self, work: Iterator[Question]) -> None:
        for question in work:
            self.answer = self.detection.feed(*question)

    def _hear_whole(self, data: bytes, now: float, barge_in: bool) -> None:
        """Hear a packet that is one frame and judged at once, as nearly all are: `_take`, without its steps.

        Args:
            data: 320 samples of 16-bit little-endian mono PCM at 16 kHz.
            now: Call time at which it came.
            barge_in: Whether the bot has a reply under way.
        """
        clock, machine, thinning, restarts = self._clock, self.machine, self._thinning, self._restarts
        frame: Samples = np.frombuffer(data, np.int16)
        clock.heard(FRAME_SAMPLES, now)
        media = clock.media
        self._ring.append(media, data)
        if self._turn is not None:
            self._turn.append((media, frame))
        in_speech, loudspeakers = machine.state is not _IDLE, self.loudspeakers
        playing = None if loudspeakers is None else loudspeakers.playing(media, in_speech, self._ring)
        repeated = self._repeated(frame, in_speech) if thinning.active and playing is None else None
        if repeated is not None:
            self.answer = repeated
        else:
            self.answer = self.detection.feed(frame, in_speech, machine.accumulating, playing, barge_in)
            if thinning.active:
                self._silence.judged(self.answer)
        if self._sound is not None:
            self._sound.append(frame)
        events = machine.feed(self.answer, media, barge_in)
        if events:
            self._tell(frame, events)
            self._predict(events)
        else:
            self._deliver(self, frame, events)
        if self._restarts == restarts:
            clock.received(FRAME_SAMPLES, now)

    def _take(
        self,
        samples: Samples,
        now: float,
        barge_in: bool,
        restarts: int,
        frames: Iterable[Samples] | None = None,
    ) -> Iterator[Question]:
        """Hear a packet. Asks about each frame in turn, and finds the decision in `answer`.

        Args:
            samples: The packet, int16 mono.
            now: Call time at which it came.
            barge_in: Whether the bot has a reply under way.
            restarts: The number of restarts then; after another one it is the past.
            frames: Those that it completes; None to cut, clean and stage them.
        """
        if self._restarts != restarts:
            return
        clock, machine = self._clock, self.machine
        for frame in self.front_end.frames(samples, now, self._fail_stage) if frames is None else frames:
            clock.heard(len(frame), now)
            media = clock.media
            self._ring.append(media, frame)
            if self._turn is not None:
                self._turn.append((media, frame))
            events = self._hold(media) if self._by_hand else NOTHING
            for block in self._detected(frame):
                question = self._ask(block, media, barge_in)
                if question is not None:
                    yield question
                    if self._restarts != restarts:
                        return
                    if self._thinning.active:
                        self._silence.judged(self.answer)
                if self._sound is not None:
                    self._sound.append(block)
                decided = machine.feed(self.answer, media, barge_in)
                events = (*events, *decided) if events else decided
            if events:
                self._tell(frame, events)
                self._predict(events)
            else:
                self._deliver(self, frame, events)
            if self._restarts != restarts:
                return
        if frames is None:
            clock.received(len(samples), now)

    def _hear_held(self, now: float) -> None:
        """Hear what waits for packets that do not come."""
        for cleaned, staged in self.front_end.release(self._fail_stage):
            self._hear_now(self._take(cleaned, now, self._barge_in, self._restarts, staged))

    def _fail_stage(self, stage: Stage, error: Exception) -> None:
        self._stage_failed(self, stage, error)

    def _detected(self, frame: Samples) -> Sequence[Samples]:
        """Frames for voice detection that a frame completes, at its sample rate."""
        if self._by_hand:
            return ()
        return (frame,) if self._to_vad is None else self._vad_blocks.process(self._to_vad.process(frame))

    def _tell(self, frame: Samples | None, events: Sequence[TurnEvent]) -> None:
        """Deliver a frame, or its silence, with what follows from it: the turn's audio is there meanwhile."""
        for event in events:
            if isinstance(event, TurnStarted):
                self._heard_from = self.heard_from(event.at)
                if self._keeps_turns:
                    self._turn = self._ring.timed(self._heard_from)
        self._deliver(self, frame, events)
        for event in events:
            if isinstance(event, TurnEnded):
                self._turn = None
                if self._predictor is not None:
                    self._predictor.resumed(self)

    def _ask(self, block: Samples, media: float, barge_in: bool) -> Question | None:
        """The question for a decision; None where `answer` holds for this frame, too."""
        machine, loudspeakers = self.machine, self.loudspeakers
        in_speech = machine.in_speech
        playing = None if loudspeakers is None else loudspeakers.playing(media, in_speech, self._ring)
        if self._thinning.active and playing is None:
            repeated = self._repeated(block, in_speech)
            if repeated is not None:
                self.answer = repeated
                return None
        return Question(block, in_speech, machine.accumulating, playing, barge_in)

    def _repeated(self, block: Samples, in_speech: bool) -> Decision | None:
        """The decision that a silent microphone need not make again, in a process near its capacity."""
        if in_speech:
            self._silence.end()
            return None
        return None if self.machine.accumulating else self._silence.repeats(block)

    def _predict(self, events: Sequence[TurnEvent]) -> None:
        """Have it judged how the turn sounds, once in each pause; what goes on needs no judgement."""
        if self._predictor is None or self._sound is None:
            return
        pause = self.machine.paused_since
        if pause is not None and any(isinstance(event, SpeechEnded) for event in events):
            self._predictor.paused(self, pause, self._sound.last(self.media - self._heard_from))
        else:
            self._predictor.resumed(self)

    @property
    def echo_expected(self) -> bool:
        """True if the bot's own voice may be in the last frame."""
        return self.detection.detector.echo is not None

    def recent(self, start: float) -> list[Samples]:
        """Frames of which any part lies after media time `start`, as far back as they are kept."""
        return self._ring.since(start)

    def understood(self, text: str, final: bool, onset: float | None = None) -> None:
        """Take what somebody understood of what is being said (`turns.transcript.Transcript.add`).

        Args:
            text: The words.
            final: Whether they are settled.
            onset: Of the sound that they are of, media time; None where that is not known.
        """
        events = self.machine.understood(text, final, onset)
        if events:
            self.missing_samples = 0
            self._tell(None, events)

    def quiet_for(self, now: float) -> float:
        """Seconds since the last packet; 0 before the first."""
        return 0.0 if self.last_packet is None else now - self.last_packet

    def silence(self, now: float) -> None:
        """Take notice that no packet has come, if none has for 120 ms. Called by the ticker."""
        if self.last_packet is None or now - self.last_packet < QUIET_AFTER:
            return
        self._hear_held(now)
        missing = now - self.media
        if missing < FRAME_SECONDS:
            return
        self._clock.pass_to(now)
        self.missing_samples = round(missing * self._format.sample_rate)
        self._tell(None, self._hold(now) if self._by_hand else self.machine.silence(missing))

    def open(self, now: float, barge_in: bool) -> None:
        """Open a turn by hand: it begins now, with nothing before it.

        Args:
            now: Call time, seconds.
            barge_in: Whether the bot has a reply under way.
        """
        if self.last_packet is None:
            self._clock.begin(now)
        events = self.machine.open(self.media, barge_in)
        if events:
            self._turn = []
            self._opened = self.media
            self._deliver(self, None, events)

    def _hold(self, at: float) -> Sequence[TurnEvent]:
        """A turn that was opened by hand goes on, whatever is heard in it, unless it becomes too long."""
        too_long = self.machine.turn_open and at - self._opened >= self._settings.max_turn
        return self.machine.end(at, "limit") if too_long else ()

    def close(self, reason: str) -> None:
        """End what is being said, by hand."""
        self.settle()
        events = self.machine.end(self.media, reason)
        if events:
            self._tell(None, events)

    def end(self, reason: str) -> None:
        """End what is being said: the peer left, or the connection was lost."""
        self.close(reason)
        self.restart()

    def settle(self) -> None:
        """Hear what has come and waits to be judged with others."""
        if self._bank is not None:
            self._bank.settle(self)

    def change_track(self, track: str) -> None:
        """Go on under the id of another track, perhaps from another device."""
        self.settle()
        self.track = track
        self._hear_held(self.media)
        self.front_end.forget_echo()
        self._forget_noise()

    def _forget_noise(self) -> None:
        self._silence.end()
        # A turn goes on in the noise it began in: packets that are late are no other room.
        if not self.machine.in_speech:
            self.detection.restart()

    def restart(self) -> None:
        """Forget the past: what comes next is unrelated to what came before."""
        # A packet that is just being heard, or waits for it, is the past, too.
        self._restarts += 1
        self._vad_blocks.clear()
        self._ring.clear()
        if self._sound is not None:
            self._sound.clear()
        self._clock.restart()
        self.last_packet = None
        self.detection.restart()
        self._silence.end()
        self.front_end.clear()

    @property
    def _pre_roll(self) -> float:
        if self.machine.barge_in and self.loudspeakers is not None and self.loudspeakers.known:
            # What came before the interruption is the bot.
            return min(self._settings.pre_roll, ECHO_PRE_ROLL)
        return self._settings.pre_roll

    def heard_from(self, onset: float) -> float:
        """Media time at which the audio of a sound with this onset begins: pre-roll, and a soft beginning."""
        if self._by_hand:
            return onset
        return self.machine.beginning(onset, self.detection.lead) - self._pre_roll

    def turn_frames(self) -> list[Samples]:
        """Frames of the open turn so far, pre-roll first, up to and with the current one.

        None in `mode: backend`.
        """
        return [frame for _, frame in self._turn or ()]

    def turn_audio(self, end: float) -> Samples:
        """Audio of `turn_frames` up to shortly after `end`: int16 mono, shape (n,)."""
        frames = [frame for at, frame in self._turn or () if at <= end + _TURN_TAIL + 1e-6]
        return np.concatenate(frames) if frames else np.empty(0, np.int16)

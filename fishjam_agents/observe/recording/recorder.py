"""Recordings of calls: stereo sound and transcripts, written as the call goes on."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO, assert_never

import numpy as np

from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.events import Event
from fishjam_agents.observe.recording.mix import CALLERS, StereoMix, TrackPlacement, VoicePlacement
from fishjam_agents.observe.recording.sound_files import OpusFile, SoundFile, WavFile, load_av
from fishjam_agents.observe.recording.transcript import Transcript, web_vtt
from fishjam_agents.observe.recording.writer import WRITER

logger = logging.getLogger(__name__)

SETTLED = 1.5
"""Seconds after which sound is written: packets that are late by less find their place."""
INTERVAL = 1.0
"""Seconds between two writes."""
BACKLOG = 30.0
"""Seconds of sound of one call that may wait for the disk; what comes then is silence in the file."""
FINISH_DEADLINE = 10.0
"""Seconds that the files may take to be complete at the end of a call."""
_MAX_TRACKS = 64
"""Microphones that are remembered; one costs some kilobytes."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SoundRecorder:
    """Records calls into a folder. Part of `pipeline.call_recording.SoundRecorder`.

    Of a call that began at 8:05:12 there are `20261121T080512Z-1a2b3c4d.wav` (or `.opus`), and beside it
    `.transcript.jsonl` and `.transcript.vtt`.

    Args:
        folder: Where to; made when the first call begins.
        format: Of the sound.
        now: The time of day, for the names of files.

    Raises:
        MissingExtraError: Opus needs PyAV, which is not installed.
    """

    def __init__(
        self,
        folder: str | Path,
        format: Literal["wav", "opus"] = "wav",
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.folder = Path(folder)
        self.format = format
        self._now = now
        if format == "opus":
            load_av()

    def open(self, call: str, room_rate: int, voice_rate: int) -> SoundRecording:
        """Begin the recording of a call.

        Args:
            call: Its id.
            room_rate: Hz of the room's audio.
            voice_rate: Hz of the bot's track, and of the recording.
        """
        name = f"{self._now():%Y%m%dT%H%M%SZ}-{call}"
        return SoundRecording(self.folder / name, self.format, room_rate, voice_rate)


class SoundRecording:
    """The recording of one call. Times are call time, in seconds.

    Args:
        path: Its files, without their suffixes.
        format: Of the sound.
        room_rate: Hz of the room's audio.
        voice_rate: Hz of the bot's track, and of the recording.
    """

    def __init__(self, path: Path, format: Literal["wav", "opus"], room_rate: int, voice_rate: int) -> None:
        self._rate, self._room_rate = voice_rate, room_rate
        self._mix = StereoMix()
        self._voice = VoicePlacement(voice_rate, self._mix)
        self._tracks: dict[str, TrackPlacement] = {}
        self._transcript = Transcript()
        self._files = _Files(path, format, voice_rate)
        self._due = INTERVAL

    @property
    def path(self) -> Path:
        """The file of the sound."""
        return self._files.sound

    def heard(self, track: str, data: bytes, now: float) -> None:
        """Take a packet of a microphone: 16-bit little-endian mono PCM at the room's rate."""
        placement = self._tracks.get(track)
        if placement is None:
            if len(self._tracks) >= _MAX_TRACKS:
                self._finish(next(iter(self._tracks)))
            placement = self._tracks[track] = TrackPlacement(self._room_rate, self._rate)
        samples = np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16, copy=False)
        for position, placed in placement.place(samples, now):
            self._mix.add(CALLERS, position, placed)

    def _finish(self, track: str) -> None:
        for position, placed in self._tracks.pop(track).finish():
            self._mix.add(CALLERS, position, placed)

    def sent(self, samples: Samples, end: float) -> None:
        """Take a chunk of the bot's voice, whose last sample plays at `end`."""
        self._voice.sent(samples, end)

    def cut(self, at: float) -> None:
        """Take back what would play at `at` or later."""
        self._voice.cut(at)

    def event(self, event: Event) -> None:
        """Take an event of the call, its words as they may be shown."""
        said = self._transcript.take(event)
        if said is not None:
            self._files.say(said.line())

    def tick(self, now: float) -> None:
        """Take notice of the time; called every 20 ms."""
        if now >= self._due:
            self._due = now + INTERVAL
            self._files.write(self._mix.take(round((now - SETTLED) * self._rate)))

    async def finish(self, now: float) -> Sequence[Path]:
        """End the recording.

        Returns:
            Its files, complete.
        """
        for track in tuple(self._tracks):
            self._finish(track)
        self._files.write(self._mix.take(round(now * self._rate)))
        return await self._files.close()


class _Files:
    """The files of one call, all of them touched in the writer's thread only."""

    def __init__(self, path: Path, format: Literal["wav", "opus"], rate: int) -> None:
        self.sound = path.with_name(f"{path.name}.{format}")
        self._lines = path.with_name(f"{path.name}.transcript.jsonl")
        self._captions = path.with_name(f"{path.name}.transcript.vtt")
        self._format: Literal["wav", "opus"] = format
        self._rate = rate
        self._waiting = 0
        self._left_out = 0
        self._file: SoundFile | None = None
        self._text: TextIO | None = None
        self._failed = False
        WRITER.put(lambda: self._try(self._open))

    def write(self, samples: Samples) -> None:
        """Have sound written."""
        if self._waiting > BACKLOG * self._rate:
            if not self._left_out:
                logger.warning("The disk is too slow for %s: what it misses is silence there", self.sound)
            self._left_out += len(samples)
            return
        silence, self._left_out = self._left_out, 0
        self._waiting += len(samples)

        def work() -> None:
            self._try(lambda: self._append(silence, samples))
            self._waiting -= len(samples)

        WRITER.put(work)

    def say(self, line: str) -> None:
        """Have a line of the transcript written."""
        WRITER.put(lambda: self._try(lambda: self._append_line(line)))

    async def close(self) -> Sequence[Path]:
        """Finish the files; those that are complete."""
        WRITER.put(lambda: self._try(self._close))
        if not await asyncio.to_thread(WRITER.wait, FINISH_DEADLINE):
            logger.error(
                "The recording %s is not written within %g s: the disk is too slow",
                *(self.sound, FINISH_DEADLINE),
            )
            return []
        return [] if self._failed else [self.sound, self._lines, self._captions]

    def _open(self) -> None:
        self.sound.parent.mkdir(parents=True, exist_ok=True)
        match self._format:
            case "wav":
                self._file = WavFile(self.sound, self._rate)
            case "opus":
                self._file = OpusFile(self.sound, self._rate)
            case format:
                assert_never(format)
        self._text = self._lines.open("w", encoding="utf-8")

    def _append(self, silence: int, samples: Samples) -> None:
        assert self._file is not None
        while silence:
            piece = min(silence, self._rate)
            self._file.write(np.zeros((piece, 2), np.int16))
            silence -= piece
        self._file.write(samples)

    def _append_line(self, line: str) -> None:
        assert self._text is not None
        self._text.write(line)
        # What a killed process leaves behind should reach as far as possible.
        self._text.flush()

    def _close(self) -> None:
        assert self._file is not None
        assert self._text is not None
        self._file.close()
        self._text.close()
        lines = map(json.loads, self._lines.read_text(encoding="utf-8").splitlines())
        self._captions.write_text(web_vtt(lines), encoding="utf-8")

    def _try(self, work: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            work()
        except (OSError, FishjamAgentsError) as error:
            self._failed = True
            why = getattr(error, "strerror", None) or str(error)
            logger.error(
                "The recording %s ends here (%s): the call goes on without it; check the folder and the "
                "space left",
                self.sound,
                why,
            )

"""Voice detection of many microphones at once: rows of one array, one call of numpy for each step.

At 20 ms a frame the price of numpy is per call. What is the same for every frame, its spectrum, its pitch and
the lines in it, is computed for all frames together; what a microphone remembers (noise, tones, echo) stays
with its detector, in plain numbers, which cost less one by one than a handful of them in arrays. A decision
is bit for bit the one that `vad.Detector.feed` gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.bands import (
    BINS,
    PART_STARTS,
    analysis_window,
    make_spectra,
    transform,
    voice_level,
)
from fishjam_agents.audio.echo import Echo, EchoSource, GuardedFrame
from fishjam_agents.audio.echo_batch import expect_together
from fishjam_agents.audio.pitch import SAMPLES, Pitch, RowPitch
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.tones import RowTones
from fishjam_agents.audio.vad import FFT, PITCH_WEIGHT, Decision, Detector

FEWEST = 3
"""Frames below which one after the other costs less."""
_FEWEST_PITCHES = 5
_FEWEST_TONES = 3
_ROWS = 64
"""Frames that are computed together at most: what is worked on stays in the cache."""

_Floats = npt.NDArray[np.float32]


class Question(NamedTuple):
    """A frame to be decided upon: what `vad.Detector.feed` and `detection.Detection.feed` are told of it."""

    frame: Samples
    in_speech: bool
    accumulating: bool = True
    playing: EchoSource | None = None
    barge_in: bool = False


class DetectorBatch:
    """Scores frames of different microphones together; holds nothing between two calls."""

    def __init__(self) -> None:
        self._window: _Floats = analysis_window(FFT)
        self._sounds: _Floats = np.empty((_ROWS, SAMPLES), np.float32)
        self._windowed: _Floats = np.empty((_ROWS, FFT), np.float32)
        self._spectra, self._spectrum_parts = make_spectra(_ROWS, FFT)
        self._parts: _Floats = np.empty((_ROWS, 2 * BINS), np.float32)
        self._pitch = RowPitch(_ROWS)
        self._one_pitch = Pitch()
        self._tones = RowTones(_ROWS)

    def feed(self, detectors: Sequence[Detector], questions: Sequence[Question]) -> list[Decision]:
        """Score the next frame of each detector.

        Args:
            detectors: In any order; none twice.
            questions: The frame of each.

        Returns:
            The decision on each frame, in order.
        """
        decisions: list[Decision] = []
        for start in range(0, len(detectors), _ROWS):
            some, asked = detectors[start : start + _ROWS], questions[start : start + _ROWS]
            if len(some) < FEWEST:
                decisions += [each.feed(*question[:4]) for each, question in zip(some, asked, strict=True)]
            else:
                decisions += self._score(some, asked)
        return decisions

    def _score(self, detectors: Sequence[Detector], questions: Sequence[Question]) -> list[Decision]:
        heard: list[Samples] = []
        for detector, question in zip(detectors, questions, strict=True):
            frame = question.frame
            detector.take(frame, question.in_speech)
            heard += detector.before, frame
        sounds = self._sounds[: len(detectors)]
        np.concatenate(heard, out=sounds.reshape(-1))
        bands = self._bands(sounds)
        levels = [voice_level(powers) for powers in bands]
        echoes = self._echoes(questions, bands, levels)
        weighed = [
            detector.weigh(powers, level, question.accumulating, echo)
            for detector, question, powers, level, echo in zip(
                detectors, questions, bands, levels, echoes, strict=True
            )
        ]
        scores = self._with_pitch(sounds, weighed)
        self._take_out_tones(detectors, bands, scores)
        together = zip(detectors, scores, levels, strict=True)
        return [detector.decide(score, level) for detector, score, level in together]

    def _bands(self, sounds: _Floats) -> list[list[float]]:
        count = len(sounds)
        windowed, parts = self._windowed[:count], self._parts[:count]
        np.multiply(sounds[:, -FFT:], self._window, out=windowed)
        transform(windowed, self._spectra[:count])
        np.square(self._spectrum_parts[:count], out=parts)
        powers: list[list[float]] = np.add.reduceat(parts, PART_STARTS, axis=1).tolist()
        return powers

    def _echoes(
        self, questions: Sequence[Question], bands: Sequence[list[float]], levels: Sequence[float]
    ) -> list[Echo | None]:
        echoes: list[Echo | None] = [None] * len(questions)
        guarded: list[GuardedFrame] = []
        places: list[int] = []
        for index, question in enumerate(questions):
            playing = question.playing
            if isinstance(playing, GuardedFrame):
                guarded.append(playing)
                places.append(index)
            elif playing is not None:
                echoes[index] = playing.expect(bands[index], levels[index])
        if guarded:
            expected = expect_together(guarded, [bands[at] for at in places], [levels[at] for at in places])
            for at, echo in zip(places, expected, strict=True):
                echoes[at] = echo
        return echoes

    def _with_pitch(self, sounds: _Floats, weighed: Sequence[tuple[float, float]]) -> list[float]:
        scores = [z for z, _ in weighed]
        sought = [index for index, (_, voice) in enumerate(weighed) if voice]
        if len(sought) < _FEWEST_PITCHES:
            strengths = [self._one_pitch.strength(sounds[index].reshape(-1, 4)) for index in sought]
        else:
            strengths = self._pitch.strengths(sounds if len(sought) == len(sounds) else sounds[sought])
        for index, strength in zip(sought, strengths, strict=True):
            scores[index] += PITCH_WEIGHT * strength * weighed[index][1]
        return scores

    def _take_out_tones(
        self, detectors: Sequence[Detector], bands: Sequence[list[float]], scores: list[float]
    ) -> None:
        sounding: list[int] = []
        for index, score in enumerate(scores):
            if score > 0:
                sounding.append(index)
            else:
                detectors[index].tones.rest()
        if len(sounding) < _FEWEST_TONES:
            for index in sounding:
                if detectors[index].tones.hears(sum(bands[index]), self._parts[index]):
                    scores[index] = -1.0
            return
        tones = [detectors[index].tones for index in sounding]
        totals = [sum(bands[index]) for index in sounding]
        for index, is_tone in zip(
            sounding, self._tones.hear(tones, totals, self._parts[sounding]), strict=True
        ):
            if is_tone:
                scores[index] = -1.0

"""`python -m quality.suppressor`: what WebRTC's noise suppressor does to the default detector in real places.

Prints how much of a time in which nobody speaks to the bot is taken for a turn, without the suppressor and
behind it, and how many recorded utterances in front of the same sound become turns.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from audio_fixtures.recordings import FRENCH, ITALIAN, missing, prompts
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.samples import Samples
from quality.bench import Bench
from quality.figures import markdown, per_cent
from quality.microphone import RATE, VADS, listen
from quality.places import Bed, Others, music_on_hold, typing
from quality.score import touches
from quality.sounds import Rng, at_level, pink, to_samples
from quality.stream import DecisionLog, Stream

_SECONDS = 120.0
_BED_LEVEL = -36.0
_ABOVE = 10.0
_UTTERANCES = 45
_LEVELS: tuple[int | None, ...] = (None, 0, 1, 3)
"""None without it; the others are 6, 12 and 21 dB."""


class Suppressor:
    """A stage of `AgentPipeline.input_stages`: WebRTC's noise suppressor, of `pywebrtc-audio`.

    Args:
        level: 0 to 3, for 6, 12, 18 and 21 dB.
    """

    def __init__(self, level: int = 1) -> None:
        self._level = level
        # Made with the first frame: stages are copied for each microphone.
        self._processor: Any = None

    def process(self, samples: Samples, format: AudioFormat) -> Samples:
        """Take the noise out of 20 ms."""
        if self._processor is None:
            import pywebrtc_audio

            self._processor = pywebrtc_audio.AudioProcessor(
                format.sample_rate, noise_suppression=True, ns_level=self._level
            )
        cleaned: Samples = self._processor.process(samples)
        return cleaned

    def reset(self) -> None:
        """Forget the noise."""
        self._processor = None


def _behind(level: int | None, samples: Samples) -> Samples:
    if level is None:
        return samples
    stage, format = Suppressor(level), AudioFormat(RATE)
    size = format.frame_samples
    whole = len(samples) // size * size
    return np.concatenate([stage.process(samples[at : at + size], format) for at in range(0, whole, size)])


def _speech_in_front_of(bed: Bed, rng: Rng) -> Stream:
    tape = DecisionLog()
    tape.wait(3.0)
    for number in rng.permutation(len(prompts(ITALIAN)))[:_UTTERANCES]:
        tape.say(prompts(ITALIAN)[number], _BED_LEVEL + _ABOVE)
        tape.wait(rng.uniform(2.0, 4.0))
    return tape.stream(at_level(bed(rng, tape.seconds + 0.1), _BED_LEVEL))


def main() -> int:
    """Print the table; 1 when the recordings are not installed."""
    absent = missing()
    if absent:
        sys.stderr.write(f"recordings not found: apt-get install -y {' '.join(absent)}\n")
        return 1
    bench = Bench(VADS["default"], 1)
    beds: dict[str, Bed] = {
        "a quiet room": pink,
        "music": music_on_hold,
        "babble": Others(prompts(FRENCH)).babble,
        "typing": typing,
    }
    rows = []
    for name, bed in beds.items():
        alone = to_samples(at_level(bed(bench.rng("suppressor", name), _SECONDS), _BED_LEVEL))
        spoken = _speech_in_front_of(bed, bench.rng("suppressor", name, 1))
        cells = []
        for level in _LEVELS:
            spans = listen(bench.vad, _behind(level, alone), bot_speaks=False)
            turns = sum(
                min(span.until, _SECONDS) - span.onset for span in spans if span.confirmed is not None
            )
            heard = listen(bench.vad, _behind(level, spoken.samples), bot_speaks=False)
            caught = sum(
                any(span.confirmed is not None and touches(span, label) for span in heard)
                for label in spoken.labels
            )
            cells.append(f"{100 * turns / _SECONDS:.0f} %, {per_cent(caught, len(spoken.labels))}")
        rows.append((name, *cells))
    columns = ("behind the speaker", "without", "6 dB", "12 dB", "21 dB")
    sys.stdout.write(markdown(columns, rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

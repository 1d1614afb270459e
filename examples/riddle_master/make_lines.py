"""Record what the host says: the WAV files of `lines/`, by espeak-ng.

    python examples/riddle_master/make_lines.py

Needs espeak-ng and sox (apt-get install -y espeak-ng sox). The files are committed: only who changes the
words needs to run this.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from recorded_host import LINES

from fishjam_agents.audio.wav import write_wav

HERE = Path(__file__).parent
RATE = 16000
VOICE = ("en-gb+m7", 30, 175)
"""espeak-ng voice, pitch (0-99), words per minute."""


def main() -> None:
    """Write every file."""
    path = HERE.parents[1] / "audio_fixtures" / "make.py"
    spec = importlib.util.spec_from_file_location("make", path)
    assert spec is not None
    assert spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    (HERE / "lines").mkdir(exist_ok=True)
    for name, words in LINES.items():
        write_wav(HERE / "lines" / f"{name}.wav", make.speak(words, *VOICE, RATE), RATE)


if __name__ == "__main__":
    main()

"""Real sound for the quality bench: people, music, typing and cries, from Debian packages, read at run time.

Nothing of it is committed. `missing()` says which packages are to be installed:

    apt-get install -y asterisk-core-sounds-it-wav asterisk-core-sounds-fr-wav asterisk-moh-opsound-wav \
        bucklespring-data teeworlds-data pocketsphinx-testdata

Of the voices only the Italian and the French prompts are used, of the music only the pieces by macroform:
the others stay unheard, so that what is tuned here can be judged by them.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from audio_fixtures.corpus import PHONE_RATE, RATE, CorpusError, Utterance, labelled
from audio_fixtures.make import heard
from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import FULL_SCALE, Samples, saturate
from fishjam_agents.audio.wav import read_wav

_SHORTEST, _LONGEST = 0.6, 5.0
"""Seconds of a prompt that is one utterance."""
_PAUSE = 0.4
"""Seconds of quiet inside a prompt that would make two of it."""
_MEANING = 3
"""Prompts whose names have fewer letters are single letters and digits."""


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package with sound.

    Attributes:
        name: What `apt-get install` is told.
        folder: Where its files are.
        pattern: Which of them are used.
    """

    name: str
    folder: Path
    pattern: str

    def files(self) -> list[Path]:
        """Its files in order of their names.

        Raises:
            CorpusError: The package is not installed.
        """
        found = sorted(self.folder.glob(self.pattern))
        if not found:
            raise CorpusError(f"{self.name} not found: apt-get install -y {self.name}")
        return found


_SHARE = Path("/usr/share")
MUSIC = Package("asterisk-moh-opsound-wav", _SHARE / "asterisk/moh", "macroform-*.wav")
ITALIAN = Package("asterisk-core-sounds-it-wav", _SHARE / "asterisk/sounds/it_IT_m_Carlo", "*.wav")
FRENCH = Package("asterisk-core-sounds-fr-wav", _SHARE / "asterisk/sounds/fr_CA_f_June", "*.wav")
WIDE = (
    Package("asterisk-core-sounds-it-g722", ITALIAN.folder, "*.g722"),
    Package("asterisk-core-sounds-fr-g722", FRENCH.folder, "*.g722"),
)
"""The same prompts as a browser would send them, at 16 kHz. PyAV decodes them."""
KEYS = Package("bucklespring-data", _SHARE / "buckle/wav", "??-0.wav")
CRIES = Package("teeworlds-data", _SHARE / "games/teeworlds/data/audio", "vo_teefault_*.wv")
READER = Package("pocketsphinx-testdata", _SHARE / "pocketsphinx/test/data/librivox", "*.wav")
PACKAGES = (ITALIAN, FRENCH, MUSIC, KEYS, CRIES, READER)


def missing(packages: Sequence[Package] | None = None) -> list[str]:
    """Names of the packages that are not installed, of all by default."""
    return [package.name for package in packages or PACKAGES if not any(package.folder.glob(package.pattern))]


@lru_cache(maxsize=4)
def prompts(package: Package) -> tuple[Utterance, ...]:
    """Sentences and phrases of one person over a telephone line, without long pauses, labelled.

    Raises:
        CorpusError: The package is not installed.
    """
    found = []
    for path in package.files():
        samples = _at_rate(path)
        segments = heard(samples) if np.any(samples) else []
        if len(path.stem) < _MEANING or not segments or "beep" in path.stem or "tone" in path.stem:
            continue
        pauses = [later[0] - earlier[1] for earlier, later in pairwise(segments)]
        if _SHORTEST <= segments[-1][1] - segments[0][0] <= _LONGEST and max(pauses, default=0.0) < _PAUSE:
            band = RATE if path.suffix == ".g722" else PHONE_RATE
            found.append(labelled(samples, path.stem, package.name, 0, 0, band))
    return tuple(found)


@lru_cache(maxsize=4)
def texts(package: Package) -> dict[str, str]:
    """Texts of the prompts of a package, by their names, as its documentation has them.

    Raises:
        CorpusError: The package is not installed.
    """
    folder = _SHARE / "doc" / package.name.rpartition("-")[0]
    found = sorted(folder.glob("core-sounds-*.txt*"))
    if not found:
        raise CorpusError(f"{folder.name} not found: apt-get install -y {folder.name}")
    content = found[0].read_bytes()
    plain = gzip.decompress(content) if found[0].suffix == ".gz" else content
    lines = plain.decode("utf-8-sig", "replace").splitlines()
    return {
        name.strip(): said.strip() for name, mark, said in (line.partition(":") for line in lines) if mark
    }


@lru_cache(maxsize=1)
def reader_sentences() -> tuple[Utterance, ...]:
    """Whole sentences of the person who reads a book aloud, labelled.

    Raises:
        CorpusError: The package is not installed.
    """
    said = [(path, _at_rate(path)) for path in READER.files()]
    return tuple(labelled(samples, path.stem, READER.name, 0, 0, RATE) for path, samples in said)


@lru_cache(maxsize=1)
def reader() -> Samples:
    """A person who reads a book aloud.

    Raises:
        CorpusError: The package is not installed.
    """
    return np.concatenate([_at_rate(path) for path in READER.files()])


@lru_cache(maxsize=1)
def music() -> tuple[Samples, ...]:
    """Three pieces of music on hold.

    Raises:
        CorpusError: The package is not installed.
    """
    return tuple(_at_rate(path) for path in MUSIC.files())


@lru_cache(maxsize=1)
def keys() -> tuple[Samples, ...]:
    """Keys of a loud keyboard that go down.

    Raises:
        CorpusError: The package is not installed.
    """
    return tuple(_at_rate(path) for path in KEYS.files())


@lru_cache(maxsize=1)
def cries() -> tuple[Samples, ...]:
    """Cries, laughs and groans.

    Raises:
        CorpusError: The package is not installed, or PyAV is not, which decodes WavPack.
    """
    return tuple(_decoded(path) for path in CRIES.files())


def _at_rate(path: Path) -> Samples:
    if path.suffix == ".g722":
        return _wide(path)
    clip = read_wav(path)
    return resample(clip.mono(), clip.sample_rate, RATE)


def _wide(path: Path) -> Samples:
    try:
        import av
    except ImportError as error:
        raise CorpusError("PyAV not found, which decodes G.722: pip install av") from error
    with av.open(str(path), format="g722") as container:
        pieces = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(pieces).astype(np.int16)


def _decoded(path: Path) -> Samples:
    try:
        import av
    except ImportError as error:
        raise CorpusError("PyAV not found, which decodes WavPack: pip install av") from error
    resampler: Any = av.AudioResampler("s16", "mono", RATE)
    decoded: Callable[..., Any] = resampler.resample
    with av.open(str(path)) as container:
        pieces = [piece.to_ndarray()[0] for frame in container.decode(audio=0) for piece in decoded(frame)]
        pieces += [piece.to_ndarray()[0] for piece in decoded(None)]
    whole = np.concatenate(pieces).astype(np.float32)
    peak = float(np.abs(whole).max()) or 1.0
    return saturate(whole * np.float32(0.5 * FULL_SCALE / peak))

"""Reading and writing 16-bit PCM WAV files.

The standard library's `wave` refuses WAVE_FORMAT_EXTENSIBLE before Python 3.12 and files whose header
promises more than was written, which is how a WAV looks that was recorded into a pipe. Both are common,
so the chunks are walked here.

Source of the layout: Microsoft/IBM "Multimedia Programming Interface and Data Specifications 1.0" and
the WAVEFORMATEXTENSIBLE structure of `mmreg.h`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import Samples, is_mono
from fishjam_agents.errors import AudioError

_PCM = 0x0001
_FLOAT = 0x0003
_EXTENSIBLE = 0xFFFE
_ENCODINGS = {0x0002: "ADPCM", 0x0006: "A-law", 0x0007: "u-law", 0x0011: "ADPCM", 0x0055: "MP3"}


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A piece of recorded sound.

    Attributes:
        samples: int16, shape (n,) for mono or (n, 2) for stereo, read-only.
        sample_rate: Hz.
    """

    samples: Samples
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sample_rate

    def mono(self) -> Samples:
        """The clip as int16 mono, shape (n,): stereo becomes the mean of its channels."""
        if self.samples.ndim == 1:
            return self.samples
        mean: Samples = (self.samples.sum(axis=1, dtype=np.int32) >> 1).astype(np.int16)
        return mean


def read_wav(path: str | os.PathLike[str]) -> Clip:
    """Read a 16-bit PCM WAV file of any sample rate, mono or stereo.

    An incomplete last sample and a data chunk that promises more than the file holds are tolerated.

    Raises:
        AudioError: The file cannot be read, is not a WAV, holds no sound, or holds it in another
            encoding; the message names the `sox` command that converts it.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise AudioError(f"cannot read {path} ({error.strerror}): check the path") from error
    if not content:
        raise AudioError(f"{path} is empty: record it again, or give another file")
    if content[:4] not in (b"RIFF", b"RF64", b"RIFX") or content[8:12] != b"WAVE":
        raise AudioError(f"{path} is not a WAV file: convert it with: sox {path} -b 16 converted.wav")
    if content[:4] != b"RIFF":
        kind = content[:4].decode("ascii")
        raise AudioError(f"{path} is an {kind} file, not a plain WAV: convert it with: {_sox(path)}")

    channels = sample_rate = 0
    for name, body in _chunks(content):
        if name == b"fmt ":
            channels, sample_rate = _read_format(path, body)
        elif name == b"data":
            if not channels:
                raise AudioError(f"{path} has no format before its sound: convert it with: {_sox(path)}")
            count = len(body) // (2 * channels)
            if not count:
                break
            samples = np.frombuffer(body, dtype="<i2", count=count * channels).astype(np.int16, copy=False)
            samples.flags.writeable = False
            return Clip(samples if channels == 1 else samples.reshape(count, channels), sample_rate)
    raise AudioError(f"{path} holds no sound: record it again, or give another file")


def load_speech(path: str | os.PathLike[str], sample_rate: int) -> Samples:
    """Read a WAV file as int16 mono, shape (n,), at `sample_rate` Hz.

    Raises:
        AudioError: As `read_wav`.
    """
    clip = read_wav(path)
    return resample(clip.mono(), clip.sample_rate, sample_rate)


def load_recording(
    audio: Samples | str | os.PathLike[str], samples_rate: int | None, sample_rate: int
) -> Samples:
    """Load what an app wants played: a WAV file, or samples of its own.

    Args:
        audio: The file, or int16 mono of shape (n,).
        samples_rate: Hz of the samples; None means `sample_rate`. A file knows its own.
        sample_rate: Hz of the result.

    Returns:
        int16 mono, shape (n,).

    Raises:
        AudioError: The file cannot be played, or the samples are not int16 mono.
    """
    if isinstance(audio, (str, os.PathLike)):
        return load_speech(audio, sample_rate)
    if not is_mono(audio):
        found = "None" if audio is None else f"a {type(audio).__name__}"
        if isinstance(audio, np.ndarray):
            found = f"{audio.dtype} of shape {audio.shape}"
        raise AudioError(f"play takes a WAV file or int16 samples of shape (n,), not {found}: convert it")
    return resample(audio, samples_rate or sample_rate, sample_rate)


def write_wav(path: str | os.PathLike[str], samples: Samples, sample_rate: int) -> None:
    """Write a 16-bit PCM WAV file.

    Args:
        path: The file to create or replace.
        samples: int16, shape (n,) for mono or (n, 2) for stereo.
        sample_rate: Hz.

    Raises:
        AudioError: The file cannot be written.
    """
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    body = np.ascontiguousarray(samples, dtype="<i2").tobytes()
    fmt = struct.pack("<HHIIHH", _PCM, channels, sample_rate, sample_rate * channels * 2, channels * 2, 16)
    header = struct.pack(
        "<4sI4s4sI16s4sI", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", 16, fmt, b"data", len(body)
    )
    try:
        Path(path).write_bytes(header + body)
    except OSError as error:
        raise AudioError(f"cannot write {path} ({error.strerror}): check the folder") from error


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks of a RIFF file; the last one is cut where the file ends."""
    view = memoryview(content)
    riff_size = int.from_bytes(content[4:8], "little")
    position = 12
    while position + 8 <= len(content):
        name = content[position : position + 4]
        size = int.from_bytes(content[position + 4 : position + 8], "little")
        position += 8
        # A recorder that cannot seek back leaves zeros where the sizes belong.
        if name == b"data" and size == 0 and riff_size <= position - 8:
            size = len(content) - position
        yield name, view[position : position + size]
        position += size + (size & 1)


def _read_format(path: str | os.PathLike[str], body: memoryview) -> tuple[int, int]:
    """Channels and sample rate of a `fmt ` chunk, or AudioError when it is not 16-bit PCM."""
    if len(body) < 16:
        raise AudioError(f"{path} has a damaged header: convert it with: {_sox(path)}")
    encoding, channels, sample_rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if encoding == _EXTENSIBLE and len(body) >= 26:
        # The first two bytes of the sub-format GUID are the encoding it stands for.
        (encoding,) = struct.unpack_from("<H", body, 24)
    if encoding == _FLOAT:
        found = f"{bits}-bit floating point sound"
    elif encoding != _PCM:
        found = f"{_ENCODINGS.get(encoding, f'encoding {encoding:#06x}')} sound"
    elif bits != 16:
        found = f"{bits}-bit sound"
    else:
        found = ""
    if found:
        raise AudioError(f"{path} holds {found}, not 16-bit PCM: convert it with: {_sox(path)}")
    if sample_rate == 0:
        raise AudioError(f"{path} claims a sample rate of 0 Hz: record it again, or give another file")
    if channels not in (1, 2):
        raise AudioError(f"{path} has {channels} channels, not 1 or 2: convert it with: {_sox(path, '-c 1')}")
    return channels, sample_rate


def _sox(path: str | os.PathLike[str], options: str = "-e signed-integer") -> str:
    return f"sox {path} -b 16 {options} converted.wav"

"""Files of sound that are written as a call goes on, and can be read if it ends in the middle."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import MissingExtraError

_LONGEST = 0xFFFFFFFF
_BITRATE = 48_000
"""Bits a second of Opus, for two voices. Our choice."""


class SoundFile(Protocol):
    """A stereo file that is being written."""

    def write(self, samples: Samples) -> None:
        """Append int16, shape (n, 2).

        Raises:
            OSError: It cannot be written.
        """
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class WavFile:
    """A WAV file whose header is right after every write.

    Args:
        path: The file to create or replace.
        sample_rate: Hz.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        self._stream: BinaryIO = path.open("wb")
        self._bytes = 0
        self._format = struct.pack("<HHIIHH", 1, 2, sample_rate, sample_rate * 4, 4, 16)
        self._stream.write(self._header())
        self._stream.flush()

    def write(self, samples: Samples) -> None:
        """Append int16, shape (n, 2)."""
        body = np.ascontiguousarray(samples, dtype="<i2").tobytes()
        self._stream.write(body)
        # The sound is in the file before the header tells of it.
        self._stream.flush()
        self._bytes += len(body)
        self._stream.seek(0)
        self._stream.write(self._header())
        self._stream.flush()
        self._stream.seek(0, 2)

    def _header(self) -> bytes:
        # Beyond 4 GB, twelve hours at 24 kHz, the size is said to be unknown, and readers read to the end.
        size = min(self._bytes, _LONGEST)
        riff = min(36 + self._bytes, _LONGEST)
        return struct.pack(
            "<4sI4s4sI16s4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16, self._format, b"data", size
        )

    def close(self) -> None:
        """Finish the file."""
        self._stream.close()


class OpusFile:
    """Opus in Ogg (RFC 7845), by PyAV.

    Args:
        path: The file to create or replace.
        sample_rate: Hz: 16000, 24000 or 48000.

    Raises:
        MissingExtraError: PyAV is not installed.
        OSError: It cannot be written.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        av = load_av()
        # A page is written twice a second, and with it all that a reader needs.
        self._container: Any = av.open(
            str(path), "w", format="ogg", options={"page_duration": "500000", "flush_packets": "1"}
        )
        self._stream: Any = self._container.add_stream("libopus", rate=sample_rate, layout="stereo")
        self._stream.bit_rate = _BITRATE
        self._frame = av.AudioFrame
        self._rate = sample_rate
        self._written = 0

    def write(self, samples: Samples) -> None:
        """Append int16, shape (n, 2)."""
        if not len(samples):
            return
        packed = np.ascontiguousarray(samples, dtype=np.int16).reshape(1, -1)
        frame = self._frame.from_ndarray(packed, format="s16", layout="stereo")
        frame.sample_rate = self._rate
        frame.pts = self._written
        self._written += len(samples)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Finish the file."""
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()


def load_av() -> Any:
    """Import PyAV.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise MissingExtraError("observe.recording.format: opus", "recording") from error
    return av

"""Form of what a voice really sent: raw PCM, a WAV file, or something that would be noise if it were played.

Servers label what they send as they like, so the bytes decide. A label is believed where it tells a rate.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.resampling import StreamResampler, playout_resampler
from fishjam_agents.audio.samples import Samples

_MAGIC = {
    b"ID3": "MP3",
    b"OggS": "Ogg",
    b"fLaC": "FLAC",
    b"FORM": "AIFF",
    b"caff": "CAF",
    b"RIFX": "big-endian WAV",
    b"RF64": "RF64",
    b"RIFF": "RIFF",
    b"\x1a\x45\xdf\xa3": "WebM",
    b"#!AMR": "AMR",
}
_ENOUGH = 24
"""Bytes that tell all but MP3 and AAC, whose frames begin with no more than a pattern of bits."""
_LONGEST_FRAME = 8192
"""Bytes of the longest frame of AAC; those of MP3 have less."""
_UNPACKED = frozenset({"audio/aac", "audio/opus"})
"""Labels of what has no mark to be known by."""
_LETTERS = 5
_TEXT = re.compile(rb"[\t\r\n -~]{4,}")
"""No sound begins with a run of letters: it would have to begin loud, and with the same sign for long."""
_RATE = re.compile(r"rate=(\d{4,6})")
_UNKNOWN_SIZE = 0x7FFFFFFF
"""From this size on a WAV file does not know its own: it is streamed."""
_LONGEST_HEADER = 65536

_KBITS = {
    # By whether it is MPEG-1, and layer: kilobits a second (ISO 11172-3, 13818-3).
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MP3_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


class NoPcmError(Exception):
    """Error: what came cannot be played; the message names it."""


class SoundReader:
    """Reader of what a voice sends, piece by piece.

    Args:
        rate: Hz of the PCM that is wanted, and of raw PCM whose label tells none.
        label: The content type.
    """

    def __init__(self, rate: int, label: str = "") -> None:
        self._rate = rate
        self._label = label
        self._unread = b""
        self._wav: _Wav | None = None
        self._resampler: StreamResampler | None = None
        self._known = False

    def feed(self, piece: bytes) -> bytes:
        """The 16-bit little-endian mono PCM in what has come, as far as it is certain.

        Raises:
            NoPcmError: It is something else.
        """
        if self._known and self._wav is None and self._resampler is None:
            return piece
        self._unread += piece
        if not self._known:
            self._look()
        return self._read() if self._known else b""

    def finish(self) -> bytes:
        """The end has come: the rest.

        Raises:
            NoPcmError: It is something else than PCM or WAV, or a file without a beginning.
        """
        if not self._known:
            self._look(over=True)
        rest = self._read()
        if self._wav is not None and not self._wav.begun:
            raise NoPcmError("a WAV file that ends in its header")
        return rest if self._resampler is None else rest + _bytes(self._resampler.flush())

    def _look(self, *, over: bool = False) -> None:
        """Find out what it is, if what has come tells."""
        data = self._unread
        if len(data) < _ENOUGH and not over:
            return
        if data.startswith(b"RIFF") and b"WAVE".startswith(data[8:12]):
            self._wav = _Wav(self._resample_from)
        elif (other := _other(data)) is not None:
            raise NoPcmError(other)
        else:
            frames = _frames(data)
            if frames is None and not over:
                return
            if frames:
                raise NoPcmError(frames)
            kind = self._label.partition(";")[0].strip().lower()
            if kind in _UNPACKED:
                raise NoPcmError(kind)
            told = _RATE.search(self._label)
            if told is not None:
                self._resample_from(int(told[1]))
        self._known = True

    def _read(self) -> bytes:
        data, self._unread = self._unread, b""
        if self._wav is not None:
            samples = self._wav.feed(data)
        elif self._resampler is not None:
            whole = len(data) & ~1
            samples, self._unread = np.frombuffer(data[:whole], "<i2").astype(np.int16), data[whole:]
        else:
            return data
        return _bytes(samples if self._resampler is None else self._resampler.process(samples))

    def _resample_from(self, rate: int) -> None:
        self._resampler = playout_resampler(rate, self._rate)


class _Wav:
    """A WAV file that comes in pieces, made into int16 mono.

    Args:
        found: Told the rate.
    """

    def __init__(self, found: Callable[[int], None]) -> None:
        self._found = found
        self._unread = b""
        self._left = 0
        self._format = _Format()
        self.begun = False

    def feed(self, data: bytes) -> Samples:
        self._unread += data
        if not self.begun and not self._read_header():
            return np.zeros(0, np.int16)
        frame = self._format.frame
        whole = min(len(self._unread), self._left) // frame * frame
        samples = self._format.samples(self._unread[:whole])
        self._left -= whole
        # What follows the sound is no sound.
        self._unread = self._unread[whole:] if self._left >= frame else b""
        return samples

    def _read_header(self) -> bool:
        at = 12
        while len(self._unread) >= at + 8:
            name, size = struct.unpack_from("<4sI", self._unread, at)
            if name == b"data":
                if not self._format.frame:
                    raise NoPcmError("a WAV file without a format")
                # A streamed file writes 0, or the largest number, before it knows how long it becomes.
                self._left = size if 0 < size < _UNKNOWN_SIZE else 1 << 62
                self._unread = self._unread[at + 8 :]
                self.begun = True
                return True
            if len(self._unread) < at + 8 + size:
                break
            if name == b"fmt ":
                self._format = _Format.read(self._unread[at + 8 : at + 8 + size])
                self._found(self._format.rate)
            at += 8 + size + size % 2
        if len(self._unread) > _LONGEST_HEADER:
            raise NoPcmError("a WAV file without sound")
        return False


class _Format:
    """Form of the samples of a WAV file: 8 to 32-bit PCM, or float."""

    def __init__(self, code: int = 0, channels: int = 0, rate: int = 0, bits: int = 0) -> None:
        self.rate = rate
        self._float = code == 3
        self._channels = channels
        self._bits = bits
        self.frame = channels * bits // 8

    @classmethod
    def read(cls, data: bytes) -> _Format:
        if len(data) < 16:
            raise NoPcmError("a WAV file with half a format")
        code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data)
        if code == 0xFFFE and len(data) >= 26:
            # Extensible: the first two bytes of the subformat are the code.
            (code,) = struct.unpack_from("<H", data, 24)
        if (code, bits) not in {
            (1, 8),
            (1, 16),
            (1, 24),
            (1, 32),
            (3, 32),
            (3, 64),
        } or not 1 <= channels <= 8:
            raise NoPcmError(f"a WAV file in a form that is not read (code {code}, {bits} bits)")
        if not 4000 <= rate <= 384_000:
            raise NoPcmError(f"a WAV file of {rate} Hz")
        return cls(code, channels, rate, bits)

    def samples(self, data: bytes) -> Samples:
        values: npt.NDArray[np.float64]
        if self._float:
            values = np.nan_to_num(np.frombuffer(data, f"<f{self._bits // 8}").astype(np.float64)) * 32768
        elif self._bits == 8:
            values = (np.frombuffer(data, np.uint8).astype(np.float64) - 128) * 256
        elif self._bits == 24:
            padded = np.zeros((len(data) // 3, 4), np.uint8)
            padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            values = padded.view("<i4").ravel() / 65536
        else:
            values = np.frombuffer(data, f"<i{self._bits // 8}") / (1 << (self._bits - 16))
        mono = values.reshape(-1, self._channels).mean(axis=1)
        whole: Samples = np.clip(np.round(mono), -32768, 32767).astype(np.int16)
        return whole


def _bytes(samples: Samples) -> bytes:
    return samples.astype("<i2").tobytes()


def _other(data: bytes) -> str | None:
    """Name of its form, by its first bytes, if it is no sound or sound of another form."""
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return "MP4"
    # A constant sound, as tests have it, may be letters, too, but no more than two of them.
    beginning = data[:_ENOUGH]
    return "text" if _TEXT.fullmatch(beginning) and len(set(beginning)) >= _LETTERS else None


def _frames(data: bytes) -> str | None:
    """MP3 or AAC without a header, an empty text where it is neither, None where more of it is needed.

    The pattern of bits at a frame's beginning is one of loud samples, too: another must stand where it ends.
    """
    for name, length in (("MP3", _mp3_frame(data)), ("AAC", _aac_frame(data))):
        if length is None:
            continue
        if len(data) < length + 7:
            return None
        following = _mp3_frame(data[length:]) if name == "MP3" else _aac_frame(data[length:])
        if following is not None:
            return name
    return ""


def _mp3_frame(data: bytes) -> int | None:
    """Bytes of the frame of MPEG audio layer III that begins here."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    version, layer, bits, rate = (data[1] >> 3) & 3, (data[1] >> 1) & 3, data[2] >> 4, (data[2] >> 2) & 3
    if version == 1 or layer != 1 or bits in (0, 15) or rate == 3:
        return None
    kbits, hertz = _KBITS[version == 3, 3][bits - 1], _MP3_RATES[version][rate]
    return (144 if version == 3 else 72) * kbits * 1000 // hertz + ((data[2] >> 1) & 1)


def _aac_frame(data: bytes) -> int | None:
    """Bytes of the ADTS frame that begins here."""
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return None
    length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    return length if 7 < length <= _LONGEST_FRAME else None

"""Marks in sound: each 20 ms say which call, utterance and frame they are, in their lowest bits; pure.

Whatever passes sound on bit by bit, in pieces of any length, passes the marks on. They are at -96 dBFS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fishjam_agents.audio.formats import FRAMES_PER_SECOND
from fishjam_agents.audio.samples import Samples

_SYNC = bytes(np.unpackbits(np.frombuffer(hashlib.sha256(b"soak").digest()[:6], np.uint8)))
_PAYLOAD = 7
"""Bytes: two of the call, two of the utterance, two of the frame, one that checks them."""
ANSWER = 0.8
"""Seconds of a spoken answer."""
_BITS = len(_SYNC) + 8 * _PAYLOAD


@dataclass(frozen=True, slots=True)
class Mark:
    """20 ms of an utterance.

    Attributes:
        call: Number of the call.
        utterance: Number of the utterance in it.
        frame: Number of the 20 ms in that.
    """

    call: int
    utterance: int
    frame: int


def marked(samples: Samples, call: int, utterance: int, sample_rate: int = 16000) -> Samples:
    """The same sound, each whole 20 ms of it marked."""
    size = sample_rate // FRAMES_PER_SECOND
    result = samples.copy()
    for frame in range(len(samples) // size):
        body = b"".join(number.to_bytes(2) for number in (call, utterance, frame))
        bits = _SYNC + bytes(np.unpackbits(np.frombuffer(body + _check(body), np.uint8)))
        part = result[frame * size : frame * size + _BITS]
        part[:] = (part & ~1) | np.frombuffer(bits, np.uint8)
    return result


def marks(samples: Samples) -> Iterator[Mark]:
    """The marks in a sound, in their order."""
    bits = (samples & 1).astype(np.uint8).tobytes()
    at = bits.find(_SYNC)
    while at >= 0:
        payload = bits[at + len(_SYNC) : at + _BITS]
        if len(payload) == 8 * _PAYLOAD:
            data = np.packbits(np.frombuffer(payload, np.uint8)).tobytes()
            if data[-1:] == _check(data[:-1]):
                yield Mark(*(int.from_bytes(data[place : place + 2]) for place in (0, 2, 4)))
        at = bits.find(_SYNC, at + 1)


def voiced(samples: Samples, sample_rate: int = 16000) -> tuple[int, int]:
    """The first frame of a clip that is surely speech, and the one after the last."""
    size = sample_rate // FRAMES_PER_SECOND
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > 0.04 * np.abs(frames).max())
    return int(loud[0]), int(loud[-1]) + 1


def voice(call: int, utterance: int, sample_rate: int) -> Samples:
    """An answer to an utterance: a tone with its mark."""
    times = np.arange(round(ANSWER * sample_rate))
    return marked((6000 * np.sin(times / 12)).astype(np.int16), call, utterance, sample_rate)


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:1]

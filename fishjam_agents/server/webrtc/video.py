"""Encoded video: which frames need no other, and a still of one (VP8: RFC 6386; H.264: ITU-T H.264)."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

CODECS = ("h264", "vp8")
"""Codecs that rooms can ask for (Fishjam OpenAPI, `videoCodec`)."""

_H264_UNIT = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_H264_KEY = 5
"""NAL unit type of a coded slice of an IDR picture (ITU-T H.264, table 7-1)."""

_QUALITY = 4
"""Quantiser scale of the JPEG: 2 is the best, 31 the worst. Our choice: some 60 kB at 640 x 480."""

MAX_PIXELS = 4096 * 4096
"""Largest picture that is decoded: a key frame of 0.4 MB can ask for 16000 x 16000, and for gigabytes of
memory. Our choice: a screen of 5120 x 2880 is within it."""

_TIME_BASE = Fraction(1, 1)


def is_keyframe(codec: str, frame: bytes) -> bool:
    """Return whether a frame needs no other to be decoded."""
    if codec == "h264":
        return any(unit[0] & 0x1F == _H264_KEY for unit in _H264_UNIT.findall(frame))
    # The lowest bit of the first byte is clear in a key frame (RFC 6386, section 9.1).
    return bool(frame) and not frame[0] & 1


def jpeg(codec: str, keyframe: bytes) -> bytes | None:
    """A JPEG of a frame that needs no other; None if it is damaged or too large. Takes some milliseconds."""
    decoder: Any = av.CodecContext.create("h264" if codec == "h264" else "vp8", "r")
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    assert isinstance(decoder, VideoCodecContext)
    assert isinstance(encoder, VideoCodecContext)
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    try:
        frames = [*decoder.decode(av.Packet(keyframe)), *decoder.decode(None)]
        if not frames:
            return None
        return _encode(encoder, frames[0])
    except av.FFmpegError:
        return None


def _encode(encoder: VideoCodecContext, frame: VideoFrame) -> bytes:
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = _TIME_BASE
    encoder.options = {"qmin": str(_QUALITY), "qmax": str(_QUALITY)}
    picture = frame.reformat(format="yuvj420p")
    picture.pts = 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(picture), *encoder.encode(None)))

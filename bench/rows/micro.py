"""Codec and voice detection, each alone in a loop: what they cost with everything in the cache."""

from __future__ import annotations

import numpy as np

from bench import sounds
from bench.stopwatch import cpu_us
from bench.table import Row, spread
from fishjam_agents.audio.detectors import VoiceDetector
from fishjam_agents.audio.vad import Detector, default_detector
from fishjam_agents.protocol import (
    Track,
    TrackChunkEncoder,
    TrackDataEncoder,
    TrackType,
    decode_agent_response,
)
from fishjam_agents.protocol.generated import agent as schema

_TRACK_ID = "9b1e2f5c-8a53-4f4e-9c0e-0d9f6a3b7c11"
_BUDGET_US = 3.0


def _compare(what: str, ours: list[float], theirs: list[float]) -> Row:
    ratio = sorted(theirs)[len(theirs) // 2] / sorted(ours)[len(ours) // 2]
    return Row(
        what,
        f"{_BUDGET_US:g} us",
        spread(ours, 2, "us"),
        f"betterproto {spread(theirs, 0, 'us')}: {ratio:.0f} times",
        sorted(ours)[len(ours) // 2] <= _BUDGET_US,
    )


async def measure(quick: bool) -> list[Row]:
    """Decode and encode 20 ms of audio; score 20 ms of speech."""
    times = 300 if quick else 5000
    audio = sounds.conversation()
    message = TrackDataEncoder("peer-1", Track(_TRACK_ID, TrackType.AUDIO, '{"type":"microphone"}')).encode(
        audio[20]
    )
    encode = TrackChunkEncoder(_TRACK_ID).encode

    def encode_betterproto() -> bytes:
        return bytes(schema.AgentRequest(track_data=schema.AgentRequestTrackData(_TRACK_ID, audio[20])))

    if encode_betterproto() != encode(audio[20]):
        raise RuntimeError("the two encoders disagree: run the tests of protocol/")
    blocks = [np.frombuffer(frame, np.int16) for frame in audio]

    def vad(detector: VoiceDetector) -> list[float]:
        def listen() -> None:
            for block in blocks:
                detector.feed(block, in_speech=False)

        return [each / len(blocks) for each in cpu_us(listen, 1, 2 if quick else 5)]

    return [
        _compare(
            "decode 20 ms of audio (640 bytes)",
            cpu_us(lambda: decode_agent_response(message), times * 10),
            cpu_us(lambda: schema.AgentResponse().parse(message), times // 5),
        ),
        _compare(
            "encode 20 ms of audio (640 bytes)",
            cpu_us(lambda: encode(audio[20]), times * 10),
            cpu_us(encode_betterproto, times // 5),
        ),
        Row(
            "voice detection of 20 ms, alone in a loop",
            "",
            spread(vad(default_detector()), 1, "us"),
            f"in Python {spread(vad(Detector()), 1, 'us')}",
        ),
    ]

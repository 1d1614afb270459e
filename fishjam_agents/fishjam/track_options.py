"""The message that publishes a track of an agent, and the options that Fishjam takes."""

from __future__ import annotations

from typing import Any

from ..errors import ConfigError
from ..protocol import Track, TrackType, encode_add_track
from ..session import FISHJAM, TrackEncoding
from .requests import json_text


def add_track_message(id: str, options: Any) -> bytes:
    """The message that publishes a track.

    Args:
        id: The track's id.
        options: An `OutgoingAudioTrackOptions`, or anything with its attributes.

    Raises:
        ConfigError: Fishjam would not take such a track.
    """
    return encode_add_track(
        Track(id, TrackType.AUDIO, _checked_metadata(options)),
        encoding=int(options.encoding),
        sample_rate=options.sample_rate,
        channels=options.channels,
    )


def _checked_metadata(options: Any) -> str:
    """Check options against what Fishjam's engine takes; the metadata as JSON text.

    An agent whose track the engine refuses is cut off without a word, so this says it first.
    """
    encoding = int(options.encoding)
    if encoding not in set(TrackEncoding):
        raise ConfigError(f"{options.encoding!r} is no track encoding: use PCM16 or Opus")
    if options.channels != 1:
        raise ConfigError(f"an agent's track cannot have {options.channels} channels: mix it down to mono")
    if encoding != TrackEncoding.TRACK_ENCODING_OPUS and options.sample_rate not in FISHJAM.track_rates:
        raise ConfigError(
            f"Fishjam takes no PCM at {options.sample_rate} Hz: resample it to 16000 or 24000 Hz"
        )
    return json_text(options.metadata, "the metadata of a track")

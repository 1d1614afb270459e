"""The bot's track in the room, and the voice that speaks on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fishjam_agents.backends.port import Capabilities
from fishjam_agents.errors import SessionError
from fishjam_agents.playout.audio_output import AudioOutput, AudioOutputListener
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.session import OutgoingAudioTrackOptions, OutgoingTrack, Session, media_server_of

TRACK_DEADLINE = 10.0
"""Seconds the media server may take to accept the bot's track."""


@asynccontextmanager
async def publish_track(
    session: Session, capabilities: Capabilities, playout: PlayoutSettings, listener: AudioOutputListener
) -> AsyncIterator[tuple[OutgoingTrack, AudioOutput]]:
    """Publish the bot's track; the voice is closed on the way out.

    Raises:
        SessionError: The media server did not take the track.
    """
    source = capabilities.output_rate or 24000
    server = media_server_of(session)
    rate = playout.sample_rate or server.track_rate(capabilities.output_rate)
    # Browsers sort tracks by `type` (Fishjam web client SDK).
    metadata = {"type": "microphone", **server.agent_mark}
    options = OutgoingAudioTrackOptions(sample_rate=rate, metadata=metadata)
    try:
        async with asyncio.timeout(TRACK_DEADLINE):
            track = await session.add_track(options)
    except TimeoutError as error:
        raise SessionError(
            f"the media server did not take the bot's track within {TRACK_DEADLINE:g} s"
        ) from error
    voice = AudioOutput(track, rate, source, playout, listener)
    try:
        yield track, voice
    finally:
        await voice.close()

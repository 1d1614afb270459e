"""The bot's track in the room."""

from __future__ import annotations

import asyncio

from fishjam_agents.backends.port import Capabilities
from fishjam_agents.errors import SessionError
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.session import OutgoingAudioTrackOptions, OutgoingTrack, Session, media_server_of

TRACK_DEADLINE = 10.0
"""Seconds the media server may take to accept the bot's track."""


def track_rate(session: Session, capabilities: Capabilities, playout: PlayoutSettings) -> int:
    """Hz of the bot's track: as set, else by the rules of the media server."""
    return playout.sample_rate or media_server_of(session).track_rate(capabilities.output_rate)


async def publish_track(
    session: Session, capabilities: Capabilities, playout: PlayoutSettings
) -> OutgoingTrack:
    """Publish the bot's track.

    Raises:
        SessionError: The media server did not take the track.
    """
    rate = track_rate(session, capabilities, playout)
    # Browsers sort tracks by `type` (Fishjam web client SDK).
    metadata = {"type": "microphone", **media_server_of(session).agent_mark}
    options = OutgoingAudioTrackOptions(sample_rate=rate, metadata=metadata)
    try:
        async with asyncio.timeout(TRACK_DEADLINE):
            return await session.add_track(options)
    except TimeoutError as error:
        raise SessionError(
            f"the media server did not take the bot's track within {TRACK_DEADLINE:g} s"
        ) from error

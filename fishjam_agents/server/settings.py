"""Settings of a room or a peer that a REST client may ask for, read from JSON (Fishjam OpenAPI)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..session import PeerType
from .errors import RequestError

ROOM_TYPES = (
    "conference",
    "audio_only",
    "livestream",
    "audio_only_livestream",
    "full_feature",
    "broadcaster",
)
LIVESTREAM_TYPES = ("livestream", "audio_only_livestream", "broadcaster")
_AUDIO_RATES = (16000, 24000)
_WEBHOOK_URL = re.compile(r"https?://[^/]+/.*")
_CALL_ID = re.compile(r"[a-zA-Z0-9-]+")


@dataclass(frozen=True, slots=True)
class RoomConfig:
    """A room as it was asked for; the names are those of the JSON.

    Attributes:
        room_type: One of `ROOM_TYPES`.
        video_codec: `h264` or `vp8`.
        max_peers: 0 is unlimited.
        public: Whether a livestream needs no viewer token.
        webhook_url: Where notifications are posted to.
        batch_webhook_notifications: Whether they are posted in batches.
    """

    room_type: str = "conference"
    video_codec: str = "h264"
    max_peers: int = 0
    public: bool = False
    webhook_url: str | None = None
    batch_webhook_notifications: bool = False

    def as_json(self) -> dict[str, Any]:
        """As REST answers it."""
        return {
            "roomType": self.room_type,
            "videoCodec": self.video_codec,
            "maxPeers": self.max_peers,
            "public": self.public,
            "webhookUrl": self.webhook_url,
            "batchWebhookNotifications": self.batch_webhook_notifications,
        }


@dataclass(frozen=True, slots=True)
class VapiOptions:
    """The call of a VAPI peer.

    Attributes:
        api_key: The key it is joined with.
        call_id: Its id at Vapi.
        auto_close: End it when the last participant has left the room.
    """

    api_key: str = field(repr=False)
    call_id: str
    auto_close: bool = False


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """A peer as it was asked for.

    Attributes:
        type: What joins with its token.
        metadata: The server's part of the metadata (`webrtc`).
        manual: Whether it hears only what it is subscribed to.
        sample_rate: Hz of what an agent hears.
        vapi: The call of a VAPI peer.
    """

    type: PeerType
    metadata: Mapping[str, Any] = field(default_factory=dict)
    manual: bool = False
    sample_rate: int = 16000
    vapi: VapiOptions | None = None


def read_room_config(body: Mapping[str, Any]) -> RoomConfig:
    """Read the body of `POST /room`; a null means the default.

    Raises:
        RequestError: 400, a value is not what the key takes.
    """
    room_type = body.get("roomType") or "conference"
    codec = body.get("videoCodec") or "h264"
    if room_type not in ROOM_TYPES:
        raise RequestError(400, f"Expected roomType to be one of {', '.join(ROOM_TYPES)}, got: {room_type}")
    if codec not in ("h264", "vp8"):
        raise RequestError(400, f"Expected videoCodec to be 'h264' or 'vp8', got: {codec}")
    return RoomConfig(
        room_type=room_type,
        video_codec=codec,
        max_peers=_max_peers(body.get("maxPeers")),
        public=_flag(body, "public"),
        webhook_url=_webhook_url(body),
        batch_webhook_notifications=_flag(body, "batchWebhookNotifications"),
    )


def read_stream_config(body: Mapping[str, Any]) -> RoomConfig:
    """Read the body of `POST /livestream`: a stream is a livestream room.

    Raises:
        RequestError: 400, a value is not what the key takes.
    """
    return RoomConfig(
        room_type="audio_only_livestream" if _flag(body, "audioOnly") else "livestream",
        public=_flag(body, "public"),
        webhook_url=_webhook_url(body),
        batch_webhook_notifications=_flag(body, "batchWebhookNotifications"),
    )


def read_peer_config(body: Mapping[str, Any]) -> PeerConfig:
    """Read the body of `POST /room/{id}/peer`.

    Raises:
        RequestError: 400, the body is not a peer.
    """
    options = body.get("options")
    if options is None:
        options = {}
    if not isinstance(options, dict):
        raise RequestError(400, "Invalid request body structure")
    mode = options.get("subscribeMode") or "auto"
    if mode not in ("auto", "manual"):
        raise RequestError(400, f"Expected subscribeMode to be 'auto' or 'manual', got: {mode}")
    kind = body.get("type")
    if kind == "webrtc":
        metadata = options.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            raise RequestError(400, f"Expected metadata to be an object, got: {metadata}")
        return PeerConfig(PeerType.WEBRTC, metadata or {}, mode == "manual")
    if kind == "agent":
        return PeerConfig(PeerType.AGENT, {}, mode == "manual", _agent_rate(options.get("output")))
    if kind == "vapi":
        return PeerConfig(PeerType.VAPI, {}, mode == "manual", vapi=_vapi(options))
    raise RequestError(400, "Invalid peer type")


def _webhook_url(body: Mapping[str, Any]) -> str | None:
    url = body.get("webhookUrl")
    if url is None:
        return None
    if isinstance(url, str) and is_webhook_url(url):
        return url
    raise RequestError(400, f"Expected webhookUrl to be valid URL, got: {url}")


def is_webhook_url(url: str) -> bool:
    """Return whether notifications can go there: `http` or `https`, with a path (Fishjam OpenAPI)."""
    if not _WEBHOOK_URL.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        # A port that is no number shows only when it is read.
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _vapi(options: Mapping[str, Any]) -> VapiOptions:
    key, call_id = options.get("apiKey"), options.get("callId")
    if not isinstance(key, str):
        raise RequestError(400, "Expected apiKey to be the VAPI key")
    if not isinstance(call_id, str) or not _CALL_ID.fullmatch(call_id):
        raise RequestError(400, f"Expected callId to be the id of a VAPI call, got: {call_id}")
    return VapiOptions(key, call_id, _flag(options, "autoClose"))


def _max_peers(value: Any) -> int:
    # Numeric strings pass: a change in the tests of Fishjam's Python server SDK suggests so.
    if value is None:
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RequestError(400, f"Expected maxPeers to be a number, got: {value}")
    return value


def _flag(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise RequestError(400, f"Expected {key} to be true or false, got: {value}")
    return value


def _agent_rate(output: Any) -> int:
    output = {} if output is None else output
    if not isinstance(output, dict):
        raise RequestError(400, "Invalid request body structure")
    encoding = output.get("audioFormat") or "pcm16"
    if encoding != "pcm16":
        raise RequestError(400, f"Expected audioFormat to be 'pcm16', got: {encoding}")
    rate = output.get("audioSampleRate") or 16000
    if rate not in _AUDIO_RATES or not isinstance(rate, int):
        raise RequestError(400, f"Expected audioSampleRate to be 16000 or 24000, got: {rate}")
    return rate

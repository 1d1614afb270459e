"""Options of a room, under the official SDK's module name; the room itself is `models.Room`."""

from __future__ import annotations

from .models import RoomConfig, RoomType, VideoCodec

__all__ = ["RoomConfig", "RoomType", "VideoCodec"]

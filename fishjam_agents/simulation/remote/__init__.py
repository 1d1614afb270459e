"""Recorded callers in a room of a server that runs already: by the peer socket and WebRTC, as browsers."""

from __future__ import annotations

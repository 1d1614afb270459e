"""Peers with media: browsers that speak WebRTC, as sources and listeners of a room like any other.

`signalling` (the negotiation, without a socket) -> `peer` (one browser in a room) -> `connection` and
`tracks` (the only two modules that know aiortc). The extra `webrtc` installs what they need.
"""

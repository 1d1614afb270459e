"""The wire: Fishjam's protobuf messages, strictly decoded. No socket, no clock.

`decode` and `encode` serve every generated message (`protocol.generated.notifications`, `.peer`, ...).
The agent socket, where audio flows, has its own light classes and a codec that costs about a microsecond.
"""

from .agent_decoder import audio_position, decode_agent_request, decode_agent_response
from .agent_encoder import (
    TrackChunkEncoder,
    TrackDataEncoder,
    encode_add_track,
    encode_auth_request,
    encode_authenticated,
    encode_capture_image,
    encode_interrupt,
    encode_remove_track,
    encode_track_chunk,
    encode_track_data,
    encode_track_image,
)
from .codec import decode, encode
from .generated.shared import TrackType
from .messages import (
    AddTrack,
    AgentRequest,
    AgentResponse,
    Authenticated,
    AuthRequest,
    CaptureImage,
    InterruptTrack,
    RemoveTrack,
    Track,
    TrackChunk,
    TrackData,
    TrackImage,
)

__all__ = [
    "AddTrack",
    "AgentRequest",
    "AgentResponse",
    "AuthRequest",
    "Authenticated",
    "CaptureImage",
    "InterruptTrack",
    "RemoveTrack",
    "Track",
    "TrackChunk",
    "TrackChunkEncoder",
    "TrackData",
    "TrackDataEncoder",
    "TrackImage",
    "TrackType",
    "audio_position",
    "decode",
    "decode_agent_request",
    "decode_agent_response",
    "encode",
    "encode_add_track",
    "encode_auth_request",
    "encode_authenticated",
    "encode_capture_image",
    "encode_interrupt",
    "encode_remove_track",
    "encode_track_chunk",
    "encode_track_data",
    "encode_track_image",
]

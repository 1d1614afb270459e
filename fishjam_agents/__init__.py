"""Voice agents in Fishjam rooms.

All that a subclass of `AgentPipeline` needs, settings included; policies of turn-taking are in
`fishjam_agents.turns`. Each name is loaded when it is first used, so that `import fishjam_agents` costs
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fishjam_agents._lazy import lazy_exports
from fishjam_agents._version import __version__

if TYPE_CHECKING:
    from fishjam_agents.audio.formats import AudioFormat
    from fishjam_agents.audio.wav import load_speech
    from fishjam_agents.backends.port import Backend
    from fishjam_agents.errors import (
        AudioError,
        BackendError,
        ConfigError,
        FishjamAgentsError,
        MissingExtraError,
        ProtocolError,
        SessionError,
        SettingError,
    )
    from fishjam_agents.events import Event, Heard, Overload, Turn
    from fishjam_agents.hearing.settings import HearingSettings
    from fishjam_agents.hearing.stages import Stage
    from fishjam_agents.pipeline.agent import AgentPipeline
    from fishjam_agents.pipeline.idle import Announcement, IdleSettings
    from fishjam_agents.pipeline.own_words import Instructions
    from fishjam_agents.pipeline.speech_handle import SpeechHandle
    from fishjam_agents.playout.settings import (
        AmbientSettings,
        BackgroundAudioSettings,
        PlayoutSettings,
        ThinkingSettings,
    )
    from fishjam_agents.session import PeerView, RoomView, Session
    from fishjam_agents.tools.builtin import end_call, hand_over, look
    from fishjam_agents.tools.context import ToolContext, ToolError
    from fishjam_agents.tools.handoff import Handoff
    from fishjam_agents.tools.mcp_server import McpServer
    from fishjam_agents.tools.tool import Tool, tool
    from fishjam_agents.turns.endpointing import EndOfTurn, Pause
    from fishjam_agents.turns.policies import BargeIn, BargeInPolicy, Sound
    from fishjam_agents.turns.settings import TurnSettings
    from fishjam_agents.vision.settings import VisionSettings

__all__ = [
    "AgentPipeline",
    "AmbientSettings",
    "Announcement",
    "AudioError",
    "AudioFormat",
    "Backend",
    "BackendError",
    "BackgroundAudioSettings",
    "BargeIn",
    "BargeInPolicy",
    "ConfigError",
    "EndOfTurn",
    "Event",
    "FishjamAgentsError",
    "Handoff",
    "Heard",
    "HearingSettings",
    "IdleSettings",
    "Instructions",
    "McpServer",
    "MissingExtraError",
    "Overload",
    "Pause",
    "PeerView",
    "PlayoutSettings",
    "ProtocolError",
    "RoomView",
    "Session",
    "SessionError",
    "SettingError",
    "Sound",
    "SpeechHandle",
    "Stage",
    "ThinkingSettings",
    "Tool",
    "ToolContext",
    "ToolError",
    "Turn",
    "TurnSettings",
    "VisionSettings",
    "__version__",
    "end_call",
    "hand_over",
    "load_speech",
    "look",
    "tool",
]

_MODULES = {
    "audio.formats": ("AudioFormat",),
    "audio.wav": ("load_speech",),
    "backends.port": ("Backend",),
    "errors": (
        "AudioError",
        "BackendError",
        "ConfigError",
        "FishjamAgentsError",
        "MissingExtraError",
        "ProtocolError",
        "SessionError",
        "SettingError",
    ),
    "events": ("Event", "Heard", "Overload", "Turn"),
    "hearing.settings": ("HearingSettings",),
    "hearing.stages": ("Stage",),
    "pipeline.agent": ("AgentPipeline",),
    "pipeline.idle": ("Announcement", "IdleSettings"),
    "pipeline.own_words": ("Instructions",),
    "pipeline.speech_handle": ("SpeechHandle",),
    "playout.settings": ("AmbientSettings", "BackgroundAudioSettings", "PlayoutSettings", "ThinkingSettings"),
    "session": ("PeerView", "RoomView", "Session"),
    "tools.builtin": ("end_call", "hand_over", "look"),
    "tools.context": ("ToolContext", "ToolError"),
    "tools.handoff": ("Handoff",),
    "tools.mcp_server": ("McpServer",),
    "tools.tool": ("Tool", "tool"),
    "turns.endpointing": ("EndOfTurn", "Pause"),
    "turns.policies": ("BargeIn", "BargeInPolicy", "Sound"),
    "turns.settings": ("TurnSettings",),
    "vision.settings": ("VisionSettings",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, _HOMES)

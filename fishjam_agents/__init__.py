"""Voice agents in Fishjam rooms.

The names people import. Each is loaded when it is first used, so that `import fishjam_agents` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fishjam_agents._lazy import lazy_exports
from fishjam_agents._version import __version__

if TYPE_CHECKING:
    from fishjam_agents.audio.formats import AudioFormat
    from fishjam_agents.errors import BackendError, ConfigError, FishjamAgentsError
    from fishjam_agents.events import Heard, Turn
    from fishjam_agents.hearing.settings import HearingSettings
    from fishjam_agents.hearing.stages import Stage
    from fishjam_agents.pipeline.agent import AgentPipeline
    from fishjam_agents.pipeline.speech_handle import SpeechHandle
    from fishjam_agents.playout.settings import PlayoutSettings
    from fishjam_agents.session import RoomView, Session
    from fishjam_agents.tools.context import ToolContext, ToolError
    from fishjam_agents.tools.tool import tool
    from fishjam_agents.turns.settings import TurnSettings

__all__ = [
    "AgentPipeline",
    "AudioFormat",
    "BackendError",
    "ConfigError",
    "FishjamAgentsError",
    "Heard",
    "HearingSettings",
    "PlayoutSettings",
    "RoomView",
    "Session",
    "SpeechHandle",
    "Stage",
    "ToolContext",
    "ToolError",
    "Turn",
    "TurnSettings",
    "__version__",
    "tool",
]

_HOMES = {
    "AgentPipeline": "pipeline.agent",
    "AudioFormat": "audio.formats",
    "BackendError": "errors",
    "ConfigError": "errors",
    "FishjamAgentsError": "errors",
    "Heard": "events",
    "HearingSettings": "hearing.settings",
    "PlayoutSettings": "playout.settings",
    "RoomView": "session",
    "Session": "session",
    "SpeechHandle": "pipeline.speech_handle",
    "Stage": "hearing.stages",
    "ToolContext": "tools.context",
    "ToolError": "tools.context",
    "Turn": "events",
    "TurnSettings": "turns.settings",
    "tool": "tools.tool",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, _HOMES)

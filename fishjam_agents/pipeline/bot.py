"""Interface of the user's bot for its call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from fishjam_agents.backends.port import Backend
from fishjam_agents.backends.vendors import CallVendors
from fishjam_agents.events import Event
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.hearing.stages import Stage
from fishjam_agents.journal.journal import CallJournal
from fishjam_agents.pipeline.idle import IdleSettings
from fishjam_agents.pipeline.own_words import Instructions, OwnWords
from fishjam_agents.pipeline.recorder import Recorder, SoundRecorder
from fishjam_agents.pipeline.speech_handle import SpeechHandle
from fishjam_agents.playout.settings import BackgroundAudioSettings, PlayoutSettings
from fishjam_agents.tools.context import ToolHost
from fishjam_agents.tools.mcp_server import McpServer
from fishjam_agents.tools.tool import Tool
from fishjam_agents.turns.settings import TurnSettings
from fishjam_agents.vision.settings import VisionSettings


class Announcer(Protocol):
    """Way of a part to say something on behalf of the app."""

    def say(self, text: str) -> SpeechHandle:
        """Speak given words."""
        ...

    def play(self, audio: Path, sample_rate: int | None = None, text: str | None = None) -> SpeechHandle:
        """Play a recording."""
        ...


class Bot(Announcer, ToolHost, Protocol):
    """Settings and observers of the user's bot, and what parts of a call ask of it; see `AgentPipeline`."""

    backend: Backend
    turns: TurnSettings
    playout: PlayoutSettings
    background_audio: BackgroundAudioSettings
    hearing: HearingSettings
    idle: IdleSettings
    input_stages: Sequence[Stage]
    vision: VisionSettings
    instructions: str | None
    tools: Sequence[Callable[..., Any] | Tool]
    mcp: Sequence[McpServer]
    handoffs: Mapping[str, Callable[[], Any]]
    greeting: OwnWords | Instructions | None
    apology: OwnWords | None
    farewell: OwnWords | None
    recorder: Recorder | None
    sound_recorder: SoundRecorder | None
    journal: CallJournal | None
    vendors: CallVendors | None
    next_call_id: str | None
    tool_payloads: bool
    observers: list[Callable[[Event], None]]

    def respond(self, instructions: str) -> SpeechHandle:
        """Have the model say something in its own words."""
        ...

    def redact(self, text: str) -> str:
        """Return what may be shown of arguments and results of tools."""
        ...

    def _attach(self, context: Any, call: Any) -> None:
        """Take the call that the bot is in from now on; None for none."""
        ...

    def verify(self) -> None:
        """Check that its parts fit."""
        ...

    def make_stages(self) -> list[Stage]:
        """Make the stages of one microphone."""
        ...

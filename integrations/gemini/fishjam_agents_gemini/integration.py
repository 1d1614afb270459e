"""The object that the official Fishjam SDK calls `GeminiIntegration`."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from fishjam_agents.fishjam import AgentOutputOptions
from fishjam_agents.session import OutgoingAudioTrackOptions, TrackEncoding

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.genai import Client
    from google.genai.client import DebugConfig
    from google.genai.types import HttpOptions, HttpOptionsDict


class _GeminiIntegration:
    """Helpers of a program that connects an agent with Gemini Live."""

    def create_client(
        self,
        vertexai: bool | None = None,
        api_key: str | None = None,
        credentials: Credentials | None = None,
        project: str | None = None,
        location: str | None = None,
        debug_config: DebugConfig | None = None,
        http_options: HttpOptions | HttpOptionsDict | None = None,
    ) -> Client:
        """A `google.genai.Client` whose requests say that they come from this package.

        Args:
            vertexai: As `google.genai.Client` takes it, like all that follow.
            api_key: Key of the Gemini API.
            credentials: Google Cloud credentials, for Vertex AI.
            project: Google Cloud project, for Vertex AI.
            location: Google Cloud location, for Vertex AI.
            debug_config: Recording and replaying of requests.
            http_options: Its headers are kept and one is added; what you pass is not changed.
        """
        from google.genai import Client

        return Client(
            vertexai=vertexai,
            api_key=api_key,
            credentials=credentials,
            project=project,
            location=location,
            debug_config=debug_config,
            http_options=_marked(http_options),
        )

    @property
    def GEMINI_INPUT_AUDIO_SETTINGS(self) -> AgentOutputOptions:  # noqa: N802
        """Output options of an agent for Gemini: PCM16 at 16 kHz."""
        return AgentOutputOptions(audio_format="pcm16", audio_sample_rate=16000)

    @property
    def GEMINI_OUTPUT_AUDIO_SETTINGS(self) -> OutgoingAudioTrackOptions:  # noqa: N802
        """The track on which Gemini speaks: PCM16 at 24 kHz, mono."""
        return OutgoingAudioTrackOptions(
            encoding=TrackEncoding.TRACK_ENCODING_PCM16, sample_rate=24000, channels=1
        )

    @property
    def GEMINI_AUDIO_MIME_TYPE(self) -> str:  # noqa: N802
        """MIME type of the audio that Gemini is sent."""
        return "audio/pcm;rate=16000"


def _marked(options: HttpOptions | HttpOptionsDict | None) -> HttpOptions | HttpOptionsDict:
    mark = {"x-goog-api-client": f"fishjam-agents/{version('fishjam-agents')}"}
    if options is None:
        return {"headers": mark}
    if isinstance(options, dict):
        return {**options, "headers": {**(options.get("headers") or {}), **mark}}
    return options.model_copy(update={"headers": {**(options.headers or {}), **mark}})


GeminiIntegration = _GeminiIntegration()
"""The integration; there is only one."""

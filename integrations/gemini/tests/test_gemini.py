from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from fishjam_agents_gemini import GeminiIntegration

from fishjam_agents.fishjam.integrations import gemini
from fishjam_agents.session import TrackEncoding


def headers_of(http_options: Any) -> dict[str, str]:
    client = GeminiIntegration.create_client(api_key="key", http_options=http_options)
    try:
        return dict(client._api_client._http_options.headers)
    finally:
        client.close()


@pytest.mark.parametrize("kind", ["dict", "object"])
def test_our_header_joins_those_the_user_sets(kind: str) -> None:
    from google.genai.types import HttpOptions

    given = {"x-mine": "1"}
    options = {"headers": given} if kind == "dict" else HttpOptions(headers=given)
    headers = headers_of(options)
    assert headers["x-mine"] == "1"
    assert "fishjam-agents/" in headers["x-goog-api-client"]
    assert given == {"x-mine": "1"}
    assert kind == "dict" or options.headers == given


def test_requests_are_marked_without_options_too() -> None:
    assert "fishjam-agents/" in headers_of(None)["x-goog-api-client"]


def test_the_formats_are_those_of_gemini_live() -> None:
    assert gemini.GeminiIntegration is GeminiIntegration
    heard = GeminiIntegration.GEMINI_INPUT_AUDIO_SETTINGS
    assert (heard.audio_format, heard.audio_sample_rate) == ("pcm16", 16000)
    spoken = GeminiIntegration.GEMINI_OUTPUT_AUDIO_SETTINGS
    assert (spoken.encoding, spoken.sample_rate, spoken.channels) == (
        TrackEncoding.TRACK_ENCODING_PCM16,
        24000,
        1,
    )
    assert GeminiIntegration.GEMINI_AUDIO_MIME_TYPE == "audio/pcm;rate=16000"


def test_googles_sdk_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, fishjam_agents_gemini; assert 'google.genai' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_without_the_plugin_the_install_line_is_given() -> None:
    code = (
        "import sys; sys.modules['fishjam_agents_gemini'] = None\n"
        "try:\n    from fishjam_agents.fishjam.integrations.gemini import GeminiIntegration\n"
        'except ImportError as error:\n    assert "fishjam-agents-gemini" in str(error)\n'
        "else:\n    raise AssertionError"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)

"""Google's Gemini Live API, as the official SDK integrates it; needs `fishjam-agents-gemini`."""

from __future__ import annotations

try:
    from fishjam_agents_gemini import GeminiIntegration
except ModuleNotFoundError as error:
    if error.name != "fishjam_agents_gemini":
        raise
    raise ImportError(
        "the Gemini integration is not installed: pip install 'fishjam-agents[gemini]'"
    ) from error

__all__ = ["GeminiIntegration"]

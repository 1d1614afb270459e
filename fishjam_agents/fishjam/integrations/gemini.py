"""Google's Gemini Live API, as the official SDK integrates it; needs `fishjam-agents-gemini`."""

from __future__ import annotations

from fishjam_agents.errors import install_integration

try:
    from fishjam_agents_gemini import GeminiIntegration
except ModuleNotFoundError as error:
    if error.name != "fishjam_agents_gemini":
        raise
    raise ImportError(f"the Gemini integration is not installed: {install_integration('gemini')}") from error

__all__ = ["GeminiIntegration"]

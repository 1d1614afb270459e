"""Several backends in the order in which they are preferred: one stands in for another that fails."""

from __future__ import annotations

from fishjam_agents.backends.fallback.backend import Fallback

__all__ = ["Fallback"]

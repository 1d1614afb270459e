"""`llm: {type: llama_cpp}`: llama.cpp in this process."""

from __future__ import annotations

from fishjam_agents_local.llama_cpp.component import LlamaCpp

__all__ = ["LlamaCpp"]

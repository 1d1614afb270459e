"""Imports and models that would make the first call late, loaded before it begins."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

from fishjam_agents.pipeline import AgentPipeline


def preload(pipeline: AgentPipeline) -> None:
    """Load what hears the end of turns and models on this machine; import what connecting them imports.

    A vendor's client takes a second, in which everything else in the process stands still again and again
    although it is loaded in a thread: the first call would be late by it.
    """
    if pipeline.turns.hears:
        pipeline.turns.ending.load()
    # A bot without a backend is refused where it is run.
    backend = getattr(pipeline, "backend", None)
    for name in (*getattr(backend, "loads", ()), *(("mcp",) if pipeline.mcp else ())):
        # What is not installed is told by whoever needs it, in words of its own.
        with suppress(ImportError):
            import_module(name)
    if backend is not None:
        backend.preload()

"""What would make the first calls late, done or put off before they begin."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

from fishjam_agents.pipeline import AgentPipeline

_open = 0
"""How many of `short_collections` are open."""


def load(pipeline: AgentPipeline) -> None:
    """Import what the bot's model and tools import when they are connected.

    A vendor's client takes a second, in which everything else in the process stands still again and again
    although it is loaded in a thread: the call would be late by it (`LAG_LIMIT`).
    """
    # A bot without a backend is refused where it is run.
    loads = getattr(getattr(pipeline, "backend", None), "loads", ())
    for name in (*loads, *(("mcp",) if pipeline.mcp else ())):
        # What is not installed is told by whoever needs it, in words of its own.
        with suppress(ImportError):
            import_module(name)


@contextmanager
def short_collections() -> Iterator[None]:
    """While it is open, collections look at nothing that was there before.

    A full collection looks at every object of the process, and nothing else runs meanwhile: tens of
    milliseconds for the modules of a bot and its server, soon after they were loaded, so that the first calls
    would be late by it (`LAG_LIMIT`). Opening it takes no time. It may be open more than once; what became
    garbage is collected after the last has closed.
    """
    global _open
    gc.freeze()
    _open += 1
    try:
        yield
    finally:
        _open -= 1
        if not _open:
            gc.unfreeze()

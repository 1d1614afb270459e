"""Warm-up: what would hold up the first calls, done before they begin."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_open = 0
"""Number of open `short_collections`."""


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

"""The event loop that long-running commands run on, and what would hold it up."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from importlib.util import find_spec
from typing import Any, TypeVar

T = TypeVar("T")


def run_on_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on uvloop where it is installed (extra `uvloop`), else on asyncio's own loop.

    What uvloop takes off a process with a hundred calls is in docs/benchmarks.md.
    """
    if find_spec("uvloop") is None:
        return asyncio.run(main)
    import uvloop

    return uvloop.run(main)


def set_aside() -> None:
    """Let collections of garbage look at nothing that is loaded by now; to be called when all is.

    A full one looks at every object of the process while every call waits, and there are so many objects once
    bot, server and a vendor's client are loaded that it is heard. Setting them aside takes no time.
    """
    gc.freeze()

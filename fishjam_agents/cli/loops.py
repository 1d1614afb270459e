"""The event loop that long-running commands run on."""

from __future__ import annotations

import asyncio
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

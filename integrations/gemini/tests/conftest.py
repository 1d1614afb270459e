from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from fishjam_agents_gemini import dialing
from fishjam_agents_gemini.emulator import GeminiEmulator

from fishjam_agents.backends import link
from fishjam_agents.backoff import Backoff


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections may follow one another faster than over the network, and a dead one is left at once."""
    monkeypatch.setattr(link, "BACKOFF", Backoff(first=0.001))
    monkeypatch.setattr(link, "REFRESH_INTERVAL", 0.0)
    monkeypatch.setattr(dialing, "SHORT_LIFE", 0.0)
    monkeypatch.setattr(dialing, "CLOSE_TIMEOUT", 0.05)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a test against an emulator; whatever happens, within half a minute, and nothing is left behind."""

    def runner(test: Callable[[GeminiEmulator], Coroutine[Any, Any, None]], **emulator: Any) -> None:
        async def main() -> None:
            async with asyncio.timeout(30), GeminiEmulator(**emulator) as gemini:
                for name, value in gemini.environment.items():
                    monkeypatch.setenv(name, value)
                await test(gemini)
            left = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
            assert not left, f"left behind: {left}"

        # Loading Google's client is no part of what is tested here, and takes seconds on a busy machine.
        importlib.import_module("google.genai.live")
        asyncio.run(main())

    return runner

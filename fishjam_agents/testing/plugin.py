"""The pytest plugin: installed with the package, active wherever pytest runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fishjam_agents.testing.clock import VirtualClock


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """Virtual time: `virtual_clock.run(coroutine)`."""
    from fishjam_agents.testing.clock import VirtualClock

    return VirtualClock()

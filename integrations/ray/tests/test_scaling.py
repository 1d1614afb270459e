"""Effects on callers when replicas come and go with the number of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import DEADLINE


@pytest.mark.timeout(DEADLINE + 20)
def test_more_calls_bring_replicas_and_fewer_take_them_away_and_no_conversation_is_lost(
    scenario: Callable[..., dict[str, Any]],
) -> None:
    figures = scenario("scaling.py")
    # That all were served, and by three replicas, is what the scenario waits for.
    up = figures["up"]
    assert up["interrupted"] == up["doubles"] == 0
    # So that one replica is left, and every room has its bot: of calls that did not end in time, another one.
    down = figures["down"]
    assert down["doubles"] == 0
    assert down["gone_on_once"] == down["interrupted"]
    assert down["gone_on_again"] == down["begun_anew"] == 0

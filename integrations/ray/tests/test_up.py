"""`fishjam-agents ray up`, and the calls API over the death of whoever serves a call, or the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import DEADLINE

pytestmark = pytest.mark.timeout(DEADLINE + 20)


def test_calls_of_the_api_outlive_their_replica_and_the_watchers(
    scenario: Callable[..., dict[str, Any]],
) -> None:
    seen = scenario("api.py")
    assert seen["moved"]
    assert seen["same_room"]
    assert seen["stayed"]
    assert seen["metrics"]
    assert seen["ready"] == "ready\n"
    assert seen["ended"] == "it was stopped"
    assert seen["refused"] == 503
    assert (seen["exit_code"], seen["left_behind"]) == (0, 0)
    assert "No new rooms are taken; calls have 30 s to end." in seen["output"]

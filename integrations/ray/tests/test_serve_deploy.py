"""`serve deploy` of the file that `fishjam-agents ray config` prints, and rolling redeploys under calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import DEADLINE, FULL

pytestmark = [
    pytest.mark.timeout(2 * DEADLINE + 20),
    pytest.mark.skipif(not FULL, reason="takes minutes of a machine of its own: RAY_FULL=1"),
]


def test_a_new_version_is_rolled_out_under_calls(scenario: Callable[..., dict[str, Any]]) -> None:
    seen = scenario("serve_deploy.py")
    assert seen["first"]["served"]
    assert seen["patient"] == {
        "old_replicas_stay": 2,
        "bots_changed": 0,
        "without_bot": 0,
        "two_bots": 0,
        "connections": seen["calls"],
        "new_calls_in_new_replicas": True,
    }
    assert seen["old_replicas_gone"]
    assert seen["hurried"]["moved"] == seen["calls"]
    assert 1 <= seen["hurried"]["most_moves"] <= 2
    assert seen["hurried"]["in_new_replicas"]
    assert seen["hurried"]["with_their_conversation"]
    assert seen["hurried"]["two_bots"] == 0

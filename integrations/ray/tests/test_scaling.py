"""What callers notice when replicas come and go with the number of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def scaling(scenario: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return scenario("scaling.py")


def test_more_calls_bring_more_replicas_and_each_room_gets_its_bot(scaling: dict[str, Any]) -> None:
    # That all were served, and by three replicas, is what the scenario waits for.
    assert scaling["up"]["interrupted"] == scaling["up"]["doubles"] == 0


def test_calls_of_replicas_that_go_end_there_or_go_on_elsewhere_once(scaling: dict[str, Any]) -> None:
    down = scaling["down"]
    assert down["doubles"] == 0
    assert down["gone_on_once"] == down["interrupted"]
    assert down["gone_on_again"] == down["begun_anew"] == 0

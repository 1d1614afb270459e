"""Which event loop the long-running commands run on."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from fishjam_agents.cli.loops import freeze_gc, run_on_loop


@pytest.fixture(autouse=True)
def collections_as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


async def loop_module() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


@pytest.mark.skipif(find_spec("uvloop") is None, reason="needs uvloop: the extra of that name")
def test_uvloop_is_used_where_it_is_installed() -> None:
    assert run_on_loop(loop_module()) == "uvloop"


def test_without_uvloop_the_loop_is_asyncio_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run_on_loop(loop_module()) == "asyncio"


def test_what_is_loaded_is_set_aside_from_collections() -> None:
    freeze_gc()
    assert gc.get_freeze_count() > 1000
    assert len(gc.get_objects()) < 1000


class Cycle:
    """An object that only a collection of garbage frees."""

    def __init__(self) -> None:
        self.itself = self


def test_garbage_that_has_grown_old_is_found_after_some_thousand_objects() -> None:
    freeze_gc()
    garbage = Cycle()
    found: list[str] = []
    # Told, not asked for: since Python 3.12 a collection runs between two instructions, most of all after a
    # call, and what `weakref.ref` has just returned is then no garbage.
    weakref.finalize(garbage, found.append, "found")
    gc.collect()
    del garbage
    made: list[list[object]] = []
    while not found and len(made) < 60_000:
        made.append([])
    assert found == ["found"]


def test_garbage_is_not_kept_until_there_is_as_much_of_it_as_was_loaded() -> None:
    # Several times what grows old below.
    loaded: list[list[object]] = [[] for _ in range(200_000)]
    gc.collect()
    freeze_gc()
    full = gc.get_stats()[2]["collections"]
    gc.set_threshold(100, 2, 2)
    grown: list[list[object]] = [[] for _ in range(10_000)]
    assert gc.get_stats()[2]["collections"] > full
    assert len(loaded) == 20 * len(grown)

"""What is imported before a call begins, so that the call is not late by it."""

from __future__ import annotations

import sys

import pytest

from fishjam_agents.backends import Backend, Fallback, Parrot
from fishjam_agents.backends.registry import find
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.simulation.loading import load


def loaded_by(backend: object, monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Which modules loading a bot with this backend puts where they were not."""
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    bot = AgentPipeline()
    bot.backend = backend  # type: ignore[assignment]
    load(bot)
    return [name for name in names if name in sys.modules]


class Slow(Parrot):
    """A backend whose client takes its time; part of it is not installed."""

    loads = ("this.is.not.installed", "wave")


def test_a_bot_s_client_is_loaded_stand_ins_included(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded_by(Parrot(), monkeypatch, "wave") == []
    assert loaded_by(Slow(), monkeypatch, "wave") == ["wave"]
    assert loaded_by(Fallback([Parrot(), Slow()]), monkeypatch, "wave") == ["wave"]


@pytest.mark.parametrize("name", ["gemini", "openai_realtime"])
def test_what_a_vendor_s_backend_loads_is_there(name: str) -> None:
    pytest.importorskip(f"fishjam_agents_{name.partition('_')[0]}")
    backend = find(name, Backend)  # type: ignore[type-abstract]
    bot = AgentPipeline()
    bot.backend = backend()
    load(bot)
    assert backend.loads
    assert all(module in sys.modules for module in backend.loads)

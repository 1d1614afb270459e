"""What would make the first calls late: imports, and full collections of garbage."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from pathlib import Path

import pytest

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import Backend, Fallback, Parrot
from fishjam_agents.backends.registry import find
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.preload import preload
from fishjam_agents.simulation import StoppedError, StopRequest, simulate
from fishjam_agents.simulation.warm_up import short_collections

SILENCE = read_wav(Path(__file__).parents[2] / "audio_fixtures" / "silence.wav")


def loaded_by(backend: object, monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Which modules loading a bot with this backend puts where they were not."""
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    bot = AgentPipeline()
    bot.backend = backend  # type: ignore[assignment]
    preload(bot)
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
    preload(bot)
    assert backend.loads
    assert all(module in sys.modules for module in backend.loads)


class Loading(Parrot):
    """A backend whose model is long in coming, and then cannot be used."""

    begun, go_on = threading.Event(), threading.Event()

    def preload(self) -> None:
        self.begun.set()
        self.go_on.wait(60.0)
        raise BackendError("the model is damaged")


def test_a_call_that_is_stopped_while_its_bot_is_loaded_leaves_nothing_behind() -> None:
    bot, stop = AgentPipeline(), StopRequest()
    bot.backend = Loading()
    complaints: list[str] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(str(context["message"])))
        before = asyncio.all_tasks()
        calling = asyncio.create_task(simulate(bot, [SILENCE], stop=stop))
        await asyncio.to_thread(Loading.begun.wait)
        stop.ask()
        with pytest.raises(StoppedError):
            await calling
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - before
        Loading.go_on.set()
        assert left == set()
        await loop.shutdown_default_executor()

    asyncio.run(asyncio.wait_for(scenario(), 60.0))
    gc.collect()
    assert complaints == []


class Local(Parrot):
    """A backend with a model on this machine."""

    loaded = 0

    def preload(self) -> None:
        type(self).loaded += 1


class Damaged(Parrot):
    """A backend whose model is no good."""

    def preload(self) -> None:
        raise BackendError("the file is damaged: get it again")


def test_models_on_this_machine_are_loaded_before_the_first_call(caplog: pytest.LogCaptureFixture) -> None:
    bot = AgentPipeline()
    bot.backend = Fallback([Damaged(), Local()])
    preload(bot)
    assert Local.loaded == 1
    assert [entry.getMessage() for entry in caplog.records] == [
        "the file is damaged: get it again; what stands in for it is there"
    ]
    bot.backend = Fallback([Damaged(), Damaged()])
    with pytest.raises(BackendError, match="the file is damaged"):
        preload(bot)


def test_what_is_loaded_is_set_aside_until_the_last_call_is_over() -> None:
    with short_collections():
        with short_collections():
            assert gc.get_freeze_count()
        assert gc.get_freeze_count()
    assert not gc.get_freeze_count()


def test_a_call_in_real_time_sets_aside_what_is_loaded_and_gives_it_back() -> None:
    class Bot(AgentPipeline):
        backend = Parrot()
        aside = 0

        async def on_start(self) -> None:
            self.aside = gc.get_freeze_count()

    bot = Bot()
    asyncio.run(simulate(bot, [SILENCE], seconds=0.1))
    assert bot.aside
    assert not gc.get_freeze_count()

"""No full collection of garbage falls into a call."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.simulation import simulate
from fishjam_agents.simulation.collection import short_collections

SILENCE = read_wav(Path(__file__).parents[2] / "audio_fixtures" / "silence.wav")


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

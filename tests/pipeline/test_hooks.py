"""Names of hooks, as `check` and `run` look at them."""

from __future__ import annotations

import pytest

from fishjam_agents.backends import Parrot
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.pipeline import AgentPipeline


async def hook(self: AgentPipeline, *arguments: object) -> None:
    """Do nothing."""


def bot(base: type[AgentPipeline] = AgentPipeline, **names: object) -> AgentPipeline:
    made: AgentPipeline = type("Bot", (base,), {"backend": Parrot(), **names})()
    return made


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_trun", "on_turn"),
        ("on_peer_leave", "on_peer_left"),
        ("on_peer_join", "on_peer_joined"),
        ("on_stopp", "on_stop"),
        ("on_transcription", "on_transcript"),
        ("on_interrupt", "on_interrupted"),
    ],
)
def test_a_misspelt_hook_is_told_with_the_one_that_was_meant(name: str, meant: str) -> None:
    told = rf"Bot\.{name} is no hook: did you mean {meant}\?"
    with pytest.raises(FishjamAgentsError, match=told):
        bot(**{name: hook}).verify()
    with pytest.raises(FishjamAgentsError, match=told):
        bot(type(bot(**{name: hook}))).verify()


def test_methods_of_ones_own_are_left_alone() -> None:
    bot(on_order=hook, on_menu_opened=hook, on_reply=hook, turned=hook, on_turned=lambda self: None).verify()


def test_a_hook_that_is_no_coroutine_is_refused() -> None:
    with pytest.raises(
        FishjamAgentsError, match=r"Bot\.on_turn must be a coroutine: write `async def on_turn`"
    ):
        bot(on_turn=lambda self, turn: None).verify()

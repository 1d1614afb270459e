"""Turn-taking: pure state machines, their settings, and the policies that decide who may speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fishjam_agents._lazy import lazy_exports

if TYPE_CHECKING:
    from fishjam_agents.turns.endpointing import (
        Adaptive,
        BackendEnds,
        EndOfTurn,
        Fixed,
        Model,
        Pause,
        PerSpeaker,
        Punctuation,
    )
    from fishjam_agents.turns.policies import (
        AfterFirstReply,
        Backchannel,
        BargeIn,
        BargeInPolicy,
        MinimumVoice,
        MinimumWords,
        NeverInterrupt,
        Sound,
    )
    from fishjam_agents.turns.settings import TurnSettings

__all__ = [
    "Adaptive",
    "AfterFirstReply",
    "Backchannel",
    "BackendEnds",
    "BargeIn",
    "BargeInPolicy",
    "EndOfTurn",
    "Fixed",
    "MinimumVoice",
    "MinimumWords",
    "Model",
    "NeverInterrupt",
    "Pause",
    "PerSpeaker",
    "Punctuation",
    "Sound",
    "TurnSettings",
]

_MODULES = {
    "endpointing": (
        "Adaptive",
        "BackendEnds",
        "EndOfTurn",
        "Fixed",
        "Model",
        "Pause",
        "PerSpeaker",
        "Punctuation",
    ),
    "policies": (
        "AfterFirstReply",
        "Backchannel",
        "BargeIn",
        "BargeInPolicy",
        "MinimumVoice",
        "MinimumWords",
        "NeverInterrupt",
        "Sound",
    ),
    "settings": ("TurnSettings",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, _HOMES)

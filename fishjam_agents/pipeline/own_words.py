"""Words that a bot says by itself, as its author gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from fishjam_agents.audio.samples import Samples


@dataclass(frozen=True, slots=True)
class Instructions:
    """Something that the model is to say in its own words.

    Attributes:
        text: What, as an instruction: "Greet the caller and ask for the order number."
    """

    text: str


OwnWords: TypeAlias = Samples | str
"""A recording, int16 mono of shape (n,) at the backend's rate, or words that the backend speaks."""

"""Features of each family of Live models: checked before connecting, to refuse in a sentence.

Sources: Google's Live API capabilities guide, model pages and migration notes of September 2026; for tools
also public reports (googleapis/python-genai#1147, livekit/agents#7302). A name that belongs to no family is
let through unchecked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Family:
    """Models that behave alike.

    Attributes:
        name: For messages.
        thinking_budget: Takes a thinking budget.
        thinking_level: Takes a thinking level.
        affective_dialog: Can be asked to follow the speaker's mood.
        proactive_audio: Whether it may stay silent when not spoken to: as set, always, or never.
        text_by: Whether what a user writes goes as realtime input or as client content.
        initial_history: History has to be announced in the setup and comes before anything else.
        context_update: Instructions and tools can be changed without a new connection.
        background_tools: Tools can be declared blocking or not; takes progress, and when to tell of results.
        asynchronous_only: Runs every tool in the background, and takes neither of those.
        json_schema: Takes notice of JSON schemas of tools; others are told in the older form.
    """

    name: str
    thinking_budget: bool = True
    thinking_level: bool = True
    affective_dialog: bool = True
    proactive_audio: Literal["settable", "always", "never"] = "settable"
    text_by: Literal["realtime", "content"] = "realtime"
    initial_history: bool = False
    context_update: bool = False
    background_tools: bool = True
    asynchronous_only: bool = False
    json_schema: bool = True


UNKNOWN = Family("a model of no known family", background_tools=False, json_schema=False)

_FAMILIES: tuple[tuple[str, Family], ...] = (
    (
        r"3\.8.*extended",
        Family(
            "Gemini 3.8 Live extended thinking",
            thinking_budget=False,
            affective_dialog=False,
            proactive_audio="always",
            context_update=True,
            background_tools=False,
            asynchronous_only=True,
        ),
    ),
    (
        r"3\.8",
        Family(
            "Gemini 3.8 Live",
            thinking_budget=False,
            thinking_level=False,
            affective_dialog=False,
            proactive_audio="always",
            context_update=True,
        ),
    ),
    (
        r"3\.1",
        Family(
            "Gemini 3.1 Flash Live",
            thinking_budget=False,
            affective_dialog=False,
            proactive_audio="never",
            initial_history=True,
            background_tools=False,
        ),
    ),
    (r"2\.5", Family("Gemini 2.5 Flash Live", thinking_level=False, text_by="content", json_schema=False)),
)


def family_of(model: str) -> Family:
    """The family of a model's name; `UNKNOWN` for one that has none."""
    return next((family for pattern, family in _FAMILIES if re.search(pattern, model)), UNKNOWN)

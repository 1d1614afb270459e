"""`llm: {type: intents}`: a dialogue of intents, slots and templates, chosen by sentence vectors."""

from __future__ import annotations

from fishjam_agents_local.intents.component import Intents
from fishjam_agents_local.intents.dialogue import Dialogue, Intent, Phrases, Slot, SmallTalk
from fishjam_agents_local.intents.reading import read_dialogue

__all__ = ["Dialogue", "Intent", "Intents", "Phrases", "Slot", "SmallTalk", "read_dialogue"]

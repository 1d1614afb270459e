"""Language models that do not see are shown no pictures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from fishjam_agents.backends.cascade.parts import LanguageModel, Message, Piece
from fishjam_agents.backends.port import ToolDeclaration


def sighted(settings: LanguageModel, connected: LanguageModel) -> LanguageModel:
    """What `connect` of a model gave, or if the model does not see, one that leaves the pictures out."""
    return connected if settings.vision else _Blind(connected)


class _Blind(LanguageModel):
    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def reply(self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]) -> AsyncIterator[Piece]:
        shown = [replace(message, images=()) if message.images else message for message in messages]
        return self._model.reply(shown, tools)

"""Language models that do not see are shown no pictures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from fishjam_agents.backends.cascade.components import LanguageModel, LLMChunk, Message
from fishjam_agents.backends.port import ToolDeclaration


def sighted(settings: LanguageModel, connected: LanguageModel) -> LanguageModel:
    """Return `connect`'s result, or if the model takes no images, one that leaves them out."""
    return connected if settings.vision else _Blind(connected)


class _Blind(LanguageModel):
    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def reply(self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]) -> AsyncIterator[LLMChunk]:
        shown = [replace(message, images=()) if message.images else message for message in messages]
        return self._model.reply(shown, tools)

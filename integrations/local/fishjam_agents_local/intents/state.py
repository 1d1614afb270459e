"""State of a conversation, and what is said next. Values: a step makes a new state of the one before."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fishjam_agents_local.intents.slots import Value


@dataclass(frozen=True, slots=True)
class Form:
    """An intent whose slots are being filled.

    Attributes:
        intent: Its name.
        values: What is known, by slot.
        asked: The slot that was asked for last.
        stage: What is asked: a slot, whether all is right, or what is not.
        tries: Answers in a row that were not understood.
        confirmable: Whether the question whether all is right was heard with all it is about.
    """

    intent: str
    values: Mapping[str, Value] = field(default_factory=dict)
    asked: str | None = None
    stage: Literal["slots", "confirm", "change"] = "slots"
    tries: int = 0
    confirmable: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """A question which intent was meant.

    Attributes:
        first: The likeliest.
        second: The other one, if two were offered.
        text: The utterance that it is about.
        day: When that was said.
    """

    first: str
    second: str | None
    text: str
    day: datetime.date


@dataclass(frozen=True, slots=True)
class State:
    """All that a conversation knows.

    Attributes:
        form: What is being filled.
        choice: What was asked back.
        unsure: How many times in a row the bot was unsure.
        last: What it said last.
        unsaid: What was to be said last, and nobody heard to its end; "" where that does not matter.
        insist: Whether it is said whatever comes next: something was done.
        used: How often each answer that has several forms was given.
        waiting: What a user said that nobody has answered, nor heard an answer to.
        waiting_since: The day on which that was said; None if there is nothing.
        today: The day on which the last words were said.
    """

    form: Form | None = None
    choice: Choice | None = None
    unsure: int = 0
    last: str = ""
    unsaid: str = ""
    insist: bool = False
    used: Mapping[str, int] = field(default_factory=dict)
    waiting: str = ""
    waiting_since: datetime.date | None = None
    today: datetime.date = datetime.date.min


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A tool to be called.

    Attributes:
        tool: Its name.
        arguments: By parameter.
        intent: The intent that it is for.
        values: What was known of its slots.
    """

    tool: str
    arguments: Mapping[str, Any]
    intent: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Plan:
    """The bot's next words.

    Attributes:
        text: The words; "" for none.
        state: The state once they were heard.
        call: The tool that is called after them.
        needed: How much of the words has to be heard for the question in them to have been asked, characters.
        result: What of them is the outcome of a tool, or an outcome that was not heard before.
        insist: Whether that has to be heard.
        unsure: Whether nothing was understood.
        talk: Whether nothing was wanted: small talk.
        warning: What is wrong with the dialogue, for its author.
    """

    text: str
    state: State
    call: PlannedCall | None = None
    needed: int = 0
    result: str = ""
    insist: bool = False
    unsure: bool = False
    talk: bool = False
    warning: str = ""

    def after(self, before: str) -> Plan:
        """The same with words before it."""
        if not before:
            return self
        text = f"{before} {self.text}".rstrip()
        return replace(self, text=text, needed=self.needed + len(text) - len(self.text))

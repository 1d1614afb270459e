"""A conversation as it was: the state that follows from the messages a language model is shown.

Nothing is kept beside the messages. They say what was heard of each answer, so that a question that was
spoken over counts as asked only as far as it was heard, and they are there after an answer that was begun in
vain, and in the process that takes over a call.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from fishjam_agents.backends.cascade import LLMToolCall, Message
from fishjam_agents.backends.conversation import CUT
from fishjam_agents_local.intents.days import DaysOfWords
from fishjam_agents_local.intents.decisions import Decisions
from fishjam_agents_local.intents.state import Plan, State

_LEAST = 3
"""Letters of an answer from which it is known to have begun."""
_HEARD = 0.8
"""Share of a result that has to be heard for it to be known."""


@dataclass(slots=True)
class Exchange:
    """A user's words, and all that followed.

    Attributes:
        text: The user's words.
        day: When they were said.
        heard: What was heard of the bot.
        answers: Answers of tools with their calls.
    """

    text: str
    day: datetime.date = datetime.date.min
    heard: list[str] = field(default_factory=list)
    answers: list[tuple[LLMToolCall, Message]] = field(default_factory=list)


class Conversation:
    """A conversation as a language model is shown it, again and again. It may be shown another one each time.

    Args:
        decisions: What is decided.
        today: Tells what day it is, for words that are shown for the first time.
    """

    def __init__(self, decisions: Decisions, today: Callable[[], datetime.date]) -> None:
        self._decisions = decisions
        self._days = DaysOfWords(today)
        # What came of the exchanges of the time before: most are the same.
        self._known: list[tuple[Exchange, State]] = []

    def plan(self, messages: Sequence[Message]) -> Plan | None:
        """Decide what is said next; None if no user waits for an answer: the app asks for something."""
        exchanges = list(_exchanges(messages))
        for exchange, day in zip(exchanges, self._days.of([one.text for one in exchanges]), strict=True):
            exchange.day = day
        if not exchanges or (messages[-1].role == "user" and not _without_notes(messages[-1].text)):
            return None
        state = self._state(exchanges[:-1])
        last = exchanges[-1]
        made = _decided(state, last, self._decisions)
        called = _called(made, last)
        if called is not None:
            return self._decisions.result(made, called.text, error=called.error)
        # A tool of another model that stood in was answered: there is nothing to say to that.
        return None if last.answers else made

    def _state(self, exchanges: Sequence[Exchange]) -> State:
        same = 0
        for (known, _), exchange in zip(self._known, exchanges, strict=False):
            if known != exchange:
                break
            same += 1
        del self._known[same:]
        state = self._known[-1][1] if self._known else State()
        for exchange in exchanges[same:]:
            made = _decided(state, exchange, self._decisions)
            state = _settled(state, made, exchange, self._decisions)
            self._known.append((exchange, state))
        return state


def _exchanges(messages: Sequence[Message]) -> Iterator[Exchange]:
    exchange: Exchange | None = None
    calls: dict[str, LLMToolCall] = {}
    for message in messages:
        if message.role == "user":
            text = _without_notes(message.text)
            if not text:
                continue
            if exchange is not None:
                yield exchange
            exchange = Exchange(text)
        elif exchange is None:
            continue
        elif message.role == "assistant":
            calls |= {call.call: call for call in message.calls}
            if message.text:
                exchange.heard.append(message.text)
        elif message.role == "tool" and message.call in calls:
            exchange.answers.append((calls[message.call], message))
    if exchange is not None:
        yield exchange


def _without_notes(text: str) -> str:
    """The words of a user without what the pipeline lets a model know with them, in brackets before them."""
    depth = 0
    for place, sign in enumerate(text):
        if depth == 0 and sign not in "[ ":
            return text[place:].strip()
        depth += {"[": 1, "]": -1}.get(sign, 0)
    return "" if depth == 0 else text


def _decided(state: State, exchange: Exchange, decisions: Decisions) -> Plan:
    """Decide about an utterance; together with one before it that was cut in two by a pause."""
    waiting = state.waiting
    if not waiting:
        return decisions.decide(state, exchange.text, exchange.day)
    since = state.waiting_since or exchange.day
    state = replace(state, waiting="", waiting_since=None)
    whole = decisions.decide(state, f"{waiting} {exchange.text}", exchange.day, since)
    if not whole.unsure:
        return whole
    alone = decisions.decide(state, exchange.text, exchange.day)
    return whole if alone.unsure else alone


def _called(made: Plan, exchange: Exchange) -> Message | None:
    """The answer of the tool that a plan called; None if it did not come to that."""
    if made.call is None:
        return None
    return next((answer for call, answer in exchange.answers if call.name == made.call.tool), None)


def _settled(state: State, made: Plan, exchange: Exchange, decisions: Decisions) -> State:
    """The state after an exchange, by what of its answer was heard."""
    said = " ".join(text.removesuffix(CUT) for text in exchange.heard)
    called = _called(made, exchange)
    if called is not None:
        answer = decisions.result(made, called.text, error=called.error)
        # What was said before the call may have been the outcome of another one.
        both = answer.after(made.text)
        made = replace(both, result=both.text, insist=True) if made.insist else both
    heard = _heard(made.text, said)
    if called is None and (made.call is not None or (made.text and not heard)):
        # Nobody knows of any answer: what was said still waits for one.
        waiting = f"{state.waiting} {exchange.text}".strip()
        since = state.waiting_since or exchange.day
        return replace(state, waiting=waiting, waiting_since=since, last=said or state.last)
    after = replace(made.state, last=made.text or said)
    if heard < made.needed:
        if after.form is not None:
            after = replace(after, form=replace(after.form, confirmable=False))
        after = replace(after, choice=None)
    if made.result:
        end = made.text.find(made.result) + len(made.result)
        if heard < _HEARD * end and (made.insist or not heard):
            after = replace(after, unsaid=made.result, insist=made.insist)
    return after


def _heard(text: str, said: str) -> int:
    """Number of characters of a text that were said, by letters: voices are given it without its markup."""
    letters, heard = _letters(text), _letters(said)
    if letters in heard:
        return len(text)
    for count in range(min(len(letters), len(heard)), _LEAST - 1, -1):
        if heard.endswith(letters[:count]):
            break
    else:
        return 0
    left = count
    for place, sign in enumerate(text):
        left -= sign.isalnum()
        if not left:
            return place + 1
    return len(text)


def _letters(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())

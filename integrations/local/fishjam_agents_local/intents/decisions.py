"""Decisions of a dialogue: what an utterance leads to, given what was said before."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from fishjam_agents_local.intents.dialogue import Dialogue
from fishjam_agents_local.intents.slots import Found, find
from fishjam_agents_local.intents.state import Choice, Form, Plan, PlannedCall, State
from fishjam_agents_local.intents.templates import fill, outcome, spoken
from fishjam_agents_local.intents.understanding import (
    NO,
    SECOND,
    YES,
    Help,
    OfIntent,
    OfSmallTalk,
    Other,
    Repeat,
    Understood,
    asks,
    begins,
    doubts,
    leaves,
    says,
)
from fishjam_agents_local.intents.words import split

Understand = Callable[[str], Understood]
_TRIES = 3
"""Answers in a row that are not understood, after which a question is given up."""
_UNSURE = 2
"""Times in a row that the bot is unsure, at the last of which it says what it can do."""
_CLEARLY = 3.0
"""Margins by which an utterance has to mean another intent to be no answer to a question."""
_NAMED = 0.7
"""Share of the question which of two things was meant that has to be heard for "yes" to mean one."""


class Decisions:
    """Decides what is said next.

    Args:
        dialogue: The dialogue.
        understand: Says what an utterance wants.
    """

    def __init__(self, dialogue: Dialogue, understand: Understand) -> None:
        self._dialogue = dialogue
        self._phrases = dialogue.phrases
        self._understand = understand
        self._corrections = [
            (re.compile(rf"\b{re.escape(heard)}\b", re.IGNORECASE), meant)
            for heard, meant in sorted(dialogue.corrections.items(), key=lambda one: -len(one[0]))
        ]

    def decide(
        self, state: State, text: str, today: datetime.date, said_on: datetime.date | None = None
    ) -> Plan:
        """Decide what is said to an utterance.

        Args:
            state: How the conversation stands.
            text: The utterance.
            today: The day on which it is answered.
            said_on: The day on which it was said, what "tomorrow" follows; None for the same.
        """
        for heard, meant in self._corrections:
            text = heard.sub(lambda _, meant=meant: meant, text)  # type: ignore[misc]
        told = replace(state, unsaid="", insist=False, waiting="", waiting_since=None, today=today)
        plan = self._decide(told, text, said_on or today)
        if not state.unsaid:
            return plan
        if plan.unsure or plan.talk:
            # "Hm" over a result is no wish: who said it has not heard it.
            return replace(self._and_ask(told, state.unsaid), result=state.unsaid, insist=state.insist)
        if not state.insist:
            return plan
        before = fill(self._phrases.unsaid, {"text": state.unsaid})
        return replace(plan.after(before), result=before, insist=True)

    def result(self, plan: Plan, text: str, *, error: bool) -> Plan:
        """Decide what is said to the answer of a tool that a plan called."""
        call = plan.call
        assert call is not None
        intent = self._dialogue.intents[call.intent]
        known = {**spoken(call.values, plan.state.today), **outcome(call.tool, text, error=error)}
        state, warning = plan.state, ""
        template, state = self._form_of(state, call.intent, intent.answer)
        try:
            said = fill(intent.failed if error else template, known)
        except KeyError as missing:
            warning = (
                f"intents.{call.intent} speaks of {{{missing.args[0]}}}, which {call.tool} did not answer"
            )
            said = fill(intent.failed, {**known, "error": ""})
        if error and intent.ask_again is not None:
            values = {key: value for key, value in call.values.items() if key != intent.ask_again}
            asked = self._next(state, Form(call.intent, values))
            return replace(asked.after(said), result=said, insist=bool(intent.confirm))
        if state.form is None:
            return Plan(said, state, result=said, insist=bool(intent.confirm), warning=warning)
        asked = self._ask_again(state)
        return replace(asked.after(said), result=said, insist=bool(intent.confirm), warning=warning)

    # --- what was said ---

    def _decide(self, state: State, text: str, day: datetime.date) -> Plan:
        if not split(text):
            return self._not_understood(state)
        if state.choice is not None:
            chosen = self._chosen(state, state.choice, text)
            if chosen is not None:
                return chosen
            state = replace(state, choice=None)
        if state.form is not None:
            answered = self._answered(state, state.form, text, day)
            if answered is not None:
                return answered
        return self._meant(state, text, day)

    def _chosen(self, state: State, choice: Choice, text: str) -> Plan | None:
        """Decide about an answer to "Did you mean to ...?"; None if it is none."""
        plain = replace(state, choice=None)
        if choice.second is not None and says(text, SECOND):
            return self._start(plain, choice.second, choice.text, choice.day)
        if says(text, NO):
            return self._menu(replace(plain, unsure=0))
        if begins(text, YES) and not doubts(text, self._dialogue.intents[choice.first].about):
            return self._start(replace(plain, unsure=0), choice.first, f"{choice.text}. {text}", choice.day)
        understood = self._understand(text)
        meaning = understood.meaning
        if not isinstance(meaning, OfIntent) or understood.margin < self._dialogue.margin:
            return None
        if meaning.name in (choice.first, choice.second):
            return self._start(replace(plain, unsure=0), meaning.name, f"{choice.text}. {text}", choice.day)
        return None

    def _meant(self, state: State, text: str, day: datetime.date) -> Plan:
        """Decide about an utterance by what it wants."""
        understood = self._understand(text)
        meaning = understood.meaning
        # Small talk that is a little like a wish is answered: nothing is done by that.
        if understood.margin < self._dialogue.margin and not isinstance(meaning, OfSmallTalk):
            return self._unsure(state, understood, text, day)
        state = replace(state, unsure=0)
        match meaning:
            case OfIntent(name):
                if state.form is not None and state.form.intent == name:
                    return self._again(state, state.form)
                return self._start(state, name, text, day)
            case OfSmallTalk(index):
                talk = self._dialogue.small_talk[index]
                answer, state = self._form_of(state, f"small_talk[{index}]", talk.answer)
                return replace(self._and_ask(state, answer), talk=True)
            case Other():
                if state.form is not None:
                    return self._again(state, state.form)
                answer, state = self._form_of(state, "other", self._dialogue.other)
                return Plan(answer, state, unsure=True)
            case Repeat():
                return Plan(state.last or self._phrases.nothing_said, state)
            case Help():
                return self._and_ask(state, self._dialogue.menu)
            case _:
                assert_never(meaning)

    def _unsure(self, state: State, understood: Understood, text: str, day: datetime.date) -> Plan:
        if state.form is not None:
            return self._again(state, state.form)
        likely = [name for name, behind in understood.intents if behind < self._dialogue.margin]
        unsure = state.unsure + 1
        if not likely or unsure >= _UNSURE:
            return replace(self._menu(replace(state, unsure=0)), unsure=True)
        about = self._dialogue.intents[likely[0]].about
        if len(likely) > 1:
            other = self._dialogue.intents[likely[1]].about
            words = fill(self._phrases.between, {"about": about, "other": other})
        else:
            words = fill(self._phrases.unsure, {"about": about})
        choice = Choice(likely[0], likely[1] if len(likely) > 1 else None, text, day)
        asked = replace(state, choice=choice, unsure=unsure)
        return Plan(words, asked, needed=round(_NAMED * len(words)), unsure=True)

    # --- forms ---

    def _start(self, state: State, name: str, text: str, day: datetime.date) -> Plan:
        """Begin an intent with what was said."""
        intent = self._dialogue.intents[name]
        found = find(text, intent.slots, day)
        if intent.slots:
            # It takes the place of another form.
            return self._go_on(state, Form(name), found)
        return self._complete(state, Form(name), keep=state.form)

    def _answered(self, state: State, form: Form, text: str, day: datetime.date) -> Plan | None:
        """Decide about an answer to a question of a form; None if it is none."""
        intent = self._dialogue.intents[form.intent]
        question = intent.confirm or ""
        if leaves(text, question):
            return Plan(self._phrases.left, replace(state, form=None, unsure=0))
        asked = form.asked if form.stage == "slots" else None
        found = find(text, intent.slots, day, asked)
        if (asked not in found.values or asks(text)) and self._means_another(form, text):
            return None
        new = {key: value for key, value in found.values.items() if form.values.get(key) != value}
        if new or (found.wrong and form.stage != "slots") or (asked in found.wrong):
            return self._go_on(state, form, Found(new, found.wrong))
        if form.stage == "confirm":
            if begins(text, YES) and not doubts(text, question):
                if not form.confirmable:
                    return self._confirm(state, form)
                return self._complete(replace(state, unsure=0), form, keep=None)
            if begins(text, NO):
                changed = replace(form, stage="change", asked=None, tries=0)
                return Plan(self._phrases.change, replace(state, form=changed))
        if form.stage == "change" and (key := _named(intent.slots, text)) is not None:
            values = {name: value for name, value in form.values.items() if name != key}
            return self._next(state, replace(form, values=values))
        return None

    def _means_another(self, form: Form, text: str) -> bool:
        """Return whether an utterance is about something else, whatever it says of days and numbers."""
        if begins(text, YES) or begins(text, NO):
            return False
        understood = self._understand(text)
        another = isinstance(understood.meaning, OfIntent) and understood.meaning.name != form.intent
        return another and understood.margin >= _CLEARLY * self._dialogue.margin

    def _go_on(self, state: State, form: Form, found: Found) -> Plan:
        """Take what was found, and ask for what is missing."""
        intent = self._dialogue.intents[form.intent]
        form = replace(form, values={**form.values, **found.values}, tries=0)
        plan = self._next(replace(state, unsure=0), form)
        # What was said was wrong, unless something else of it was right.
        wrong = [intent.slots[key].wrong for key in found.wrong if key not in form.values or not found.values]
        return plan.after(wrong[0]) if wrong and plan.call is None else plan

    def _next(self, state: State, form: Form) -> Plan:
        """Ask for the first slot that is missing, or whether all is right, or do it."""
        intent = self._dialogue.intents[form.intent]
        for key, slot in intent.slots.items():
            if key not in form.values and not slot.optional:
                asking = replace(form, asked=key, stage="slots")
                return Plan(fill(slot.ask, spoken(form.values, state.today)), replace(state, form=asking))
        if intent.confirm is not None:
            return self._confirm(state, form)
        return self._complete(state, form, keep=None)

    def _confirm(self, state: State, form: Form) -> Plan:
        intent = self._dialogue.intents[form.intent]
        assert intent.confirm is not None
        asking = replace(form, asked=None, stage="confirm", confirmable=True)
        words = fill(intent.confirm, spoken(form.values, state.today))
        return Plan(words, replace(state, form=asking), needed=_last_sentence(words))

    def _complete(self, state: State, form: Form, keep: Form | None) -> Plan:
        """Do what an intent is for; a form that was interrupted goes on after it."""
        intent = self._dialogue.intents[form.intent]
        state = replace(state, form=keep, unsure=0)
        known = spoken(form.values, state.today)
        if intent.tool is not None:
            arguments = {key: value.value for key, value in form.values.items()}
            call = PlannedCall(intent.tool, arguments, form.intent, form.values)
            return Plan(fill(intent.say or "", known), state, call=call)
        template, state = self._form_of(state, form.intent, intent.answer)
        return self._and_ask(state, fill(template, known))

    def _again(self, state: State, form: Form) -> Plan:
        """Ask once more what was not understood."""
        tries = form.tries + 1
        if tries >= _TRIES:
            return Plan(self._phrases.left, replace(state, form=None), unsure=True)
        asked = self._ask_again(replace(state, form=replace(form, tries=tries)))
        return replace(asked.after(self._phrases.not_understood), unsure=True)

    def _ask_again(self, state: State) -> Plan:
        """The question that is open."""
        form = state.form
        assert form is not None
        if form.stage == "change":
            return Plan(self._phrases.change, state)
        return self._confirm(state, form) if form.stage == "confirm" else self._next(state, form)

    # --- small things ---

    def _and_ask(self, state: State, words: str) -> Plan:
        """Say something, and ask again what is open."""
        return Plan(words, state) if state.form is None else self._ask_again(state).after(words)

    def _not_understood(self, state: State) -> Plan:
        if state.form is not None:
            return self._again(state, state.form)
        return Plan(self._phrases.not_understood, state, unsure=True)

    def _menu(self, state: State) -> Plan:
        return Plan(self._dialogue.menu, state)

    def _form_of(self, state: State, key: str, answers: Sequence[str]) -> tuple[str, State]:
        """The next of several answers; "" if there is none."""
        if not answers:
            return "", state
        count = state.used.get(key, 0)
        return answers[count % len(answers)], replace(state, used={**state.used, key: count + 1})


def _named(slots: Mapping[str, object], text: str) -> str | None:
    """The slot whose name is said: "the time"."""
    plain = f" {' '.join(word.plain for word in split(text))} "
    return next((key for key in slots if f" {key.replace('_', ' ').lower()} " in plain), None)


def _last_sentence(text: str) -> int:
    """Place where the last sentence of a text begins."""
    ends = [match.end() for match in re.finditer(r"[.!?]\s+", text)]
    return ends[-1] if ends else round(0.9 * len(text))

"""Dialogues as their file has them: what a bot understands, asks and says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from string import Formatter
from types import MappingProxyType
from typing import Literal

from fishjam_agents.errors import SettingError
from fishjam_agents_local.intents.times import durations, read_clock
from fishjam_agents_local.intents.words import split

SlotType = Literal["number", "date", "time", "duration", "name", "choice", "text"]
RESULT = "result"
"""Placeholder of the answer of a tool; `result.KEY` is an entry of one that is a JSON object."""
ERROR = "error"
"""Placeholder of what a tool says went wrong."""
_END_OF_DAY = 24 * 60 - 1


@dataclass(frozen=True, slots=True)
class Slot:
    """Something that has to be known before an intent is carried out.

    Attributes:
        type: `number`, `date`, `time`, `duration`, `name`, `choice` of `options`, or `text`, which is
            all that is answered when it is asked for.
        ask: The question for it, with `{SLOT}` for what is known of others.
        options: Of a choice: each as it is given to the tool, with further words for it.
        least: The least number, the earliest time (`17:30`) or the shortest duration (`10 seconds`).
        most: The largest number, the latest time or the longest duration.
        wrong: Said before the question is asked again, where something lies outside of these bounds.
        optional: Whether it is not asked for.
    """

    type: SlotType
    ask: str = ""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: str | None = None
    most: str | None = None
    wrong: str = "Sorry, that is not possible."
    optional: bool = False

    def __post_init__(self) -> None:
        if not self.ask and not self.optional:
            raise SettingError("ask", "is missing", "give the question for it, or say optional: true")
        if (self.type == "choice") != bool(self.options):
            raise SettingError(
                "options", "are what a choice is made of", "give them to a slot of type choice"
            )
        low, high = self.bounds
        if low > high:
            raise SettingError("least", "is above most", "exchange them", fields=["most"])

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest value: a number, minutes since midnight, seconds."""
        low = 0 if self.least is None else self._bound("least", self.least)
        high = _END_OF_DAY if self.type == "time" else 10**9
        return low, high if self.most is None else self._bound("most", self.most)

    def _bound(self, setting: str, text: str) -> int:
        if self.type == "number":
            with suppress(ValueError):
                return int(text)
        if self.type == "time":
            try:
                return read_clock(text)
            except ValueError:
                raise SettingError(setting, f"must be a time like 17:30, not {text!r}") from None
        if self.type == "duration" and len(found := durations(split(text))) == 1:
            return found[0].seconds
        examples = {"number": "a whole number", "duration": "a duration like 10 minutes"}
        if self.type in examples:
            raise SettingError(setting, f"must be {examples[self.type]}, not {text!r}")
        raise SettingError(setting, f"bounds numbers, times and durations, not a {self.type}", "remove it")


@dataclass(frozen=True, slots=True)
class Intent:
    """Something that people want of the bot, and what it does then.

    Attributes:
        about: What it is, as it goes on after "Did you mean to": `book a table`.
        examples: Sentences by which people say so; 8 to 15 are good.
        keywords: Words that mean it beyond doubt wherever they are said: names of your domain.
        slots: What has to be known, in the order in which it is asked for.
        confirm: The question whether all that is known is right, with `{SLOT}` for each; without it nothing
            is confirmed.
        say: Said before the tool is called.
        tool: The tool that is called, with the slots as its arguments.
        answer: Said in the end; one after another where there are several. `{result}` is the tool's answer,
            `{result.KEY}` an entry of one that is a JSON object.
        failed: Said where the tool fails; `{error}` is what it says of that.
        ask_again: The slot that is asked for again then; None if it was in vain.
    """

    about: str
    examples: tuple[str, ...]
    keywords: tuple[str, ...] = ()
    slots: Mapping[str, Slot] = field(default_factory=dict)
    confirm: str | None = None
    say: str | None = None
    tool: str | None = None
    answer: tuple[str, ...] = ()
    failed: str = "Sorry, that did not work."
    ask_again: str | None = None

    def __post_init__(self) -> None:
        _some_words("examples", self.examples)
        if not self.answer and not self.say:
            raise SettingError("answer", "is missing", "say what is answered, or give say")
        if not self.answer and not self.tool:
            raise SettingError("answer", "is missing", "say what is answered")
        slots = set(self.slots)
        if self.ask_again is not None and (
            self.ask_again not in slots or self.slots[self.ask_again].optional
        ):
            asked = [name for name, slot in self.slots.items() if not slot.optional]
            advice = f"use {' or '.join(asked)}" if asked else "remove it"
            raise SettingError(
                "ask_again", f"must be a slot that is asked for, not {self.ask_again!r}", advice
            )
        for name in slots & {RESULT, ERROR}:
            raise SettingError("slots", f"may not be called {name}", "it is what a tool answers: rename it")
        # What is asked for first is known first.
        known: set[str] = set()
        for name, slot in self.slots.items():
            _placeholders(f"slots.{name}.ask", [slot.ask], known)
            known |= set() if slot.optional else {name}
        _placeholders("confirm", [self.confirm or ""], known)
        _placeholders("say", [self.say or ""], known)
        _placeholders("answer", self.answer, known | ({RESULT} if self.tool else set()))
        _placeholders("failed", [self.failed], known | {ERROR})


@dataclass(frozen=True, slots=True)
class SmallTalk:
    """Something people say, and an answer to it.

    Attributes:
        examples: Sentences that mean it.
        answer: What is answered; one after another where there are several.
    """

    examples: tuple[str, ...]
    answer: tuple[str, ...]

    def __post_init__(self) -> None:
        _some_words("examples", self.examples)
        if not self.answer:
            raise SettingError("answer", "is missing", "say what is answered")
        _placeholders("answer", self.answer, set())


@dataclass(frozen=True, slots=True)
class Phrases:
    """Sentences for any conversation, whatever it is about.

    Attributes:
        unsure: Asked where it is not certain what somebody wants; `{about}` is what is likeliest.
        between: Asked where two intents are about as likely; `{about}` and `{other}`.
        menu: Said to who asks what the bot can do, and after it was unsure twice; `{all}` is all it can do.
        not_understood: Said before a question that is asked again.
        change: Asked where something is not right.
        left: Said where a question is given up.
        unsaid: Said with what nobody heard to its end; `{text}`.
        nothing_said: Answer to who wants to hear again what was not said yet.
    """

    unsure: str = "Did you mean to {about}?"
    between: str = "Did you mean to {about}, or to {other}?"
    menu: str = "I can {all}. What would you like?"
    not_understood: str = "Sorry, I did not get that."
    change: str = "What shall I change?"
    left: str = "All right, we leave it at that. What else can I do for you?"
    unsaid: str = "I was saying: {text}"
    nothing_said: str = "I have not said anything yet."

    def __post_init__(self) -> None:
        known = {"unsure": {"about"}, "between": {"about", "other"}, "menu": {"all"}, "unsaid": {"text"}}
        for item in fields(self):
            _placeholders(item.name, [getattr(self, item.name)], known.get(item.name, set()))


@dataclass(frozen=True, slots=True)
class Dialogue:
    """All that a bot understands, asks and says.

    Attributes:
        intents: What people may want, by name.
        small_talk: What else people say, with answers.
        other: What is answered to all that is neither.
        other_examples: Sentences that are neither.
        margin: How much likelier than the next one an intent must be for the bot not to ask back; 0.2 to 0.3
            for callers by telephone or with accents.
        corrections: What a recogniser writes for names of your domain, and what they are: `{at ease: Aedes}`.
        phrases: What is said whatever the conversation is about.
    """

    intents: Mapping[str, Intent]
    small_talk: tuple[SmallTalk, ...] = ()
    other: tuple[str, ...] = ("I am sorry, I cannot help with that.",)
    other_examples: tuple[str, ...] = ()
    margin: float = 0.1
    corrections: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    phrases: Phrases = field(default_factory=Phrases)

    def __post_init__(self) -> None:
        if not self.intents:
            raise SettingError("intents", "are missing", "give at least one")
        if not 0 <= self.margin < 1:
            raise SettingError("margin", f"must be between 0 and 1, not {self.margin:g}")
        if not self.other:
            raise SettingError("other", "is missing", "say what is answered to what is not understood")
        _placeholders("other", self.other, set())

    @property
    def menu(self) -> str:
        """All that the bot can do, in one sentence."""
        *most, last = [intent.about for intent in self.intents.values()]
        return self.phrases.menu.format(all=f"{', '.join(most)} or {last}" if most else last)

    def samples(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Every group of examples with the key where it stands."""
        for name, intent in self.intents.items():
            yield f"intents.{name}.examples", intent.examples
        for index, talk in enumerate(self.small_talk):
            yield f"small_talk[{index}].examples", talk.examples
        yield "other_examples", self.other_examples


def placeholders(template: str) -> Iterator[str]:
    """Names of what a template has room for.

    Raises:
        ValueError: Its braces do not match.
    """
    for _, name, form, conversion in Formatter().parse(template):
        if name is not None:
            if not name or form or conversion:
                raise ValueError("a placeholder is a name in braces")
            yield name


def _placeholders(setting: str, templates: Sequence[str], known: set[str]) -> None:
    """Verify that templates have room for what is known only.

    Raises:
        SettingError: One does not.
    """
    for template in templates:
        try:
            names = list(placeholders(template))
        except ValueError:
            raise SettingError(
                setting, f"has braces that do not match in {template!r}", "write {name}"
            ) from None
        for name in names:
            if name not in known and name.partition(".")[0] not in known & {RESULT}:
                have = " or ".join(f"{{{one}}}" for one in sorted(known)) or "nothing"
                raise SettingError(
                    *(setting, f"has {{{name}}}, which is not known there", f"use {have}"),
                    # In a file, the key that holds it.
                    fields=[setting.partition(".")[0]],
                )


def _some_words(setting: str, examples: Sequence[str]) -> None:
    if not examples:
        raise SettingError(setting, "are missing", "give sentences by which people say so")
    for example in examples:
        if not split(example):
            raise SettingError(setting, f"has {example!r}, in which there is no word", "remove it")

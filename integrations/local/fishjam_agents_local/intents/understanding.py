"""Meaning of an utterance, by its vector and by keywords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fishjam_agents_local.intents.classifier import RidgeClassifier, Vectors
from fishjam_agents_local.intents.dialogue import Dialogue
from fishjam_agents_local.intents.words import listed, plain_text, split

_REPEAT = (
    "say that again",
    "could you repeat that",
    "pardon",
    "what did you say",
    "I did not hear you",
    "come again",
    "sorry, what was that",
    "one more time please",
)
_HELP = (
    "what can you do",
    "what can I ask you",
    "help",
    "how does this work",
    "what are my options",
    "what else can you do",
)


def _phrases(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split("|"))


YES = _phrases(
    """
    yes|yeah|yep|yup|sure|correct|right|exactly|ok|okay|of course|please do|that is right|that's right
    |all right|sounds good|perfect|absolutely|fine|go ahead|that's correct|that is correct
    |it is|yes it is|i do|i did
    |that's fine|do it|great|good|definitely|indeed|that works|looks good|you got it|that's it|right yes
    |the first|the first one
    """
)
NO = _phrases(
    """
    no|nope|nah|not really|wrong|that is wrong|that's wrong|not at all|no thanks|no thank you|not quite
    |incorrect|that is not right|that's not right|not that|neither|none of them|of course not
    |i don't|i did not|i didn't
    """
)
LEAVE = _phrases(
    """
    cancel|cancel that|cancel it|stop|stop it|stop that|never mind|nevermind|forget it|forget about it
    |forget that|leave it|i changed my mind|i have changed my mind|i've changed my mind
    |let's leave it|drop it|abort
    |i don't want that|i don't want to|i do not want that any more|quit|no never mind|no cancel|no forget it
    """
)
SECOND = _phrases("the second|the second one|second|the other|the other one|the latter|the last one")
_POLITE = frozenset(listed("please thanks well oh um uh er ah hm so just now then sorry and but thank you"))

_DOUBTS = frozenset(listed("no not wrong but"))
_ENDS = frozenset(listed("wait hold don't never nevermind stop cancel forget abort leave drop quit"))
"""Words that end what was begun, unless that is what was asked."""
_QUESTIONS = frozenset(listed("what what's when where how how's which who why until till"))


@dataclass(frozen=True, slots=True)
class OfIntent:
    """It is an intent of the dialogue."""

    name: str


@dataclass(frozen=True, slots=True)
class OfSmallTalk:
    """It is small talk: the place of its entry in the dialogue."""

    index: int


@dataclass(frozen=True, slots=True)
class Other:
    """It is nothing that the dialogue knows."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Somebody wants to hear again what was said."""


@dataclass(frozen=True, slots=True)
class Help:
    """Somebody asks what the bot can do."""


Meaning = OfIntent | OfSmallTalk | Other | Repeat | Help


@dataclass(frozen=True, slots=True)
class Understood:
    """Likeliest meaning of an utterance.

    Attributes:
        meaning: The likeliest.
        margin: How much likelier it is than the next; than the next that is no small talk if it is some.
        intents: The likeliest intents, with how much likelier the likeliest of all is.
    """

    meaning: Meaning
    margin: float = 1.0
    intents: Sequence[tuple[str, float]] = ()


def examples(dialogue: Dialogue) -> tuple[list[str], list[Meaning]]:
    """All examples of a dialogue, and those of what every bot understands; with the meaning of each."""
    groups: list[tuple[Meaning, Sequence[str]]] = [
        *((OfIntent(name), intent.examples) for name, intent in dialogue.intents.items()),
        *((OfSmallTalk(index), talk.examples) for index, talk in enumerate(dialogue.small_talk)),
        (Other(), dialogue.other_examples),
        (Repeat(), _REPEAT),
        (Help(), _HELP),
    ]
    # What the dialogue itself has an example for means what it says.
    own = {plain_text(example) for meaning, group in groups[:-2] for example in group}
    pairs = [
        (example, meaning)
        for meaning, group in groups
        for example in group
        if not (isinstance(meaning, Repeat | Help) and plain_text(example) in own)
    ]
    return [example for example, _ in pairs], [meaning for _, meaning in pairs]


class Understanding:
    """Understanding of utterances.

    Args:
        dialogue: What there is to be understood.
        vectors: Vectors of `examples(dialogue)`, in the same order.
    """

    def __init__(self, dialogue: Dialogue, vectors: Vectors) -> None:
        _, meanings = examples(dialogue)
        self._meanings = {str(meaning): meaning for meaning in meanings}
        self._classifier = RidgeClassifier(vectors, [str(meaning) for meaning in meanings])
        self._keywords = [
            (tuple(word.plain for word in split(keyword)), OfIntent(name))
            for name, intent in dialogue.intents.items()
            for keyword in intent.keywords
        ]

    def understand(self, text: str, vector: Vectors) -> Understood:
        """Understand an utterance, whose vector this is."""
        plain = tuple(word.plain for word in split(text))
        named = {
            meaning
            for keyword, meaning in self._keywords
            if any(plain[place : place + len(keyword)] == keyword for place in range(len(plain)))
        }
        if len(named) == 1:
            return Understood(named.pop())
        ordered = [
            (self._meanings[label], score)
            for label, score in self._classifier.scores(vector).ordered
            # Who names two things wants one of them.
            if not named or self._meanings[label] in named
        ]
        best, score = ordered[0]
        rest = [other for meaning, other in ordered[1:] if not (_talk(best) and _talk(meaning))]
        if not rest:
            return Understood(best)
        intents = [(one.name, score - other) for one, other in ordered if isinstance(one, OfIntent)]
        return Understood(best, score - rest[0], intents[:2])


def says(text: str, phrases: frozenset[str]) -> bool:
    """Return whether an utterance is one of these phrases, beside words of politeness: "No, thanks, um"."""
    words = plain_text(text).split()
    if " ".join(words) in phrases:
        return True
    bare = [word for word in words if word not in _POLITE]
    return bool(bare) and " ".join(bare) in phrases


def begins(text: str, phrases: frozenset[str]) -> bool:
    """Return whether an utterance begins with one of these phrases: "No, on Tuesday"."""
    words = [word for word in plain_text(text).split() if word not in _POLITE]
    return any(" ".join(words[:count]) in phrases for count in (1, 2, 3) if len(words) >= count)


def asks(text: str) -> bool:
    """Return whether an utterance is a question by its first word."""
    return bool(_QUESTIONS.intersection(plain_text(text).split()[:1]))


def doubts(text: str, question: str) -> bool:
    """Return whether an utterance that begins with a "yes" takes it back: "Yes, but", "Okay, cancel that".

    Args:
        text: The utterance.
        question: What it answers. "Yes, cancel it" is a "yes" to "Shall I cancel your booking?".
    """
    asked = set(plain_text(question).split())
    return bool((_DOUBTS | (_ENDS - asked)) & set(plain_text(text).split()))


def leaves(text: str, question: str) -> bool:
    """Return whether somebody wants no more of what was begun: "Never mind", "Okay, forget it"."""
    if says(text, LEAVE):
        return True
    words = [word for word in plain_text(text).split() if word not in _POLITE]
    after = (" ".join(words[count:]) for count in (1, 2) if " ".join(words[:count]) in YES)
    return doubts(text, question) and any(rest in LEAVE for rest in after)


def _talk(meaning: Meaning) -> bool:
    return isinstance(meaning, OfSmallTalk | Other)

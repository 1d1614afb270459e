"""Words of an utterance, and the numbers among them, in English."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"\d+(?:[:.]\d{2}(?!\d))?|[^\W\d_]+(?:['\u2019][^\W\d_]+)*\.?(?:[^\W\d_]\.)*")
"""A number, with the minutes of a time; or a word, with its apostrophe and the dots of `p.m.`."""


def listed(text: str) -> list[str]:
    """Return the words of a list that is written as a text."""
    return text.split()


_ONES = listed("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen
""")
_TENS = listed("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS = listed("""
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth
""")
_ORDINAL_TENS = {"twentieth": 20, "thirtieth": 30}
_SOME = {"couple": 2, "pair": 2, "dozen": 12}
_SMALL = {word: value for value, word in enumerate(_ONES)} | {"oh": 0}
_LARGE = {word: 10 * value for value, word in enumerate(_TENS, 2)} | {"fourty": 40, "ninty": 90}
_NTH = {word: value for value, word in enumerate(_ORDINALS, 1)}
_ENDINGS = ("st", "nd", "rd", "th")
HOMOPHONES = {
    "to": 2,
    "too": 2,
    "tu": 2,
    "for": 4,
    "fore": 4,
    "ate": 8,
    "won": 1,
    "sex": 6,
    "sick": 6,
    "tree": 3,
    "free": 3,
    "do": 2,
}
"""Words that recognisers write for a number that is said alone."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word.

    Attributes:
        text: As it was written.
        plain: In lower case, without dots, with a plain apostrophe.
        after_stop: Whether a sentence, or a part of one, ended before it.
    """

    text: str
    plain: str
    after_stop: bool = False

    @property
    def digits(self) -> bool:
        """True if it is a number in digits, without minutes."""
        return self.plain.isdecimal()


@dataclass(frozen=True, slots=True)
class Span:
    """Words `start` up to `end`, which is not among them, and what they mean."""

    start: int
    end: int

    @property
    def places(self) -> range:
        """Places of its words."""
        return range(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Number(Span):
    """A number in words or digits.

    Attributes:
        value: The number.
        ordinal: Whether it is one of an order, "the third".
    """

    value: int
    ordinal: bool = False


def split(text: str) -> list[Word]:
    """The words of an utterance: `7:30` and `p.m.` are one each, `twenty-one` two, `5th` two."""
    words: list[Word] = []
    end = 0
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        stop = any(sign in between for sign in ".,;!?") or (words and words[-1].text.endswith("."))
        end = match.end()
        written = match.group()
        plain = written.lower().replace("\u2019", "'")
        if not plain[0].isdecimal():
            plain = plain.replace(".", "")
        words.append(Word(written, plain, bool(stop)))
    return words


def plain_text(text: str) -> str:
    """The plain words of an utterance with a space between them."""
    return " ".join(word.plain for word in split(text))


def number_at(words: Sequence[Word], start: int) -> Number | None:
    """The number that begins at a word, as long as it goes: "a hundred and twenty", "twenty-first", "5th"."""
    word = words[start].plain if start < len(words) else ""
    if word.isdecimal():
        if len(word) > 9:
            return None
        if start + 1 < len(words) and words[start + 1].plain in _ENDINGS:
            return Number(start, start + 2, int(word), ordinal=True)
        return Number(start, start + 1, int(word))
    if word in _NTH:
        return Number(start, start + 1, _NTH[word], ordinal=True)
    if word in _ORDINAL_TENS:
        return Number(start, start + 1, _ORDINAL_TENS[word], ordinal=True)
    article = word == "a" and start + 1 < len(words)
    if article and words[start + 1].plain in _SOME:
        end = start + 2 + (words[start + 2 : start + 3] != [] and words[start + 2].plain == "of")
        return Number(start, end, _SOME[words[start + 1].plain])
    if article and words[start + 1].plain == "hundred":
        return _hundreds(words, start, start + 1, 1)
    small = _below_hundred(words, start)
    if small is None:
        return None
    if not small.ordinal and small.end < len(words) and words[small.end].plain == "hundred":
        return _hundreds(words, start, small.end, small.value)
    return small


def _below_hundred(words: Sequence[Word], start: int) -> Number | None:
    word = words[start].plain if start < len(words) else ""
    if word in _SMALL and word != "oh":
        return Number(start, start + 1, _SMALL[word])
    if word not in _LARGE:
        return None
    after = words[start + 1].plain if start + 1 < len(words) else ""
    if 0 < _SMALL.get(after, 0) < 10:
        return Number(start, start + 2, _LARGE[word] + _SMALL[after])
    if _NTH.get(after, 10) < 10:
        return Number(start, start + 2, _LARGE[word] + _NTH[after], ordinal=True)
    return Number(start, start + 1, _LARGE[word])


def _hundreds(words: Sequence[Word], start: int, hundred: int, value: int) -> Number:
    """A number of whose word `hundred` is the place."""
    begin = hundred + 1
    if begin < len(words) and words[begin].plain == "and":
        begin += 1
    rest = _below_hundred(words, begin)
    if rest is None or rest.ordinal:
        return Number(start, hundred + 1, 100 * value)
    return Number(start, rest.end, 100 * value + rest.value)


def minutes_at(words: Sequence[Word], start: int) -> Number | None:
    """Minutes as they follow an hour: "thirty", "oh five", "05"."""
    word = words[start].plain if start < len(words) else ""
    if word in ("oh", "zero", "o"):
        after = _below_hundred(words, start + 1)
        if after is not None and 0 < after.value < 10 and not after.ordinal:
            return Number(start, after.end, after.value)
        return None
    if word.isdecimal() and len(word) == 2 and int(word) < 60:
        return Number(start, start + 1, int(word))
    found = None if word.isdecimal() else _below_hundred(words, start)
    return found if found is not None and 10 <= found.value < 60 and not found.ordinal else None

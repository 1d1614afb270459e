"""Names of people, as they are told in English."""

from __future__ import annotations

from collections.abc import Container, Sequence

from fishjam_agents_local.intents.words import Word, listed

_LEADS = (
    ("under", "the", "name", "of"),
    ("under", "the", "name"),
    ("in", "the", "name", "of"),
    ("my", "last", "name", "is"),
    ("my", "first", "name", "is"),
    ("my", "name", "is"),
    ("the", "name", "is"),
    ("name", "is"),
    ("my", "name's"),
    ("the", "name's"),
    ("under",),
)
"""Words before a name, wherever they stand."""
_ASKED_LEADS = (
    *_LEADS,
    ("it", "is"),
    ("that", "is"),
    ("that", "would", "be"),
    ("it", "would", "be"),
    ("this", "is"),
    ("i", "am"),
    ("call", "me"),
    ("make", "it"),
    ("put", "it"),
    ("put", "down"),
    *(
        (word,)
        for word in listed("it's that's i'm yes yeah yep sure okay ok um uh er well oh just for name please")
    ),
)
"""Words before the answer to a question for a name."""
_TITLES = frozenset(listed("mr mrs ms miss doctor dr"))
_STOPS = frozenset(
    listed("""
    a about after all am an and are as at be because before book but by can cancel could day did do does for
    four from get give go good have how i if in is it it's like make me mean minute moment my never no not
    nothing now of on one or our pardon people please put repeat said say she so sorry stop table tell thank
    thanks that that's the their them then there they this time to today tomorrow tonight two under want was
    we what what's when where which who why will with would yes you you're your
    """)
)
"""Words that end a name, and that none consists of."""
_LONGEST = 4


def name(words: Sequence[Word], asked: bool, taken: Container[int] = ()) -> str | None:
    """The name that is told, as it was written; None if there is none.

    Args:
        words: What was said.
        asked: Whether a name was asked for: then it may be all that was said.
        taken: Places of words that mean something else: a day, a time.
    """
    plain = [word.plain for word in words]
    for place in range(len(words)):
        for lead in _LEADS:
            if tuple(plain[place : place + len(lead)]) == lead:
                found = _joined(words, place + len(lead), taken)
                if found:
                    return found
    if not asked:
        return None
    place = 0
    while (before := _lead(plain, place)) is not None:
        place += len(before)
    found = _joined(words, place, taken)
    rest = [word for word in plain[place + _count(words, place, taken) :] if word not in ("please", "thanks")]
    return found if found and len(rest) <= 1 else None


def _lead(plain: Sequence[str], place: int) -> tuple[str, ...] | None:
    return next((lead for lead in _ASKED_LEADS if tuple(plain[place : place + len(lead)]) == lead), None)


def _count(words: Sequence[Word], start: int, taken: Container[int]) -> int:
    """Return how many words from a place on may be a name."""
    count = 0
    for place in range(start, len(words)):
        word = words[place]
        title = place > start and words[place - 1].plain in _TITLES
        if _spelled(words, place):
            count += 1
            continue
        if word.plain in _STOPS or place in taken or word.plain[0].isdecimal():
            break
        if count and word.after_stop and not title and len(word.plain) > 1:
            break
        count += 1
    return count


def _spelled(words: Sequence[Word], place: int) -> bool:
    """Return whether a word is a letter of a row: `S-M-I-T-H`."""
    near = words[max(0, place - 1) : place + 2]
    return len(near) > 1 and len(words[place].plain) == 1 and sum(len(word.plain) == 1 for word in near) > 1


def _joined(words: Sequence[Word], start: int, taken: Container[int]) -> str:
    """The name from a place on; letters that were spelled are one word. "" if that is none."""
    count = _count(words, start, taken)
    texts = [word.text.strip(".") for word in words[start : start + count]]
    if len(texts) > 2 and all(len(text) == 1 for text in texts):
        return "".join(texts).capitalize()
    if not texts or count > _LONGEST:
        return ""
    return " ".join(text if text[:1].isupper() else text.capitalize() for text in texts)

"""The words of what has been heard of a reply: by their times where they are known, else in proportion."""

from __future__ import annotations

from collections.abc import Collection, Sequence

_PACE = 15.0
"""Letters a second of what has not been spoken to its end: English at 170 words a minute."""
_UNSPACED = "\u0e00"
"""From here on most scripts put no spaces between words: Thai, Lao, Burmese, Khmer, kana, Chinese."""
_WORD = 4
"""Letters of such a script that may be one word."""


def heard_text(
    pieces: Sequence[tuple[str, float | None]],
    heard: float,
    given: float,
    *,
    complete: bool,
    broken: Collection[int] = (),
) -> tuple[str, bool]:
    """The words that were heard, and whether their times say so.

    A piece that is one word is heard once it has begun. One of several words (a sentence whose beginning is
    known) is cut in proportion.

    Args:
        pieces: Words in order, each with where in the audio they begin, seconds, if that is known.
        heard: Seconds that were heard.
        given: Seconds of audio that there are so far.
        complete: Whether that is all.
        broken: Places of the pieces whose sound broke off: nobody knows where in their words.
    """
    times = [at for _, at in pieces if at is not None]
    if not times or len(times) < len(pieces):
        text = "".join(text for text, _ in pieces)
        if not given or heard <= 0:
            return "", False
        return (text if complete and heard >= given else _beginning(text, heard / given)).strip(), False
    begun = [(text, at) for (text, _), at in zip(pieces, times, strict=True) if at < heard]
    if not begun:
        return "", True
    is_known = not any(place < len(begun) for place in broken)
    for place in broken:
        if place < len(begun) - 1:
            text, at = begun[place]
            lasts = max(times[place + 1] - at, 0.0)
            share = lasts / max(len(text.strip()) / _PACE, lasts, 1 / _PACE)
            begun[place] = _beginning(text.rstrip(), share).rstrip() + " ", at
    whole = "".join(text for text, _ in begun)
    text, at = begun[-1]
    if _is_word(text):
        return whole.strip(), is_known
    end = times[len(begun)] if len(begun) < len(times) else given
    if len(begun) - 1 in broken or (len(begun) == len(times) and not complete):
        # There is more sound to come of it, or there should have been.
        letters = len(whole) - len(text)
        pace = letters / at if letters and at else _PACE
        end = max(end, at + len(text.strip()) / pace)
    if heard >= end:
        return whole.strip(), is_known
    before = whole[: len(whole) - len(text)]
    return (before + _beginning(text.rstrip(), (heard - at) / (end - at))).strip(), False


def _is_word(text: str) -> bool:
    words = text.split()
    return len(words) <= 1 and not (text > _UNSPACED and len(text.strip()) > _WORD)


def _beginning(text: str, share: float) -> str:
    """The beginning of a text that fills `share` of it, cut at a word's end."""
    cut = round(len(text) * min(share, 1.0))
    if cut >= len(text) or text[cut].isspace():
        return text[:cut]
    space = text.rfind(" ", 0, cut)
    if space < 0 and cut and text[cut - 1] >= _UNSPACED:
        return text[:cut]
    return text[: space + 1]

"""Ends of sentences, in the scripts that people write in."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ABBREVIATIONS = frozenset(
    [
        *(
            "mr",
            "mrs",
            "ms",
            "dr",
            "prof",
            "st",
            "jr",
            "sr",
            "vs",
            "etc",
            "approx",
            "fig",
            "inc",
            "ltd",
            "vol",
        ),
        *("bzw", "ca", "nr", "str"),
    ]
)
"""Words after which a full stop ends no sentence."""
_INITIALS = re.compile(r"\w(?:\.\w)*")
"""Single letters with full stops between them: "e.g", "U.S", "p.m", "J"."""
_STOPS = ".\uff0e\ufe52"
"""Full stops that stand in numbers, too."""
_SPACED = "!?" + _STOPS + "\u2026\u22ef\u2024\u2025;:"
"""Ends of sentences before a space. A semicolon is one in Greek alone, a colon in Armenian."""
_SURE = (
    "\u037e\u0589\u061d\u061e\u061f\u06d4\u0700\u0701\u0702\u07f9\u0964\u0965\u0f0d\u0f0e\u104b\u1362\u1367\u1368"
    "\u17d4\u17d5\u1803\u1809\u1b5a\u1b5b\u1b5e\u1b5f\u1c3b\u1c3c\u1c7e\u1c7f\u203c\u203d\u2047\u2048\u2049"
    "\u2e2e\u3002\ua8ce\ua8cf\ua9c8\ua9c9\uaa5d\uaa5e\uaa5f\uabeb\ufe12\ufe15\ufe16\ufe56\ufe57\uff01\uff1f\uff61"
    "\u0e5a\u0e5b"
)
"""Ends of sentences whatever follows: Unicode's property Sentence_Terminal (PropList.txt) without what is
above, and the ends of clauses in Tibetan and of chapters in Thai."""
_QUOTES = "\"')]}\u201d\u2019\u00bb\u203a\u2039"
_AFTER = _QUOTES + "*_~\u300d\u300f\uff09\u3011\u300b\u3009\uff63\u200d\u200e\u200f\u061c\u202c\u2069"
"""Characters allowed between the end of a sentence and the text after it: quotes, marks."""
_SPACE = re.compile("[\\s\u200b\ufeff]")
_ALL = re.escape(_SPACED + _SURE)
# What a sentence ends with is known only when something else follows: it may come in pieces.
_END = re.compile(
    rf"(?P<signs>[{_ALL}]+|\u1361\u1361)[{re.escape(_AFTER)}]*(?=[^{_ALL}{re.escape(_AFTER)}])|\n"
    # Thai and Lao have a space where others have a full stop, and elsewhere.
    r"|(?<=[\u0e01-\u0eff])(?P<space> )(?=[\u0e01-\u0e45\u0e80-\u0eff])"
)
_POLITE = ("\u0e04\u0e23\u0e31\u0e1a", "\u0e04\u0e48\u0e30", "\u0e04\u0e30")
"""Thai words that end a sentence: khrap and kha."""
_CLAUSE = 40
"""Characters after which a space between Thai or Lao letters ends what is spoken at once."""
_UNSPACED = re.compile(
    # Thai, Lao, Tibetan, Burmese; Khmer; Chinese and Japanese; Korean; their wide and narrow forms.
    r"[\u0e00-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
"""Letters of scripts that have no spaces between words or sentences, or often none."""
LONGEST = 400
"""Characters after which text without an end is spoken up to its last comma or space."""
_COMMAS = (", ", "\u3001", "\uff0c", "\uff64", "\u060c ", "\u104a", "\u1363", "\u0f14", "\u055d ")
_TEXT = r"(?:[^\[\]\n]|\[[^\[\]\n]{0,100}\]){0,200}"
_TARGET = r"(?:[^()\n]|\([^()\n]*\)){0,2000}"
_OPENING = re.compile(r"[\[<]")
_WHOLE = re.compile(rf"\[{_TEXT}\](?:\({_TARGET}\)|\[[^\[\]\n]{{0,100}}\])|</?[A-Za-z][^<>\n]{{0,300}}>")
"""A link, or a tag: no sentence ends inside."""
_BEGUN = re.compile(
    rf"(?:\[{_TEXT}(?:\[[^\[\]\n]{{0,100}})?"
    rf"|\[{_TEXT}\](?:\({_TARGET}(?:\([^()\n]*)?|\[[^\[\]\n]{{0,100}})?"
    r"|<(?:/?[A-Za-z][^<>\n]{0,300}|/)?)\Z"
)
"""Pattern of text that may become a link or a tag."""


def sentence_ends(text: str) -> Iterator[int]:
    """Yield where each sentence of a text ends that is certain to be complete, whatever follows."""
    whole, decided = _links(text)
    begin = position = 0
    while True:
        match = _END.search(text, position, decided)
        if match is None or match.end() > begin + LONGEST:
            # Whether the end of a longer sentence has come already must make no difference.
            if decided <= begin + LONGEST:
                return
            begin = position = _break(text, begin, whole)
            yield begin
            continue
        position = match.end()
        inside = next((end for start, end in whole if start <= match.start() < end), None)
        if inside is not None:
            position = inside
        elif _ends(text, begin, match):
            begin = position
            yield begin


def _links(text: str) -> tuple[list[tuple[int, int]], int]:
    """Return the positions of links and tags, and the position up to which they are known."""
    whole: list[tuple[int, int]] = []
    position = 0
    while (found := _OPENING.search(text, position)) is not None:
        link = _WHOLE.match(text, found.start())
        if link is not None:
            whole.append(link.span())
        elif _BEGUN.match(text, found.start()):
            return whole, found.start()
        position = found.end() if link is None else link.end()
    return whole, len(text)


def _ends(text: str, begin: int, match: re.Match[str]) -> bool:
    """Return whether signs, or a space, end a sentence."""
    if match.group() == "\n":
        return True
    before = text[begin : match.start()]
    if match["space"]:
        return before.endswith(_POLITE) or len(before) >= _CLAUSE
    signs, after = match["signs"], text[match.end()]
    last = before.rstrip(_AFTER)[-1:]
    if signs in ";:":
        return after.isspace() and (
            "\u0370" <= last <= "\u03ff" if signs == ";" else "\u0531" <= last <= "\u058f"
        )
    if set(signs) <= set(";:"):
        return False
    if any(sign not in _SPACED for sign in signs):
        return True
    stop = signs in _STOPS
    if _SPACE.match(after):
        word = before.rpartition(" ")[2].lstrip("(\"'").lower()
        return not stop or not (
            word in _ABBREVIATIONS or _INITIALS.fullmatch(word) or before.strip().isdigit()
        )
    unspaced = [bool(_UNSPACED.match(sign)) for sign in (last, after)]
    if stop:
        return all(unspaced) and not (last.isdigit() or after.isdigit())
    # What is no ASCII is in no address.
    return any(unspaced) or all(sign.isalpha() and not sign.isascii() for sign in (last, after))


def _break(text: str, begin: int, whole: list[tuple[int, int]]) -> int:
    """Return where to break a sentence that is too long: after its last comma or space, else anywhere."""
    end = begin + LONGEST

    def breakable(sign: str) -> int:
        at = text.rfind(sign, begin, end)
        while (link := next((start for start, stop in whole if start <= at < stop), None)) is not None:
            at = text.rfind(sign, begin, link)
        return at

    for signs in (_COMMAS, (" ", "\u200b")):
        last = max(breakable(sign) for sign in signs)
        if last > begin:
            return last + 1
    inside = next(((start, stop) for start, stop in whole if start < end < stop), None)
    if inside is None:
        return end
    return inside[0] if inside[0] > begin else inside[1]

"""Words of a language model, made into sentences that can be spoken: no markdown, no emoji, no reasoning."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from fishjam_agents.backends.cascade.thoughts import Thoughts

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
_QUOTES = "\"')]\u201d\u2019"
_AFTER = _QUOTES + "*_~"
"""What may stand between the end of a sentence and the space after it."""
_CLOSING = re.escape(_AFTER) + "\u300d\u300f\uff09"
_SPACED = ".!?\u2026\u061f\u06d4\u0964\u0965"
"""Ends of sentences before a space, also those of Arabic, Urdu and Hindi."""
_FULL = "\u3002\uff01\uff1f"
# Ideographic full stop, exclamation and question mark need no space after them. What a sentence ends with
# is known only when something else follows: it may come in pieces.
_END = re.compile(
    rf"[{_SPACED}]+[{re.escape(_AFTER)}]*(?=\s)|[{_FULL}]+[{_CLOSING}]*(?=[^{_FULL}{_CLOSING}])|\n"
)
_LONGEST = 400
"""Characters after which text without an end is spoken up to its last comma or space."""
_CLOSED_FENCE = re.compile(r"```.*?```", re.DOTALL)
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\((?:[^()]|\([^()]*\))*\)")
# The number of an item is left: "2. That is the sum" may be an answer as well.
_LINE_MARK = re.compile(r"^\s*(?:#{1,6}\s+|>\s?|[-*+•]\s+(?:\[[ xX]\]\s+)?|(?:[-*_]\s*){3,}$)", re.MULTILINE)
_EMPHASIS = re.compile(
    # Stars in 2*3*4 multiply, underscores in a name or an address belong to it.
    r"(?:(?<![0-9A-Za-z])(?:(\*{1,3})|(_{1,3}))|(~~|`+))(?=\S)(.+?)(?<=\S)(?:\1|\2(?![0-9A-Za-z])|\3)",
    re.DOTALL,
)
# Emphasis over more than one sentence leaves its ends behind; a sign that stands alone, or in a word, is
# none.
_STRAY = re.compile(r"(?<![\w*_`~])(?:[*_`]+|~~)(?=\S)|(?<=\S)(?:[*_`]+|~~)(?![\w*_`~])")
# What has no beginning, or is of a model's template, is left over from a server that did not read it.
_TAG = re.compile(
    r"</?(?:a|b|code|em|i|span|strong|sub|sup|u|think|thinking|reasoning)\b[^<>]*>|<\|\w+\|>", re.IGNORECASE
)
_BLOCK = re.compile(r"</?(?:br|div|li|ol|p|pre|ul)\b[^<>]*>", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
# A skin tone, a joiner and a variation selector belong to the emoji before them.
_EMOJI_PARTS = frozenset("\u200d\ufe0e\ufe0f\u20e3") | {chr(tone) for tone in range(0x1F3FB, 0x1F400)}


def speakable(text: str) -> str:
    """The words of a piece of markdown, on one line; empty where there is nothing to say."""
    text = _FENCE.sub(" ", text)
    text = _LINK.sub(r"\1", text)
    text = _LINE_MARK.sub("", text)
    for _ in range(3):
        text = _EMPHASIS.sub(r"\4", text)
    text = _STRAY.sub("", _BLOCK.sub(" ", _TAG.sub("", text)))
    text = "".join(" " if _is_picture(sign) else sign for sign in text if sign not in _EMOJI_PARTS)
    text = _SPACE.sub(" ", text.replace("|", " ")).strip()
    return text if any(sign.isalnum() for sign in text) else ""


def _is_picture(sign: str) -> bool:
    """Whether a character is an emoji or another symbol without a sound (Unicode category So)."""
    return ord(sign) > 0x2000 and unicodedata.category(sign) in ("So", "Cn")


class Sentences:
    """Cuts a stream of words into sentences as early as possible."""

    def __init__(self) -> None:
        self._thoughts = Thoughts()
        self._text = ""

    def feed(self, piece: str) -> list[str]:
        """Take a piece of text, return the sentences that are complete, ready to be spoken."""
        self._text += self._thoughts.leave_out(piece)
        text = _CLOSED_FENCE.sub(" ", self._text)
        # What a fence holds is no sentence, however long it takes to come.
        fence = text.find("```")
        spoken, waiting = (text, "") if fence < 0 else (text[:fence], text[fence:])
        sentences = []
        begin = 0
        for end in self._ends(spoken):
            sentences.append(spoken[begin:end])
            begin = end
        self._text = spoken[begin:] + waiting
        return [words for words in map(speakable, sentences) if words]

    def flush(self) -> list[str]:
        """The text is over: return what is left of it."""
        words = speakable(self._text + self._thoughts.rest())
        self._text = ""
        return [words] if words else []

    def _ends(self, text: str) -> Iterator[int]:
        begin = position = 0
        while True:
            match = _END.search(text, position)
            if match is None or match.end() > begin + _LONGEST:
                # Whether the end of a longer sentence has come already must make no difference.
                if len(text) <= begin + _LONGEST:
                    return
                begin = position = self._break(text, begin)
                yield begin
                continue
            position = match.end()
            word = text[begin : match.start()].rpartition(" ")[2].lstrip("(\"'").lower()
            ended = match.group().rstrip(_AFTER)
            if ended == "." and (
                word in _ABBREVIATIONS
                or _INITIALS.fullmatch(word)
                or text[begin : match.start()].strip().isdigit()
            ):
                continue
            begin = position
            yield begin

    def _break(self, text: str, begin: int) -> int:
        """Where to break a sentence that is too long: after its last comma, else space, else anywhere."""
        end = begin + _LONGEST
        for signs in (", ", "\u3001", "\uff0c", "\u060c "), (" ",):
            last = max(text.rfind(sign, begin, end) for sign in signs)
            if last > begin:
                return last + 1
        return end

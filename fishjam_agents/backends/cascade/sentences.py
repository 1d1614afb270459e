"""Words of a language model, made into sentences that can be spoken: no markdown, no emoji, no reasoning."""

from __future__ import annotations

import re
import unicodedata
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
        *("e.g", "i.e", "bzw", "z.b", "d.h", "ca", "nr", "str"),
    ]
)
"""Words after which a full stop ends no sentence."""
_QUOTES = "\"')]\u201d\u2019"
# Ideographic full stop, exclamation and question mark need no space after them.
_END = re.compile(rf"[.!?\u2026]+[{re.escape(_QUOTES)}]*(?=\s)|[\u3002\uff01\uff1f]+|\n+")
_LONGEST = 400
"""Characters after which text without an end is spoken up to its last comma or space."""
_OPEN, _CLOSE = "<think>", "</think>"
_CLOSED_FENCE = re.compile(r"```.*?```", re.DOTALL)
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_LINE_MARK = re.compile(r"^\s*(?:#{1,6}\s+|>\s?|[-*+•]\s+|\d+[.)]\s+|(?:[-*_]\s*){3,}$)", re.MULTILINE)
_EMPHASIS = re.compile(r"(\*{1,3}|_{1,3}|~~|`+)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_SPACE = re.compile(r"\s+")
# A skin tone, a joiner and a variation selector belong to the emoji before them.
_EMOJI_PARTS = frozenset("\u200d\ufe0e\ufe0f\u20e3") | {chr(tone) for tone in range(0x1F3FB, 0x1F400)}


def speakable(text: str) -> str:
    """The words of a piece of markdown, on one line; empty where there is nothing to say."""
    text = _FENCE.sub(" ", text)
    text = _LINK.sub(r"\1", text)
    text = _LINE_MARK.sub("", text)
    for _ in range(3):
        text = _EMPHASIS.sub(r"\2", text)
    text = "".join(" " if _is_picture(sign) else sign for sign in text if sign not in _EMOJI_PARTS)
    text = _SPACE.sub(" ", text.replace("|", " ")).strip()
    return text if any(sign.isalnum() for sign in text) else ""


def _is_picture(sign: str) -> bool:
    """Whether a character is an emoji or another symbol without a sound (Unicode category So)."""
    return ord(sign) > 0x2000 and unicodedata.category(sign) in ("So", "Cn")


class Sentences:
    """Cuts a stream of words into sentences as early as possible."""

    def __init__(self) -> None:
        self._unread = ""
        self._thinking = False
        self._text = ""

    def feed(self, piece: str) -> list[str]:
        """Take a piece of text, return the sentences that are complete, ready to be spoken."""
        self._unread += piece
        self._leave_thoughts_out()
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
        rest = self._text + ("" if self._thinking else self._unread)
        self._text = self._unread = ""
        self._thinking = False
        words = speakable(rest)
        return [words] if words else []

    def _leave_thoughts_out(self) -> None:
        while True:
            tag = _CLOSE if self._thinking else _OPEN
            before, found, after = self._unread.partition(tag)
            # The tag itself may come in pieces.
            begun = 0 if found else next(n for n in range(len(tag) - 1, -1, -1) if before.endswith(tag[:n]))
            if not self._thinking:
                self._text += before[: len(before) - begun]
            if not found:
                self._unread = before[len(before) - begun :]
                return
            self._unread = after
            self._thinking = not self._thinking

    def _ends(self, text: str) -> Iterator[int]:
        begin = 0
        for match in _END.finditer(text):
            word = text[begin : match.start()].rpartition(" ")[2].lstrip("(\"'").lower()
            ended = match.group().rstrip(_QUOTES)
            if ended == "." and (
                word in _ABBREVIATIONS or len(word) == 1 or text[begin : match.start()].strip().isdigit()
            ):
                continue
            begin = match.end()
            yield begin
        if len(text) - begin > _LONGEST:
            last = max(text.rfind(", ", begin), text.rfind(" ", begin) if ", " not in text[begin:] else -1)
            if last > begin:
                yield last + 1

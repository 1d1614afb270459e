"""Words of a language model, made into sentences that can be spoken: no markdown, no emoji, no reasoning."""

from __future__ import annotations

import re
import unicodedata

from fishjam_agents.backends.cascade.reasoning import ReasoningFilter
from fishjam_agents.backends.cascade.sentence_ends import sentence_ends

_CLOSED_FENCE = re.compile(r"```.*?```", re.DOTALL)
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LINK = re.compile(
    r"!?\[((?:[^\[\]]|\[[^\[\]]*\])*)\](?:\((?:[^()]|\([^()]*\))*\)|\[[^\[\]]*\])"
    # OpenAI's citations: 【4:0†source】
    "|\u3010\\d+[:\u2020][^\u3010\u3011]*\u3011"
)
_BROKEN_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^)\n]*\Z")
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
_TAG = re.compile(r"</?(?:a|b|code|em|i|span|strong|sub|sup|u)\b[^<>]*>", re.IGNORECASE)
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
    text = _SPACE.sub(" ", text.replace("|", " ")).strip(" \u200b\ufeff")
    return text if any(sign.isalnum() for sign in text) else ""


def _is_picture(sign: str) -> bool:
    """Return whether a character is an emoji or another symbol without a sound (Unicode category So)."""
    return ord(sign) > 0x2000 and unicodedata.category(sign) in ("So", "Cn")


class Sentences:
    """Cuts a stream of words into sentences as early as possible."""

    def __init__(self) -> None:
        self._thoughts = ReasoningFilter()
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
        for end in sentence_ends(spoken):
            sentences.append(spoken[begin:end])
            begin = end
        self._text = spoken[begin:] + waiting
        return [words for words in map(speakable, sentences) if words]

    def flush(self) -> list[str]:
        """The text is over: return what is left of it."""
        words = speakable(_BROKEN_LINK.sub(r"\1", self._text + self._thoughts.rest()))
        self._text = ""
        return [words] if words else []

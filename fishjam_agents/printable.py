"""Text of strangers - models, vendors, peers, tools - for logs and terminals."""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories that move a cursor, hide or reorder what follows, end a line, or cannot be encoded."""

_JOINERS = "\u200c\u200d\u00ad"
"""Those of them that are part of words and emoji: zero width (non-)joiner, soft hyphen."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""`text` with everything escaped that a terminal would obey instead of showing: `\x1b[2J`.

    Args:
        text: Any text.
        lines: Whether it may have several lines and tabs.
    """
    if text.isprintable():
        return text
    return "".join(character if _shown(character, lines) else _escaped(character) for character in text)


def _shown(character: str, lines: bool) -> bool:
    if lines and character in "\n\t":
        return True
    return character in _JOINERS or unicodedata.category(character) not in _HIDDEN


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")

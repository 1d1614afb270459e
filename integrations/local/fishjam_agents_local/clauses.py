"""Long sentences cut at their commas, so that the first sound need not wait for the last word."""

from __future__ import annotations

import re

_LEAST = 12
"""Characters that a piece has at least, some 0.7 s of speech: shorter ones sound chopped."""
_COMMA = re.compile(
    # Between words: "1,000" and "10:30" have no space behind the sign.
    "[,;:\u060c\u061b\u055d][\"')\u201d\u2019\u00bb]?(?=\\s)|\\s[-\u2013\u2014](?=\\s)"
    "|[\u2014\u3001\uff0c\uff1b\uff64\u104a\u1363\u0f14]"
)


def clauses(text: str, *, first: int, growth: float) -> list[str]:
    """Cut a sentence at commas where that makes its first sound come earlier.

    The first piece is as short as it may be. Each later one is long enough that there are few of them, and
    short enough to be made while the one before it is played.

    Args:
        text: One sentence.
        first: Characters up to which a sentence is left whole.
        growth: Times as long as a piece that the next one may be. A piece without a comma to cut it at may be
            longer.

    Returns:
        Its pieces, which have all that is not space of it, in order; none of an empty text.
    """
    rest = text.strip()
    pieces: list[str] = []
    limit = first
    while len(rest) > limit:
        ends = [match.end() for match in _COMMA.finditer(rest)]
        ends = [end for end in ends if end >= _LEAST and len(rest) - end >= _LEAST]
        if not ends:
            break
        inside = [end for end in ends if end <= limit]
        end = ends[0] if not pieces or not inside else inside[-1]
        pieces.append(rest[:end].strip())
        rest = rest[end:].strip()
        limit = max(first, round(growth * len(pieces[-1])))
    return [*pieces, rest] if rest else pieces

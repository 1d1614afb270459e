"""Templates of what `new` writes: texts with room for words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

_WORD = re.compile("@@([A-Z]+)@@")


def form(name: str) -> str:
    """Return a template, by its path below `templates`."""
    folder = files(__package__).joinpath("templates")
    return folder.joinpath(*name.split("/")).read_text(encoding="utf-8")


def fill(text: str, words: Mapping[str, str]) -> str:
    """Put words in their places: `@@NAME@@`."""
    return _WORD.sub(lambda word: words[word[1]], text)

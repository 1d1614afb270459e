"""Everything that is wrong with a file, told at once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from fishjam_agents.errors import ConfigError
from fishjam_agents.secrecy import conceal


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A line of a file. As text it is `config.yaml:7`.

    Attributes:
        source: The file as the user named it.
        line: Counted from 1.
    """

    source: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}"


class Problems:
    """Collects what is wrong, one sentence each.

    Args:
        source: The file as the user named it.

    Attributes:
        hidden: What variables hold, with what stands in its place in every sentence.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self.hidden: dict[str, str] = {}
        self._found: list[tuple[str, int, str]] = []

    @property
    def start(self) -> SourceLocation:
        """The file's first line."""
        return SourceLocation(self._source, 1)

    def hide(self, held: Mapping[str, str]) -> None:
        """Let these values stand in no sentence: `{"sk-1": "${KEY}"}`."""
        self.hidden |= held

    def add(self, place: SourceLocation | None, sentence: str) -> None:
        """Note a mistake; None where it is in no line of the file."""
        where = SourceLocation(self._source, 0) if place is None else place
        entry = (where.source, where.line, f"{place or self._source}: {conceal(sentence, self.hidden)}")
        if entry not in self._found:
            self._found.append(entry)

    def error(self, place: SourceLocation | None, sentence: str) -> ConfigError:
        """The error of a mistake after which reading on makes no sense."""
        self.add(place, sentence)
        return ConfigError(self._found[-1][2])

    def check(self) -> None:
        """Raise what was found, one line each in the order of the file, or files.

        Raises:
            ConfigError: Something was.
        """
        if self._found:
            raise ConfigError(
                "\n".join(text for *_, text in sorted(self._found, key=lambda entry: entry[:2]))
            )


def near_word(word: str, known: Iterable[str]) -> str | None:
    """The known word that another one may be a misspelling of."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def nearest(word: str, known: Collection[str]) -> str:
    """The advice for a word that is none of the known ones: `did you mean x?`, else all of them."""
    near = near_word(word, known)
    return f"did you mean {near}?" if near else f"use {alternatives(known)}"


def alternatives(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last

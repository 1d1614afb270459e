"""Words understood of one sound or turn, from a recogniser that changes its mind."""

from __future__ import annotations


class Transcript:
    """Words of one speaker since their onset."""

    __slots__ = ("_open", "_settled")

    def __init__(self) -> None:
        self._settled = ""
        self._open = ""

    def add(self, text: str, final: bool) -> None:
        """Take words.

        Args:
            text: Either all that is not final yet, or what follows it: recognisers do the one or the other,
                and words that begin as those before them are taken to replace them.
            final: Whether the words are settled; then they replace all that was not.
        """
        said = text.strip()
        if final:
            self._settled, self._open = f"{self._settled} {said}".strip(), ""
        elif self._open and not said.casefold().startswith(self._open.casefold()):
            self._open = f"{self._open} {said}"
        else:
            self._open = said

    def __str__(self) -> str:
        return f"{self._settled} {self._open}".strip()

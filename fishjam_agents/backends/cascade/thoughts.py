"""Reasoning that a model writes between tags, told apart from its answer."""

from __future__ import annotations

_TAGS = {f"<{name}>": f"</{name}>" for name in ("think", "thinking", "reasoning")}
"""What models put around their reasoning, by their templates."""


class Thoughts:
    """Leaves reasoning out of a text that comes in pieces."""

    def __init__(self) -> None:
        self._unread = ""
        # What ends the reasoning that is under way.
        self._closing: str | None = None

    def leave_out(self, piece: str) -> str:
        """What of the text is certain to be no reasoning, with its next piece."""
        self._unread += piece
        text = ""
        while True:
            tags = [self._closing] if self._closing else list(_TAGS)
            at, tag = min(
                ((self._unread.find(tag), tag) for tag in tags if tag in self._unread), default=(-1, "")
            )  # The tag itself may come in pieces.
            end = at if tag else len(self._unread) - max(_begun(self._unread, tag) for tag in tags)
            if not self._closing:
                text += self._unread[:end]
            self._unread = self._unread[end + len(tag) :]
            if not tag:
                return text
            self._closing = None if self._closing else _TAGS[tag]

    def rest(self) -> str:
        """The text is over: what was not certain yet."""
        rest = "" if self._closing else self._unread
        self._unread, self._closing = "", None
        return rest


def _begun(text: str, tag: str) -> int:
    """How many characters at the end of a text are the beginning of a tag."""
    return next(n for n in range(len(tag) - 1, -1, -1) if text.endswith(tag[:n]))

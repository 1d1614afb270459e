"""Transcripts of users, put together from fragments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fishjam_agents.backends.port import BackendEvent, UserTranscript

from .session_continuity import SessionContinuity

_QUIET = 0.5
"""Seconds without a fragment after which an utterance is complete; the service's `finished` cannot be relied
on (pipecat's Gemini service waits as long)."""


class TranscriptBuffer:
    """Collects fragments, which come with their own spaces and at any time.

    Args:
        emit: Takes our events.
        memory: Of the call.

    Attributes:
        peer: Who was heard last.
    """

    def __init__(self, emit: Callable[[BackendEvent], None], memory: SessionContinuity) -> None:
        self._emit = emit
        self._memory = memory
        self._loop = asyncio.get_running_loop()
        self._text = ""
        self._remembered = 0
        self._timer: asyncio.TimerHandle | None = None
        self.peer: str | None = None

    def add(self, fragment: str, finished: bool) -> None:
        """Take a fragment."""
        self._text += fragment
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if finished:
            self.flush()
        elif self._text.strip():
            self._emit(UserTranscript(self._text.strip(), final=False, peer=self.peer))
            self._timer = self._loop.call_later(_QUIET, self.flush)

    def remember(self) -> None:
        """Note the words so far as the user's: the model's answer to them begins."""
        self._memory.note("user", self._text[self._remembered :])
        self._remembered = len(self._text)

    def flush(self) -> None:
        """The utterance is complete."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.remember()
        text, self._text, self._remembered = self._text.strip(), "", 0
        if text:
            self._emit(UserTranscript(text, final=True, peer=self.peer))

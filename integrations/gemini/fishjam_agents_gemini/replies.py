"""The model's turns as replies: which audio and words belong together, and what is too late to be said."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from fishjam_agents.audio.resampling import StreamResampler, live_resampler
from fishjam_agents.backends.port import (
    BackendEvent,
    BackendWarning,
    Interrupted,
    ReplyAudio,
    ReplyAudioEnded,
    ReplyStarted,
    ReplyTextDelta,
    Samples,
)

from .session_continuity import SessionContinuity

OUTPUT_RATE = 24000
"""Hz of what the Live API speaks, also where the MIME type does not say."""
_LATE = 1.0
"""Seconds after an interruption for which content counts as the interrupted turn's, unless that turn is
closed before. An answer to whoever interrupted cannot come sooner."""


class Replies:
    """Follows the model's turns.

    Args:
        emit: Takes our events.
        memory: Of the call.
        words: Whether the service writes down what the model says; if not, its text parts are its words.
        begun: Called when the model begins to answer.
        asked: Called then, too: the id of the reply, if the app asked for it.
    """

    def __init__(
        self,
        emit: Callable[[BackendEvent], None],
        memory: SessionContinuity,
        words: bool,
        begun: Callable[[], None],
        asked: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._asked_by_app = asked
        self._emit = emit
        self._memory = memory
        self._words = words
        self._begun = begun
        self._loop = asyncio.get_running_loop()
        self._open: str | None = None
        self._last: str | None = None
        self._complete: str | None = None
        self._said: list[str] = []
        self._early: list[str] = []
        self._deaf_until: float | None = None
        self._odd = b""
        self._rate = OUTPUT_RATE
        self._resampler: StreamResampler | None = None
        self._strange: set[str] = set()

    @property
    def generating(self) -> bool:
        """True while the model is in the middle of a turn."""
        return self._last is not None

    # --- what the service sends ---

    def content(self, parts: list[Any]) -> None:
        """Parts of a turn: all of them, in order. Thoughts are nobody's business."""
        for part in parts:
            if part.thought:
                continue
            blob = part.inline_data
            if blob is not None and blob.data:
                self._audio(blob.data, blob.mime_type or "audio/pcm")
            if part.text and not self._words:
                self.text(part.text)

    def text(self, text: str) -> None:
        """Words of the model's voice."""
        if not text or self._deaf():
            return
        reply = self._open or self._last
        if reply is None:
            # Words can run ahead of their audio; a reply begins with what can be heard.
            self._early.append(text)
            return
        self._say(reply, text)

    def interrupted(self) -> None:
        """The user interrupts: the turn is over, and what of it still comes is late.

        One that was complete is interrupted while it is played: nothing of it comes any more, and nothing
        tells when the next begins.
        """
        goes_on = self._last is not None or bool(self._early)
        reply = self._last or self._complete
        if reply is not None:
            self._emit(Interrupted(reply))
        self._finish()
        self._complete = None
        if goes_on:
            self._deaf_until = self._loop.time() + _LATE

    def asked(self) -> None:
        """The user has said what is to be answered: what comes from now on is the answer."""
        self._deaf_until = None

    def generated(self) -> None:
        """All audio of the reply has come; words of it may follow."""
        if self._open is not None:
            self._emit(ReplyAudioEnded(self._open))
            self._open = None
            self._restart_audio()

    def complete(self) -> None:
        """The turn is over."""
        self._finish()
        self._deaf_until = None

    def _finish(self) -> None:
        self.generated()
        self._last, self._complete = None, self._last or self._complete
        self._memory.note("model", "".join(self._said))
        self._said.clear()
        self._early.clear()

    # --- audio ---

    def _audio(self, data: bytes, mime_type: str) -> None:
        if self._deaf():
            return
        if not mime_type.startswith("audio/pcm"):
            self._once(mime_type, f"Gemini sent {mime_type}, which cannot be played: it was dropped")
            return
        samples = self._samples(data, mime_type)
        if not len(samples):
            return
        if self._open is None:
            self._begin()
        assert self._open is not None
        self._emit(ReplyAudio(self._open, samples))

    def _begin(self) -> None:
        asked = self._asked_by_app()
        self._memory.replies += asked is None
        self._open = self._last = asked or f"gemini-{self._memory.replies}"
        self._begun()
        self._emit(ReplyStarted(self._open))
        for text in self._early:
            self._say(self._open, text)
        self._early.clear()

    def _say(self, reply: str, text: str) -> None:
        self._said.append(text)
        self._emit(ReplyTextDelta(reply, text))

    def _samples(self, data: bytes, mime_type: str) -> Samples:
        data = self._odd + data
        whole = len(data) & ~1
        self._odd = data[whole:]
        samples: Samples = np.frombuffer(data[:whole], "<i2").astype(np.int16, copy=False)
        rate = re.search(r"rate=(\d+)", mime_type)
        hertz = OUTPUT_RATE if rate is None else int(rate[1])
        if hertz == OUTPUT_RATE or not 4000 <= hertz <= 192000:
            return samples
        if self._resampler is None or self._rate != hertz:
            self._rate, self._resampler = hertz, live_resampler(hertz, OUTPUT_RATE)
        return self._resampler.process(samples)

    def _restart_audio(self) -> None:
        self._odd, self._resampler = b"", None

    def _deaf(self) -> bool:
        if self._deaf_until is not None and self._loop.time() >= self._deaf_until:
            self._deaf_until = None
        return self._deaf_until is not None

    def _once(self, key: str, message: str) -> None:
        if key not in self._strange:
            self._strange.add(key)
            self._emit(BackendWarning(message))

"""The handle of something the bot says."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, Protocol

from fishjam_agents.events import Heard


class SpeechController(Protocol):
    """Interface of the replies that a `SpeechHandle` belongs to."""

    def drop(self, reply: str) -> None:
        """End one reply, and leave the others as they are."""
        ...

    def heard(self, reply: str) -> Heard:
        """Return the part of a live reply that has been heard by now."""
        ...

    def seconds(self, reply: str) -> float:
        """Audio given for a live reply so far, seconds."""
        ...

    def protect(self, reply: str, protected: bool) -> None:
        """Set whether a barge-in leaves a reply alone."""
        ...


class SpeechHandle:
    """Something the bot says: a reply of the backend, or what `say` and `play` were given.

    `await speech` waits until it is over and gives the speech itself. How it ended is told, never raised: see
    `interrupted` and `heard`. Cancelling who waits does not end the speech.

    Attributes:
        id: Id of the reply, as events name it; unique in the call.
        priority: Of the replies that wait, the highest is played first; of equals, the oldest.
        filler: Whether it gives way as soon as any other reply has something to say.
        recording: Whether `play` was given it, so that the backend knows nothing of it.
    """

    __slots__ = (
        "_heard",
        "_interrupted",
        "_interruptible",
        "_over",
        "_seconds",
        "_speaker",
        "filler",
        "id",
        "priority",
        "recording",
    )

    def __init__(
        self,
        reply: str,
        speaker: SpeechController,
        *,
        priority: int = 0,
        interruptible: bool = True,
        filler: bool = False,
        recording: bool = False,
    ) -> None:
        self.id = reply
        self.priority = priority
        self.filler = filler
        self.recording = recording
        self._interruptible = interruptible
        self._speaker = speaker
        self._over = asyncio.Event()
        self._heard: Heard | None = None
        self._seconds = 0.0
        self._interrupted = False

    @property
    def done(self) -> bool:
        """True once it is over: played to its end, or interrupted."""
        return self._heard is not None

    @property
    def interrupted(self) -> bool:
        """True if it was cut short: spoken over, interrupted by the app, muted, or a filler that gave way."""
        return self._interrupted

    @property
    def heard(self) -> Heard:
        """Part of it that was played: by now, and once it is over, in all."""
        return self._speaker.heard(self.id) if self._heard is None else self._heard

    @property
    def seconds(self) -> float:
        """Audio that there is of it, in seconds; grows while the backend speaks."""
        return self._speaker.seconds(self.id) if self._heard is None else self._seconds

    @property
    def interruptible(self) -> bool:
        """True if a barge-in silences and ends it. A legal notice is not; `interrupt` ends that too."""
        return self._interruptible

    @interruptible.setter
    def interruptible(self, interruptible: bool) -> None:
        self._interruptible = interruptible
        if self._heard is None:
            self._speaker.protect(self.id, not interruptible)

    def interrupt(self) -> Heard:
        """End it, whether it is playing or waiting; what else waits is played. Does nothing when it is over.

        Returns:
            What was heard of it.
        """
        if self._heard is None:
            self._speaker.drop(self.id)
        return self.heard

    def finish(self, heard: Heard, seconds: float, *, interrupted: bool) -> None:
        """Note how it ended, and wake who waits for it. Called once, by who plays it."""
        self._heard, self._seconds, self._interrupted = heard, seconds, interrupted
        self._over.set()

    def __await__(self) -> Generator[Any, None, SpeechHandle]:
        yield from self._over.wait().__await__()
        return self

    def __repr__(self) -> str:
        state = "interrupted" if self.interrupted else "played" if self.done else "under way"
        return f"<SpeechHandle {self.id} {state}>"

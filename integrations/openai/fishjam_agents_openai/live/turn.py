"""One turn on its way through a session of transcription: sound out, segment by segment, words in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from fishjam_agents.backends.cascade import Paused, Speech, Transcript
from fishjam_agents.backends.cascade.nonspeech import spoken_words
from fishjam_agents.errors import BackendError
from fishjam_agents_openai.live.connection import LiveConnection
from fishjam_agents_openai.live.segments import Segment


@dataclass(slots=True)
class Progress:
    """Words understood of a turn, whatever becomes of its connection.

    Attributes:
        words: Of its segments.
        until: The sample up to which they are.
    """

    words: list[str] = field(default_factory=list)
    until: int = 0


class LiveTurn:
    """A turn on one connection.

    Args:
        speech: Its sound.
        progress: What earlier connections have understood of it.
        connection: The connection.
    """

    def __init__(self, speech: Speech, progress: Progress, connection: LiveConnection) -> None:
        self._speech = speech
        self._progress = progress
        self._connection = connection
        self._segments: list[Segment] = []
        self._paused_at: float | None = None
        self._is_sent = False
        self._news = asyncio.Event()
        self._states: deque[Transcript] = deque()
        self._told = Transcript("")
        self._task = asyncio.get_running_loop().create_task(
            self._send(), name="openai transcription of a turn"
        )
        self._task.add_done_callback(lambda task: self._news.set())

    async def leave(self) -> None:
        """Want nothing more of the connection; what it has settled is kept."""
        for segment in self._segments:
            if not segment.settled or segment.end is None:
                break
            self._progress.words.append(self._words(segment))
            self._progress.until = segment.end
        self._connection.drop([segment for segment in self._segments if not segment.settled])
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def abandon(self) -> None:
        """Have the connection given up if it is silent about all that was sent; another turn may be at it."""
        if self._is_sent:
            self._connection.give_up()

    async def news(self) -> None:
        """Wait until something has changed."""
        await self._news.wait()
        self._news.clear()

    def costs(self) -> Iterator[dict[str, float]]:
        """Yield what segments have cost, each once."""
        for segment in self._segments:
            costs, segment.costs = segment.costs, {}
            if costs:
                yield costs

    def raise_failure(self, what: str) -> None:
        """Raise what keeps the turn from being understood, if anything does.

        Args:
            what: What is asked for, and of whom.

        Raises:
            BackendError: The connection is lost, or the service failed.
        """
        failed = next((segment.failed for segment in self._segments if segment.failed is not None), None)
        if failed is not None:
            raise BackendError(f"{what} failed at the server ({failed}): try again", retryable=True)
        if self._connection.lost.is_set():
            raise self._connection.loss
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    def transcripts(self) -> Iterator[Transcript]:
        """Yield the turn as far as it is understood, each state that is new once, in order."""
        while self._states:
            state = self._states.popleft()
            if state != self._told:
                self._told = state
                yield state

    def _state(self) -> Transcript:
        texts = [*self._progress.words, *map(self._words, self._segments)]
        settled = all(segment.settled for segment in self._segments)
        return Transcript(
            " ".join(filter(None, map(str.strip, texts))),
            final=self._is_sent and settled,
            stable=self._paused_at is not None and settled,
            end=self._paused_at if settled else None,
        )

    def _words(self, segment: Segment) -> str:
        """The words of a segment: what is made up of a sound is none, whatever was said in the others."""
        return spoken_words(segment.words, self._speech.samples[segment.start : segment.end])

    def _changed(self) -> None:
        self._states.append(self._state())
        self._news.set()

    async def _send(self) -> None:
        at = self._progress.until
        connection = self._connection
        segment: Segment | None = None
        try:
            async for piece in self._speech.follow(at):
                if isinstance(piece, Paused):
                    if segment is not None:
                        self._commit(at)
                        segment = None
                    self._paused_at = piece.at
                    self._changed()
                    continue
                self._paused_at = None
                if segment is None:
                    await connection.buffer.acquire()
                    segment = Segment(at, self._changed)
                    self._segments.append(segment)
                    connection.open(segment)
                at += len(piece)
                connection.append(piece)
            if segment is not None:
                self._commit(at)
                segment = None
        finally:
            if segment is not None:
                # It was dropped: the buffer is cleared.
                connection.buffer.release()
        self._is_sent = True
        self._changed()

    def _commit(self, end: int) -> None:
        self._connection.commit(end)
        self._connection.buffer.release()

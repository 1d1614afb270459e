"""One connection of a transcription session: sound out in order, events in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fishjam_agents.audio.resampling import StreamResampler, live_resampler
from fishjam_agents.backends.cascade.speech import RATE as HEARD_RATE
from fishjam_agents.backends.port import Samples
from fishjam_agents.errors import BackendError
from fishjam_agents.json_limits import read_json
from fishjam_agents.race import race
from fishjam_agents_openai.amounts import amounts
from fishjam_agents_openai.live.segments import Segment, Segments
from fishjam_agents_openai.live.settings import LiveSettings
from fishjam_agents_openai.realtime.failures import EXPIRED, connection_errors, error_in, fatal, passes, said
from fishjam_agents_openai.realtime.history import RATE, encoded

if TYPE_CHECKING:
    from openai.resources.realtime.realtime import AsyncRealtimeConnection


logger = logging.getLogger(__name__)
Event = Mapping[str, Any]

_WRITTEN = "conversation.item.input_audio_transcription."
_CONFIGURED = ("session.updated", "transcription_session.updated")
_SHORTEST = 0.2
"""Seconds to which a shorter segment is filled up with silence: the service refuses what is under 0.1 s."""
_UNREADABLE_IN_A_ROW = 20
_LOOK = 0.1
"""Interval at which a connection that is to be left looks whether it is still needed, seconds."""
_COMMIT = "commit"


class LiveConnection:
    """A connection.

    Args:
        settings: The part's.
        live: The client's connection.

    Attributes:
        buffer: Held by the turn whose sound is in the service's input buffer, of which there is one.
        lost: Done when it is over.
    """

    def __init__(self, settings: LiveSettings, live: AsyncRealtimeConnection) -> None:
        self.buffer = asyncio.Lock()
        self.lost: asyncio.Event = asyncio.Event()
        self._settings = settings
        self._live = live
        self._segments = Segments()
        self._resampler: StreamResampler | None = None
        self._outgoing: deque[str] = deque()
        self._more = asyncio.Event()
        self._retiring = asyncio.Event()
        self._given_up = asyncio.Event()
        self._error: BackendError | None = None
        self._unreadable = 0

    # --- its course ---

    async def begin(self) -> None:
        """Configure the session, and wait until it is.

        Raises:
            BackendError: The service refuses.
        """
        kind = "transcription_session.update" if self._settings.beta else "session.update"
        update = {"type": kind, "event_id": "session", "session": self._settings.session()}
        await self._live.send_raw(json.dumps(update))
        while True:
            event = self._event(await self._live.recv_bytes())
            if event is not None and event["type"] in _CONFIGURED:
                return
            if event is not None and event["type"] == "error":
                error = error_in(event)
                ended = fatal(error)
                if ended is None and passes(error):
                    ended = BackendError(
                        f"OpenAI Realtime could not begin the session ({said(error)}): try again",
                        retryable=True,
                    )
                raise ended or BackendError(
                    f"OpenAI Realtime refuses the session ({said(error)}): check the settings",
                    failure="config",
                )

    async def run(self) -> None:
        """Serve it until it is lost, given up, or retired and needed no more."""
        try:
            with connection_errors(self._settings.secrets):
                await race(
                    "openai transcription",
                    read=self._read(),
                    write=self._write(),
                    left=self._left(),
                    given_up=self._given_up.wait(),  # type: ignore[arg-type]
                )
        except BackendError as error:
            self._error = self._error or error
        except Exception:
            # Turns go on with the next connection.
            logger.exception("A connection to OpenAI Realtime failed")
        finally:
            self.lost.set()
            for segment in self._segments.awaited:
                segment.changed()

    def retire(self) -> None:
        """Have it left as soon as nothing more is to come of it: another one has taken its place."""
        self._retiring.set()

    def give_up(self) -> None:
        """Have it left now: it is silent."""
        self._given_up.set()
        self.lost.set()

    @property
    def loss(self) -> BackendError:
        """The error it was lost by."""
        error = self._error
        if error is None:
            return BackendError("the connection to OpenAI Realtime is lost: try again", retryable=True)
        return BackendError(
            error.reason,
            subject=error.subject,
            action=error.action,
            failure=error.failure,
            retryable=error.retryable,
            retry_after=error.retry_after,
        )

    async def _left(self) -> None:
        await self._retiring.wait()
        while self._segments.awaited or self._outgoing:  # noqa: ASYNC110 - two minutes a call at most
            await asyncio.sleep(_LOOK)

    # --- sound ---

    def open(self, segment: Segment) -> None:
        """Begin a segment; the sound that follows is its. Whoever does has the buffer."""
        self._segments.open = segment
        self._resampler = live_resampler(HEARD_RATE, RATE)

    def append(self, samples: Samples) -> None:
        """Send sound: int16 mono at 16 kHz."""
        if self._resampler is not None:
            samples = self._resampler.process(samples)
        self._put(f'{{"type":"input_audio_buffer.append","audio":"{encoded(samples)}"}}')

    def commit(self, end: int) -> None:
        """End the open segment before a sample of its turn, and have it understood."""
        segment = self._segments.close()
        segment.end = end
        missing = _SHORTEST - segment.seconds
        if missing > 0:
            self.append(np.zeros(round(missing * HEARD_RATE), np.int16))
        self._say({"type": "input_audio_buffer.commit", "event_id": _COMMIT})

    def drop(self, segments: Sequence[Segment]) -> None:
        """Want nothing more of segments that are not settled, the open one among them."""
        for segment in segments:
            segment.drop()
            if segment is self._segments.open:
                self._segments.close()
                self._say({"type": "input_audio_buffer.clear", "event_id": "clear"})
            elif not segment.settled and segment.item is not None:
                self._say({"type": "conversation.item.delete", "event_id": "delete", "item_id": segment.item})

    def _say(self, event: Event) -> None:
        self._put(json.dumps(event))

    def _put(self, message: str) -> None:
        self._outgoing.append(message)
        self._more.set()

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._outgoing:
                # It is taken out when it has been sent: who leaves waits for all.
                await self._send(self._outgoing[0])
                self._outgoing.popleft()

    async def _send(self, message: str) -> None:
        limit = self._settings.keepalive
        try:
            # Pings wait, too, behind what is not taken, so that none of them is ever late.
            async with asyncio.timeout(limit):
                await self._live.send_raw(message)
        except TimeoutError as error:
            raise BackendError(
                f"OpenAI Realtime has taken no sound for {limit:g} s: try again", retryable=True
            ) from error

    # --- words ---

    async def _read(self) -> None:
        while True:
            event = self._event(await self._live.recv_bytes())
            if event is None:
                continue
            try:
                self._take(event["type"], event)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                # A field of another type than it should be; what comes after it is as good as before.
                logger.debug("An event of OpenAI Realtime was left out: %r", error)

    def _event(self, data: bytes) -> Event | None:
        """A message as an event; None when it is none.

        Raises:
            BackendError: There were too many of those.
        """
        try:
            event = read_json(data)
        except ValueError:
            event = None
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            self._unreadable = 0
            return event
        self._unreadable += 1
        if self._unreadable >= _UNREADABLE_IN_A_ROW:
            raise BackendError(
                f"OpenAI Realtime: {self._unreadable} messages in a row were no events: check base_url",
                retryable=True,
                failure="protocol",
            )
        return None

    def _take(self, kind: str, event: Event) -> None:
        if kind == "input_audio_buffer.committed":
            self._segments.committed(event["item_id"])
        elif kind == "input_audio_buffer.cleared":
            self._segments.cleared()
        elif kind.startswith(_WRITTEN):
            segment = self._segments.of(event["item_id"])
            if segment is not None:
                self._written(kind.removeprefix(_WRITTEN), segment, event)
        elif kind == "error":
            self._failed(error_in(event))

    def _written(self, what: str, segment: Segment, event: Event) -> None:
        if what == "delta":
            segment.words += event.get("delta") or ""
        elif what == "completed":
            transcript = event.get("transcript")
            segment.words = segment.words if transcript is None else transcript
            segment.settled = True
            segment.costs |= amounts(event.get("usage") or {})
            self._segments.forget(segment)
        elif what == "failed":
            segment.failed = said(error_in(event))
            self._segments.forget(segment)
        else:
            return
        segment.changed()

    def _failed(self, error: Event) -> None:
        code, cause = error.get("code") or "", error.get("event_id") or ""
        ended = fatal(error)
        if ended is not None:
            raise ended
        if code == EXPIRED:
            raise BackendError(f"OpenAI Realtime ends the session ({said(error)}): try again", retryable=True)
        if code == "input_audio_buffer_commit_empty":
            self._segments.refused()
        elif cause == _COMMIT or (not cause and passes(error)):
            # It can stand in place of a transcript, and says of nothing what it is about.
            for segment in self._segments.awaited:
                if segment.end is not None:
                    segment.failed = said(error)
                    segment.changed()
        else:
            logger.debug("OpenAI Realtime says: %s", said(error))

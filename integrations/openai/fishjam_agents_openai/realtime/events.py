"""Events of the service, dispatched by the name that each carries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from fishjam_agents.backends import port
from fishjam_agents.backends.response_watchdog import ResponseWatchdog
from fishjam_agents.errors import BackendError
from fishjam_agents.json_limits import read_json
from fishjam_agents_openai.realtime.failures import BENIGN, EXPIRED, HARMLESS, error_in, fatal, said
from fishjam_agents_openai.realtime.memory import Memory
from fishjam_agents_openai.realtime.out_of_band import OutOfBandRequests
from fishjam_agents_openai.realtime.responses import CREATE, Responses
from fishjam_agents_openai.realtime.settings import RealtimeSettings
from fishjam_agents_openai.realtime.usage import amounts_of, cost_of, transcription_of

logger = logging.getLogger(__name__)

Event = Mapping[str, Any]
_UNREADABLE_IN_A_ROW = 50
"""Messages that are no events before this is no conversation any more."""
_WRITTEN = "conversation.item.input_audio_transcription."
_USUAL = ("session.", "conversation.", "input_audio_buffer.")
"""Prefixes of events that belong to every conversation and are not reported."""


class ServerEvents:
    """Follows a connection.

    Args:
        settings: The backend.
        emit: Takes our events.
        memory: Of the call.
        responses: Of the connection.
        out_of_band: Requests of the connection.
        watchdog: Watches over answers.
        local: Whether turns are ours.

    Attributes:
        peer: Who was heard last.
        sent: Seconds of audio sent on this connection.
        speaking: Whether the service hears speech.
    """

    def __init__(
        self,
        settings: RealtimeSettings,
        emit: Callable[[port.BackendEvent], None],
        memory: Memory,
        responses: Responses,
        out_of_band: OutOfBandRequests,
        watchdog: ResponseWatchdog,
        *,
        local: bool,
    ) -> None:
        self.peer: str | None = None
        self.sent = 0.0
        self.speaking = False
        self._settings = settings
        self._emit = emit
        self._memory = memory
        self._responses = responses
        self._out_of_band = out_of_band
        self._watchdog = watchdog
        self._local = local
        self._spoke_until = 0.0
        self._words: dict[str, str] = {}
        self._unreadable = 0

    def read(self, data: bytes) -> Event | None:
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
        if self._unreadable == 1:
            self._emit(
                port.BackendWarning("OpenAI Realtime sent a message that is no event: it was left out")
            )
        if self._unreadable >= _UNREADABLE_IN_A_ROW:
            raise BackendError(
                f"OpenAI Realtime: {self._unreadable} messages in a row were no events: check base_url",
                retryable=True,
                failure="protocol",
            )
        return None

    def handle(self, event: Event) -> None:
        """Take an event.

        Raises:
            BackendError: It ends the conversation.
            SessionRefresh: The session has reached its hour.
        """
        try:
            self._take(event["type"], event)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # A field of another type than it should be; what comes after it is as good as before.
            logger.debug("An event of OpenAI Realtime was left out: %r", error)
            self._emit(
                port.BackendWarning(f"OpenAI Realtime sent {event['type']} in a form that is not its own")
            )

    def _take(self, kind: str, event: Event) -> None:
        if kind == "response.done":
            self._spend(amounts_of((event.get("response") or {}).get("usage") or {}), event)
        elif self._out_of_band.handle(event) or self._responses.handle(event):
            return
        elif kind == "error":
            self._error(error_in(event))
        elif kind == "input_audio_buffer.speech_started":
            self._speech_started()
        elif kind == "input_audio_buffer.speech_stopped":
            self.speaking = False
            self._spoke_until = (event.get("audio_end_ms") or 0) / 1000
            self._emit(port.UserSpeech(False))
        elif kind == "input_audio_buffer.committed":
            self._committed(event.get("item_id") or "")
        elif kind.startswith(_WRITTEN):
            self._written(kind.removeprefix(_WRITTEN), event.get("item_id") or "", event)
        elif kind == "input_audio_buffer.timeout_triggered" or not kind.startswith(_USUAL):
            self._emit(port.VendorEvent(kind, event))

    def _speech_started(self) -> None:
        self.speaking = True
        self._emit(port.UserSpeech(True))
        if self._responses.latest is not None:
            self._emit(port.Interrupted(self._responses.latest))

    def _committed(self, item: str) -> None:
        if not self._local:
            after = self.sent - self._spoke_until if self._spoke_until else 0.0
            self._spoke_until = 0.0
            self._memory.committed(self.peer, max(after, 0.0))
            self._memory.owed = True
            self._watchdog.begin()
        self._memory.named(item)

    def _written(self, what: str, item: str, event: Event) -> None:
        peer = self._memory.speaker(item) or self.peer
        if what == "delta":
            text = self._words.get(item, "") + (event.get("delta") or "")
            self._words[item] = text
            self._emit(port.UserTranscript(text, peer=peer))
        elif what == "completed":
            self._words.pop(item, None)
            text = (event.get("transcript") or "").strip()
            self._memory.understood(item, text)
            self._emit(port.UserTranscript(text, final=True, peer=peer))
            self._cost(transcription_of(event.get("usage") or {}))
        elif what == "failed":
            self._words.pop(item, None)
            self._emit(port.BackendWarning("what the user said was heard, but could not be written down"))

    def _spend(self, amounts: Mapping[str, float], event: Event) -> None:
        if not self._out_of_band.handle(event):
            self._responses.handle(event)
        self._cost(amounts)

    def _cost(self, amounts: Mapping[str, float]) -> None:
        if not amounts:
            return
        cost = cost_of(amounts, self._settings.prices)
        self._memory.spent += cost or 0.0
        self._emit(port.BackendUsage(amounts, cost, None if cost is None else self._memory.spent))

    def _error(self, error: Event) -> None:
        code, cause = error.get("code") or "", error.get("event_id") or ""
        if code == EXPIRED:
            raise port.SessionRefresh(said(error))
        ended = fatal(error)
        if ended is not None and not ended.retryable:
            raise ended
        if cause == CREATE or code == "conversation_already_has_active_response":
            if self._responses.refused(error):
                return
        elif not cause and code not in BENIGN and self._responses.doubted(error):
            # It can stand in place of a response's beginning or end, and says of nothing what it is about.
            return
        if cause == "commit":
            self._memory.refused()
        if self._out_of_band.refused(cause, error):
            return
        if code in BENIGN or cause in HARMLESS:
            logger.debug("OpenAI Realtime says: %s", said(error))
        else:
            self._emit(port.BackendWarning(f"OpenAI Realtime says: {said(error)}"))

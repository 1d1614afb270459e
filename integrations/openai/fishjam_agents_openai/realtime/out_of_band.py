"""Questions beside the conversation: responses out of band, in writing, told apart by metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fishjam_agents.backends import port
from fishjam_agents_openai.realtime.failures import said
from fishjam_agents_openai.realtime.memory import Memory

Event = Mapping[str, Any]
_MARK = "question"
"""The key of the metadata."""
_PREFIX = "question_"
"""Of the ids of events that ask."""


class OutOfBandRequests:
    """The questions of a connection.

    Args:
        emit: Takes our events.
        memory: Of the call; a question that has no answer is asked again on the next connection.
    """

    def __init__(self, emit: Callable[[port.BackendEvent], None], memory: Memory) -> None:
        self._emit = emit
        self._memory = memory
        self._responses: dict[str, str] = {}

    def ask(self, question: str, text: str) -> dict[str, Any]:
        """The event that asks, of the whole conversation as it is now."""
        self._memory.questions[question] = text
        return {
            "type": "response.create",
            "event_id": f"{_PREFIX}{question}",
            "response": {
                "conversation": "none",
                "output_modalities": ["text"],
                "metadata": {_MARK: question},
                "instructions": text,
                "tool_choice": "none",
            },
        }

    def handle(self, event: Event) -> bool:
        """Take an event about a response out of band; False for others."""
        kind: str = event["type"]
        if kind == "response.created":
            response = event.get("response") or {}
            question = (response.get("metadata") or {}).get(_MARK)
            if question is None:
                return False
            self._responses[response.get("id") or ""] = question
            return True
        if kind == "response.done":
            response = event.get("response") or {}
            question = self._responses.pop(response.get("id") or "", None)
            if question is not None:
                self._done(question, response)
            return question is not None
        return event.get("response_id") in self._responses

    def refused(self, event_id: str, error: Event) -> bool:
        """The service does not answer a question; False when `event_id` asked none."""
        if not event_id.startswith(_PREFIX):
            return False
        self._answer(event_id.removeprefix(_PREFIX), error=said(error))
        return True

    def _done(self, question: str, response: Event) -> None:
        text = "".join(
            part.get("text") or part.get("transcript") or ""
            for item in response.get("output") or ()
            if item.get("type") == "message"
            for part in item.get("content") or ()
        )
        if response.get("status") == "completed" and text:
            self._answer(question, text)
        else:
            details = response.get("status_details") or {}
            error = details.get("error") or {}
            reason = error.get("message") or details.get("reason") or "it said nothing"
            self._answer(question, error=said({"message": reason}))

    def _answer(self, question: str, text: str = "", error: str | None = None) -> None:
        if self._memory.questions.pop(question, None) is not None:
            self._emit(port.OutOfBandResponse(question, text, error))

"""One response of the model, and what is said of it on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fishjam_agents_openai.realtime.failures import said

Event = Mapping[str, Any]


@dataclass(slots=True)
class Response:
    """A response and the items it speaks.

    Attributes:
        reply: Its id as the call knows it.
        items: Seconds of sound by item id, in order.
        early: Words before its first sound, with which it has started.
        started: Whether there is sound of it.
        done: Whether it is complete.
        dead: Whether it was interrupted.
        doubt: Error that the service has stumbled over, where nothing of the response has come since.
        asked: Whether the app asked for it.
        answers: Whether it answers the user, or tools.
    """

    reply: str
    items: dict[str, float] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)
    started: bool = False
    done: bool = False
    dead: bool = False
    doubt: Event | None = None
    asked: bool = False
    answers: bool = True


def could_not(error: Event) -> str:
    """Return the sentence for an answer that could not be given."""
    reason = error.get("code") or error.get("type") or "no reason given"
    return f"the model could not answer ({reason}): {said(error)}"


def deletion(item: str) -> dict[str, Any]:
    """Return the event that deletes an item."""
    return {"type": "conversation.item.delete", "event_id": "delete", "item_id": item}

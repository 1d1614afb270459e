"""Entries of a journal, and their form on disk.

An entry is a kind and a JSON object. A reader leaves out kinds and fields that it does not know, and gives
fields that are missing their defaults, so that a release reads what those before and after it write.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, TypeAlias, get_args

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    """Base of all entries.

    Attributes:
        kind: Its name on disk.
        at: When it happened, seconds since the epoch.
    """

    kind: ClassVar[str] = ""
    at: float


@dataclass(frozen=True, slots=True)
class CallBegan(_Entry):
    """A process begins to serve the call, or goes on with it."""

    kind = "call_began"
    backend: str = ""
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class InstructionsChanged(_Entry):
    """The model has new instructions."""

    kind = "instructions_changed"
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class BotChanged(_Entry):
    """Another bot goes on with the call."""

    kind = "bot_changed"
    bot: str = ""


@dataclass(frozen=True, slots=True)
class PeerCame(_Entry):
    """A person is in the room."""

    kind = "peer_came"
    peer: str = ""


@dataclass(frozen=True, slots=True)
class UserSpeaks(_Entry):
    """A user is in the middle of a turn; its end, or its words, follow.

    Attributes:
        peer: The user.
        text: The words so far, all of them; empty where they are not known yet.
        over: Whether it came to nothing.
    """

    kind = "user_speaks"
    peer: str | None = None
    text: str = ""
    over: bool = False


@dataclass(frozen=True, slots=True)
class TurnEnded(_Entry):
    """A user's turn is over; its words follow where they are known."""

    kind = "turn_ended"
    turn: str = ""
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class UserSaid(_Entry):
    """Words of a user, or of the app in writing."""

    kind = "user_said"
    text: str = ""
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class BotSaid(_Entry):
    """More words of a reply, as the model gave them."""

    kind = "bot_said"
    reply: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class BotHeard(_Entry):
    """Part of a reply that has been heard by now.

    Attributes:
        reply: The reply.
        text: The words that were heard.
        seconds: Their length.
        over: Whether no more of it is to come.
        cut: Whether it was cut short by somebody in the room.
    """

    kind = "bot_heard"
    reply: str = ""
    text: str = ""
    seconds: float = 0.0
    over: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ToolIntended(_Entry):
    """A tool is about to be called. Written before it starts.

    Attributes:
        call: Id of the call.
        name: The tool.
        arguments: By parameter.
        again: The call of a process that was lost which this is another run of; empty for a call of its own.
    """

    kind = "tool_intended"
    call: str = ""
    name: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    again: str = ""


@dataclass(frozen=True, slots=True)
class ToolEnded(_Entry):
    """Outcome of a tool call.

    Attributes:
        call: The call.
        outcome: As in the event `tool_called`.
        result: What the model was told.
    """

    kind = "tool_ended"
    call: str = ""
    outcome: str = "ok"
    result: str = ""


@dataclass(frozen=True, slots=True)
class HandleCame(_Entry):
    """The vendor's session can be resumed from here."""

    kind = "handle_came"
    backend: str = ""
    handle: str = ""


@dataclass(frozen=True, slots=True)
class CallEnded(_Entry):
    """The call is over for good: nothing continues it."""

    kind = "call_ended"
    reason: str = ""


JournalEntry: TypeAlias = (
    CallBegan
    | InstructionsChanged
    | BotChanged
    | PeerCame
    | UserSpeaks
    | TurnEnded
    | UserSaid
    | BotSaid
    | BotHeard
    | ToolIntended
    | ToolEnded
    | HandleCame
    | CallEnded
)
KINDS: Mapping[str, type[JournalEntry]] = {kind.kind: kind for kind in get_args(JournalEntry)}
"""Every entry by its kind."""


def encode(entry: JournalEntry) -> bytes:
    """Return the fields of an entry but `at` as JSON."""
    try:
        data = asdict(entry)
        del data["at"]
        # What a tool is called with is what a model wrote, and JSON; anything else is shown as text. Models
        # write halves of surrogate pairs, too, which are no UTF-8.
        return json.dumps(data, separators=(",", ":"), default=str).encode()
    except (ValueError, TypeError, RecursionError) as error:
        logger.warning("an entry of the kind %s cannot be written and is left empty: %r", entry.kind, error)
        return b"{}"


def decode(kind: str, at: float, body: bytes) -> JournalEntry | None:
    """Return an entry as it was written; None for a kind that this release does not know.

    Raises:
        ValueError: It is damaged.
    """
    entry = KINDS.get(kind)
    if entry is None:
        logger.debug("an entry of the unknown kind %r is left out", kind)
        return None
    data = json.loads(body)
    if not isinstance(data, dict):
        raise ValueError("no object")
    known = {item.name for item in fields(entry)} - {"at"}
    return entry(at, **{name: value for name, value in data.items() if name in known})

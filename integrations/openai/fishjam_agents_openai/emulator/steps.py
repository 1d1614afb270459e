"""Steps of the emulated Realtime model: words and actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from fishjam_agents.audio.samples import Samples


@dataclass(frozen=True, slots=True)
class Tool:
    """The model calls a tool.

    Attributes:
        name: The tool.
        arguments: JSON.
        call: Id of the call, one of its own if None.
    """

    name: str
    arguments: str = "{}"
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """The connection ends: with a code, or cut off at 1006."""

    code: int = 1006
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Raw:
    """An event as it is, or a message that is none."""

    event: dict[str, Any] | str


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Sound without words: int16 mono at 24 kHz."""

    samples: Samples


@dataclass(frozen=True, slots=True)
class Words:
    """Words whose sound does not come, or not yet."""

    text: str


@dataclass(frozen=True, slots=True)
class NextItem:
    """Mark that the next steps are another item of the same response."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The response fails with an error of this code."""

    code: str
    message: str = "The model could not answer."
    kind: str = "server_error"


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The response ends before its time, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class ServerError:
    """The service stumbles: an error that names neither a code nor an event stands in place of the rest.

    As the first step it stands in place of the whole response, its beginning too.
    """

    message: str = "The server had an error while processing your request. Sorry about that!"

    @property
    def error(self) -> dict[str, Any]:
        """Fields of the event."""
        return {
            "type": "server_error",
            "code": None,
            "message": self.message,
            "param": None,
            "event_id": None,
        }


ScriptStep: TypeAlias = (
    str | float | Tool | Close | Raw | Sound | NextItem | Failed | ServerError | Words | Incomplete
)
"""Words that are spoken, a pause in seconds, or something else that happens."""

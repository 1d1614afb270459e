"""One call of Fishjam's REST interface, without I/O: what to send and how to read the answer.

A client, asynchronous or not, sends a `Request` and passes status and bytes to `answer`. The requests
themselves are in `endpoints` and `recording_endpoints`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from .._version import __version__
from ..errors import ConfigError, ProtocolError
from ..json_limits import MAX_JSON_DEPTH, depth_of, pruned
from .errors import InvalidFishjamCredentialsError, error_for_status
from .json_model import as_object

T = TypeVar("T")

IDEMPOTENT_METHODS = frozenset({"GET", "DELETE"})
"""Methods which may be sent again when no answer came (RFC 9110 section 9.2.2)."""

ENVELOPE = 16
"""Levels of an answer around JSON that clients gave the server: the metadata of a peer lies seven deep."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body.

    Attributes:
        name: Its name in the form.
        content: Its bytes.
        filename: Sent as a file of this name; None for a plain part.
        content_type: Its type; None leaves it to be guessed from the file name.
    """

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """One call of one endpoint.

    Attributes:
        method: HTTP method.
        path: Relative to the base URL; ids in it are percent-encoded, slashes included.
        read: Makes the result of the decoded JSON (None for an empty body).
        body: JSON to send, None for no body.
        query: Query parameters.
        parts: A multipart body, instead of `body`.
        repeatable: A POST that does no harm when it is sent twice.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] | None = None
    parts: Sequence[Part] = ()
    repeatable: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def idempotent(self) -> bool:
        """True if it may be sent again when no answer came."""
        return self.repeatable or self.method in IDEMPOTENT_METHODS

    def answer(self, status: int, content: bytes) -> T:
        """Read the server's answer.

        Raises:
            HTTPError: A status of 400 and above, as its own class.
            ProtocolError: The answer is not what the endpoint gives.
        """
        if status >= 400:
            words, body = _reason(content)
            raise error_for_status(status, words, body=body, request=str(self))
        if status >= 300:
            raise ProtocolError(f"{self} was redirected ({status}): give the server's final URL")
        if not content:
            return self.read(None)
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"{self} was not answered with JSON: is it a Fishjam server?") from error
        return self.read(pruned(value, MAX_JSON_DEPTH + ENVELOPE))


class Validation(Request[None]):
    """`/validate` speaks in statuses of its own: 404 says that the pair of id and token is wrong."""

    __slots__ = ()

    def answer(self, status: int, content: bytes) -> None:
        """Read the server's answer, whose body says nothing.

        Raises:
            InvalidFishjamCredentialsError: The id or the token is wrong.
            HTTPError: The server cannot say.
        """
        if status in (401, 404):
            words, body = _reason(content)
            raise InvalidFishjamCredentialsError(words, status=status, body=body, request=str(self))
        if status >= 300:
            Request.answer(self, status, content)


def headers(management_token: str) -> dict[str, str]:
    """Headers of every request.

    Raises:
        ConfigError: The token has characters that no header may have.
    """
    if not (management_token.isascii() and management_token.isprintable()):
        raise ConfigError(
            "the management token contains a line break or a character outside ASCII: "
            "copy it from the dashboard again"
        )
    return {
        "Authorization": f"Bearer {management_token}",
        "x-fishjam-api-client": f"fishjam-agents/{__version__}",
    }


def encoded(id: str) -> str:
    """An id as one segment of a path.

    Raises:
        ConfigError: It would make another path of it: `delete_peer(room, "..")` must not delete the room.
    """
    if id in ("", ".", ".."):
        raise ConfigError(f"{id!r} is no id: use one that Fishjam has given out")
    return quote(id, safe="")


def json_text(value: Any, what: str) -> str:
    """A value as JSON.

    Raises:
        ConfigError: JSON cannot express it.
    """
    try:
        if depth_of(value) > MAX_JSON_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_JSON_DEPTH}")
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{what} cannot be written as JSON ({error}): use plain values only") from error


def nothing(value: Any) -> None:
    """Reads answers that have no content."""
    return None


def data_of(value: Any) -> Mapping[str, Any]:
    """The object under `data`, in which most answers are wrapped.

    Raises:
        ProtocolError: There is none.
    """
    return as_object(as_object(value, "an answer").get("data"), "an answer's 'data'")


def _reason(content: bytes) -> tuple[str, str]:
    """The server's own words and the body they stand in.

    Seen are `{"errors": text}`, `{"errors": {"detail": text}}`, and anything else.
    """
    text = content.decode(errors="replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text, text
    if isinstance(value, dict):
        value = value.get("errors", value)
    if isinstance(value, dict):
        value = value.get("detail", value)
    return (value if isinstance(value, str) else json.dumps(value)), text

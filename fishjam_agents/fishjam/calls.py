"""The life of one REST call, without I/O: whether there is another attempt, and what comes out."""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

import httpx

from ..backoff import Backoff
from ..errors import ProtocolError
from ..secrecy import shown_url
from .errors import UnreachableError
from .requests import Request, json_text

T = TypeVar("T")

DEADLINE = 10.0
"""Seconds for one call, all its attempts included."""

RETRIES = 2
"""Attempts after the first one."""

BACKOFF = Backoff(first=0.2, longest=2.0)
"""Waits between attempts: well below the deadline, so that it is not spent waiting."""


class Call(Generic[T]):
    """One call of one endpoint. A client sends `request` until `failed` raises or an answer is not `refused`.

    Only idempotent requests are sent again, and any request that found no connection at all.
    """

    def __init__(self, request: Request[T], url: str, *, deadline: float, retries: int) -> None:
        """Nothing is sent yet.

        Args:
            request: What to send.
            url: The server, for messages.
            deadline: Seconds for the whole call, for messages.
            retries: Attempts after the first one.
        """
        self.request = request
        self._url = url
        self._deadline = deadline
        self._retries = retries
        self._failures = 0
        self._maybe_done = False

    def failed(self, error: httpx.RequestError | UnicodeError) -> float:
        """No answer came: the seconds to wait before the next attempt.

        Raises:
            UnreachableError: There is no next attempt.
            ProtocolError: An answer came, and its compression is broken.
        """
        if isinstance(error, httpx.DecodingError):
            raise ProtocolError(
                f"{self.request} was answered with data that cannot be decoded: is it a Fishjam server?"
            ) from error
        if isinstance(error, httpx.TimeoutException):
            raise self.timed_out() from error
        unsent = isinstance(error, httpx.ConnectError)
        if self._failures >= self._retries or not (unsent or self.request.idempotent):
            raise UnreachableError(
                f"cannot reach {shown_url(self._url)}: is the server running? "
                f"({str(error) or type(error).__name__})"
            ) from error
        self._maybe_done |= not unsent
        return self.delay()

    def refused(self, status: int) -> bool:
        """Return whether the server cannot answer now and may be asked again after `delay`."""
        return status == 503 and self.request.idempotent and self._failures < self._retries

    def result(self, status: int, content: bytes) -> T:
        """Read the answer.

        Raises:
            HTTPError: The server refused.
            ProtocolError: It is no answer of Fishjam.
        """
        if status == 404 and self._maybe_done and self.request.method == "DELETE":
            # The attempt whose answer got lost has done it.
            return self.request.read(None)
        return self.request.answer(status, content)

    def timed_out(self) -> UnreachableError:
        """The error for a deadline that passed."""
        return UnreachableError(
            f"{shown_url(self._url)} did not answer {self.request} within {self._deadline:g} s: "
            "is it overloaded?"
        )

    def delay(self) -> float:
        """Count a failure: the seconds to wait before the next attempt."""
        self._failures += 1
        return BACKOFF.delay(self._failures)


def encode(request: Request[Any]) -> dict[str, Any]:
    """Return the arguments of httpx's `request` and `stream` for a request, but for method and URL.

    Raises:
        ConfigError: JSON cannot express what was given.
    """
    content: dict[str, Any] = {"params": request.query}
    if request.body is not None:
        content["content"] = json_text(request.body, f"what {request} sends")
        content["headers"] = {"content-type": "application/json"}
    if request.parts:
        content["files"] = [
            (part.name, (part.filename, part.content, part.content_type)) for part in request.parts
        ]
    return content


def deprecation(header: str | None) -> tuple[type[Warning], str] | None:
    """The warning that `x-fishjam-api-deprecated` asks for, JSON `{"status": ..., "message": ...}`.

    A header that says something else asks for none.
    """
    try:
        told = json.loads(header or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    kind = {"deprecated": DeprecationWarning, "unsupported": UserWarning}.get(str(told.get("status")))
    message = told.get("message")
    if kind is None or not isinstance(message, str) or not message:
        return None
    return kind, message

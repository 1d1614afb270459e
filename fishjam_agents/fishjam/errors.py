"""Errors of a Fishjam server: answers over HTTP, sockets that close, servers not there."""

from __future__ import annotations

from typing import ClassVar

from ..errors import ConfigError, FishjamAgentsError, ProtocolError, SessionError


class MissingFishjamIdError(ConfigError, ValueError):
    """No Fishjam ID was given."""

    def __str__(self) -> str:
        return (
            "no Fishjam ID was given: set fishjam.id or FISHJAM_ID to the ID of your Fishjam app "
            "or to the URL of a server"
        )


class StaleSdkError(ProtocolError):
    """A notification carries a recording status that this version does not know.

    Attributes:
        status: The number on the wire.
    """

    def __init__(self, status: int) -> None:
        super().__init__(int(status))
        self.status = int(status)

    def __str__(self) -> str:
        return f"the server told of a recording status unknown here ({self.status}): update fishjam-agents"


class UnreachableError(FishjamAgentsError):
    """No connection came about: nothing listens, the name is unknown, or no answer came in time."""


class HTTPError(FishjamAgentsError):
    """The server refused a request.

    Attributes:
        status: HTTP status.
        body: The body of the answer, as text.
        request: Method and path.
    """

    default_status: ClassVar[int] = 500
    advice: ClassVar[str] = "see the server's own words"

    def __init__(
        self, errors: object = "", *, status: int | None = None, body: str | None = None, request: str = ""
    ) -> None:
        """Usually made by `error_for_status`.

        Args:
            errors: The server's own words: `errors` of the body, or the body itself.
            status: HTTP status; that of the class if left out.
            body: The whole body; the words if left out.
            request: Method and path.
        """
        super().__init__(errors)
        self.status = self.default_status if status is None else status
        self.body = str(errors) if body is None else body
        self.request = request

    def __str__(self) -> str:
        words = str(self.args[0]).strip() or "no reason given"
        return f"{self.request or 'the request'} was answered {self.status} ({words}): {self.advice}"


class BadRequestError(HTTPError):
    """400 or 422: the server does not take the request as written."""

    default_status = 400
    advice = "correct the options of the request"


class UnauthorizedError(HTTPError):
    """401: the management token is missing or wrong."""

    exit_code = 2
    default_status = 401
    advice = "check the management token"


class InvalidFishjamCredentialsError(UnauthorizedError):
    """`/validate` does not know this pair of Fishjam ID and management token."""

    default_status = 404
    advice = "check the Fishjam ID and the management token"


class QuotaExceededError(HTTPError):
    """402: the account's usage quota is used up."""

    default_status = 402
    advice = "wait for the next period or raise the quota in the Fishjam dashboard"


class NotFoundError(HTTPError):
    """404: no such room, peer or recording."""

    default_status = 404
    advice = "it was deleted, or the id is not right"


class ConflictError(HTTPError):
    """409: the room is full, or what is asked does not fit its state or that of the recording."""

    default_status = 409
    advice = "raise the room's max_peers or remove a peer; stop a recording before deleting it"


class ServiceUnavailableError(HTTPError):
    """503: the server cannot do it now."""

    default_status = 503
    advice = "try again shortly"


class InternalServerError(HTTPError):
    """Any other status of 400 and above."""

    advice = "the fault is on the server's side; try again"


_BY_STATUS: dict[int, type[HTTPError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    402: QuotaExceededError,
    404: NotFoundError,
    409: ConflictError,
    422: BadRequestError,
    503: ServiceUnavailableError,
}


def error_for_status(status: int, errors: object, *, body: str, request: str) -> HTTPError:
    """The error for a status of 400 and above; the table is that of Fishjam's own SDKs.

    Args:
        status: HTTP status.
        errors: The server's own words.
        body: The whole body.
        request: Method and path, for the message.
    """
    return _BY_STATUS.get(status, InternalServerError)(errors, status=status, body=body, request=request)


class SessionClosedError(SessionError):
    """The server closed a socket on purpose (close code 1000): the peer or its room was deleted.

    Attributes:
        reason: The server's own words, possibly empty.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class SessionLostError(SessionError):
    """A socket broke: the network failed, or the server crashed or went away. Another attempt may succeed.

    Attributes:
        code: WebSocket close code, 1006 if the connection ended without one.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class AgentError(SessionError):
    """Base of the errors that only an agent's session has."""


class AgentAuthError(AgentError):
    """The server does not take the agent's token.

    Attributes:
        reason: The server's own words, possibly empty.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"the server refused the agent's token ({self.reason or 'no reason given'}): "
            "create the agent anew; its room may be gone or the token too old"
        )


class NotifierAuthError(SessionError, RuntimeError):
    """The server does not take the management token on the notification socket.

    Also a `RuntimeError`, which is what the official SDK raises here.

    Attributes:
        reason: The server's own words, possibly empty.
    """

    exit_code = 2

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"the server refused the management token ({self.reason or 'no reason given'}): "
            "check fishjam.management_token"
        )

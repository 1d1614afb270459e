"""What can go wrong with a Fishjam server: answers over HTTP, sockets that close, servers not there."""

from __future__ import annotations

from typing import ClassVar

from ..errors import ConfigError, FishjamAgentsError, SessionError


class MissingFishjamIdError(ConfigError):
    """No Fishjam ID was given."""

    def __init__(self) -> None:
        super().__init__(
            "no Fishjam ID was given: set fishjam.id or FISHJAM_ID to the ID of your Fishjam app "
            "or to the URL of a server"
        )


class UnreachableError(FishjamAgentsError):
    """No connection came about: nothing listens, the name is unknown, or no answer came in time."""


class HTTPError(FishjamAgentsError):
    """The server refused a request.

    Attributes:
        status: HTTP status.
        body: The server's own words, as it sent them.
    """

    advice: ClassVar[str] = "see the server's own words"

    def __init__(self, status: int, body: str, request: str) -> None:
        super().__init__(
            f"{request} was answered {status} ({body.strip() or 'no reason given'}): {self.advice}"
        )
        self.status = status
        self.body = body


class BadRequestError(HTTPError):
    """400 or 422: the server does not take the request as written."""

    advice = "correct the options of the request"


class UnauthorizedError(HTTPError):
    """401: the management token is missing or wrong."""

    exit_code = 2
    advice = "check the management token"


class InvalidFishjamCredentialsError(UnauthorizedError):
    """`/validate` does not know this pair of Fishjam ID and management token."""

    advice = "check the Fishjam ID and the management token"


class QuotaExceededError(HTTPError):
    """402: the account's usage quota is used up."""

    advice = "wait for the next period or raise the quota in the Fishjam dashboard"


class NotFoundError(HTTPError):
    """404: no such room or peer."""

    advice = "it was deleted, or the id is not right"


class ConflictError(HTTPError):
    """409: the room has as many peers as it may have."""

    advice = "raise the room's max_peers or remove a peer"


class ServiceUnavailableError(HTTPError):
    """503: the server cannot do it now."""

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


def error_for_status(status: int, body: str, request: str) -> HTTPError:
    """The error for a status of 400 and above; the table is that of Fishjam's own SDKs.

    Args:
        status: HTTP status.
        body: What the server said.
        request: Method and path, for the message.
    """
    return _BY_STATUS.get(status, InternalServerError)(status, body, request)


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


class AgentAuthError(SessionError):
    """The server does not take the agent's token.

    Attributes:
        reason: The server's own words, possibly empty.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the server refused the agent's token ({reason or 'no reason given'}): "
            "create the agent anew; its room may be gone or the token too old"
        )
        self.reason = reason


class NotifierAuthError(SessionError):
    """The server does not take the management token on the notification socket.

    Attributes:
        reason: The server's own words, possibly empty.
    """

    exit_code = 2

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the server refused the management token ({reason or 'no reason given'}): "
            "check fishjam.management_token"
        )
        self.reason = reason

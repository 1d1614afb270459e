"""Failures, each as a kind and a sentence that says what to do.

Sources: the close codes of RFC 6455, 7.4.1, and what Google's client makes of them (it raises APIError with
the close code in place of an HTTP status, for a clean close too).
"""

from __future__ import annotations

import re
import ssl
from http import HTTPStatus
from typing import TypeAlias

from fishjam_agents.backends.port import BackendWarning, Unanswered
from fishjam_agents.backends.vendors.retry_after import retry_after
from fishjam_agents.cut_handshake import is_cut_handshake
from fishjam_agents.errors import TRIED_AGAIN, BackendError, FailureKind

_REASON_LENGTH = 200
_Found: TypeAlias = tuple[FailureKind, bool, str, str]
"""Kind of a failure, whether another attempt may succeed, the reason and the action."""
_NO_SESSION = re.compile(r"session not found|(session|resumption) handle\b", re.IGNORECASE)
"""Reasons by which handles are refused: "BidiGenerateContent session not found", "Invalid session handle"."""
_QUOTA = ("quota", "resource_exhausted", "rate limit", "credit", "depleted")
"""Words of a reason by which a connection was closed for want of quota, or of money, whatever the code."""


def classify(
    error: BaseException, *, model: str, opening: bool, resuming: bool = False, secret: str | None = None
) -> BackendError:
    """The failure that an exception of google-genai or websockets stands for.

    Args:
        error: What was raised.
        model: The model asked for.
        opening: Whether the session was being opened; what is refused then will be refused again.
        resuming: Whether a session was being taken up by its handle; a new one may well be taken.
        secret: Never repeated in a message.
    """
    from google.auth.exceptions import GoogleAuthError
    from google.genai.errors import APIError
    from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

    opening = opening and not resuming and not session_is_gone(error)
    reason = _reason(error, secret)
    failure: _Found
    if isinstance(error, InvalidStatus):
        failure = _by_status(error.response.status_code, reason, model)
    elif isinstance(error, APIError) and error.code is not None and error.code < 1000:
        failure = _by_status(error.code, reason, model)
    elif isinstance(error, APIError):
        failure = _by_close(error.code or 1006, reason, model, opening)
    elif isinstance(error, ConnectionClosed):
        code = 1006 if error.rcvd is None else error.rcvd.code
        failure = _by_close(code, reason, model, opening)
    elif isinstance(error, ssl.SSLCertVerificationError):
        failure = (
            "config",
            False,
            f"its certificate is not trusted ({reason})",
            "check base_url, SSL_CERT_FILE",
        )
    elif isinstance(error, GoogleAuthError):
        failure = ("auth", False, f"Google Cloud gives no access ({reason})", "run gcloud auth, check vertex")
    elif isinstance(error, TimeoutError):
        failure = ("network", True, "it did not answer in time", "check the network and its status page")
    elif is_cut_handshake(error):
        failure = ("network", True, "the connection was cut before it was open", "check the network")
    elif isinstance(error, (OSError, InvalidURI)):
        retry = isinstance(error, OSError)
        failure = ("network", retry, f"it cannot be reached ({reason})", "check the network and base_url")
    elif isinstance(error, WebSocketException):
        failure = ("network", True, f"it does not speak the Live API ({reason})", "check base_url")
    elif isinstance(error, ValueError):
        failure = ("config", False, f"its client refuses the settings ({reason})", "check agent.backend")
    else:
        failure = ("internal", False, f"its client failed ({reason})", "see the log at debug level")
    kind, retryable, said, action = failure
    wish = retry_after(error.response.headers) if isinstance(error, InvalidStatus) else None
    return BackendError(
        said, subject="Gemini:", action=action, retryable=retryable, failure=kind, retry_after=wish
    )


def session_is_gone(error: BaseException) -> bool:
    """Return whether the service does not know the session any more, or never knew it."""
    return _NO_SESSION.search(str(error)) is not None


def refusal(reason: str | None, *, begun: bool) -> BackendWarning | None:
    """Return the notice for a turn without a proper answer; None where nothing is wrong.

    Args:
        reason: Its `turnCompleteReason`.
        begun: Whether some of an answer was heard.
    """
    if reason in (None, "TURN_COMPLETE_REASON_UNSPECIFIED", "NEED_MORE_INPUT"):
        return None
    if reason == "MALFORMED_FUNCTION_CALL":
        cause, advice = "it called a tool in a form of its own", "make the tool's parameters simpler"
    else:
        cause, advice = f"it was refused ({reason})", "see instructions, safety and what was said"
    if begun:
        return BackendWarning(f"Gemini broke off its answer, since {cause}: {advice}")
    return Unanswered(f"Gemini did not answer, since {cause}: {advice}", "protocol")


def closed_by_service(error: BackendError) -> bool:
    """Return whether the service was there and ended a connection itself."""
    from google.genai.errors import APIError

    return isinstance(error.__cause__, APIError) and error.__cause__.code not in (None, 1006)


def _reason(error: BaseException, secret: str | None) -> str:
    # Google's client writes the status that a closed socket does not have: `1008 None. API key not valid.`
    text = " ".join(str(error).replace(" None. ", " ", 1).split()) or type(error).__name__
    if secret:
        text = text.replace(secret, "...")
    return text if len(text) <= _REASON_LENGTH else text[:_REASON_LENGTH] + "..."


def _by_status(status: int, reason: str, model: str) -> _Found:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _quota(reason)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return (
            "auth",
            False,
            f"the key was refused (HTTP {status})",
            "check GEMINI_API_KEY and its restrictions",
        )
    if status == HTTPStatus.NOT_FOUND:
        return "config", False, "there is no Live API at that address", "check base_url and api_version"
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return "config", False, f"the request was refused (HTTP {status}, {reason})", f"check model {model}"
    return "network", True, f"the service is unavailable (HTTP {status})", TRIED_AGAIN


def _quota(reason: str) -> _Found:
    if "credit" in reason.lower() or "depleted" in reason.lower():
        return "quota", False, f"the account's credit is used up ({reason})", "add some in Google AI Studio"
    return "quota", True, f"the quota is exhausted ({reason})", "wait, or raise it in Google AI Studio"


def _by_close(code: int, reason: str, model: str, opening: bool) -> _Found:
    words = reason.lower()
    if any(word in words for word in _QUOTA):
        return _quota(reason)
    if "api key" in words or "api_key" in words or "unauthenticated" in words or "leaked" in words:
        return "auth", False, f"the key was refused ({reason})", "make a new one in Google AI Studio"
    if "not found for api version" in words or "not supported for bidigeneratecontent" in words:
        return "config", False, f"there is no Live model {model} for this key ({reason})", "check model"
    if code == 1009:
        return "protocol", True, f"a message was too large ({reason})", "send smaller images"
    if code == 1007:
        advice = "check the settings of agent.backend against the model" if opening else TRIED_AGAIN
        return "config" if opening else "protocol", not opening, f"it refused a message ({reason})", advice
    if code == 1008:
        advice = "check the key's access to the model" if opening else TRIED_AGAIN
        return "auth" if opening else "protocol", not opening, f"it ended the session ({reason})", advice
    if code == 1011:
        return "network", True, f"the service failed ({reason})", TRIED_AGAIN
    if code in (1000, 1001):
        return "network", True, f"it closed the connection ({code})", TRIED_AGAIN
    return "network", True, f"the connection was lost ({code})", TRIED_AGAIN

"""Failures of a connection or a response, as a kind of failure and one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fishjam_agents.backends.vendors.retry_after import retry_after
from fishjam_agents.cut_handshake import is_cut_handshake
from fishjam_agents.errors import BackendError, FailureKind

BENIGN = frozenset(
    {
        "response_cancel_not_active",
        "conversation_already_has_active_response",
        "input_audio_buffer_commit_empty",
        "item_truncate_invalid_item_id",
        "item_delete_invalid_item_id",
        "invalid_truncate",
    }
)
"""Codes of errors that come of two sides deciding at the same moment; nothing is lost by them."""
HARMLESS = frozenset({"cancel", "truncate", "delete"})
"""Ids of our events whose refusal means that what they were to end is over already."""
EXPIRED = "session_expired"
"""Code of the error with which a session ends that has reached its hour."""
_FATAL: dict[str, tuple[FailureKind, str, bool]] = {
    "invalid_api_key": ("auth", "check the key", False),
    "insufficient_quota": ("quota", "see the balance of the account", False),
    "rate_limit_exceeded": ("quota", "see the limits of the account", True),
    "model_not_found": ("config", "check the model", False),
    "invalid_model": ("config", "check the model", False),
}
"""Kind, advice, and whether it may pass."""
_STATUS: dict[int, tuple[FailureKind, str, bool]] = {
    400: ("config", "check the settings", False),
    401: ("auth", "the key is not accepted: check it", False),
    403: ("auth", "the key may not use this: check it", False),
    404: ("config", "there is no such model or address: check model and base_url", False),
    429: ("quota", "too many sessions at once: see the limits of the account", True),
}
_POLICY = 1008
_UNAUTHORIZED = frozenset({3000, 3003})
"""Close codes registered for what HTTP says with 401 and 403 (IANA, WebSocket Close Code Number Registry)."""
_TOO_BIG = 1009
_LONGEST = 300
_SERVER = "server_error"


def error_in(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The error that an event tells of; some servers write only its message."""
    error = event.get("error") or {}
    return error if isinstance(error, Mapping) else {"message": error}


def fatal(error: Mapping[str, Any]) -> BackendError | None:
    """An error of the service that ends the conversation, or may; None when it does not."""
    found = _FATAL.get(str(error.get("code")))
    if found is None:
        return None
    kind, advice, retryable = found
    return BackendError(f"OpenAI Realtime says {said(error)!r}: {advice}", failure=kind, retryable=retryable)


def passes(error: Mapping[str, Any]) -> bool:
    """Return whether an error is a passing fault of the service, after which the same may work."""
    return fatal(error) is None and _SERVER in (error.get("type"), error.get("code"))


def said(error: Mapping[str, Any]) -> str:
    """The words of an error, as one line."""
    return " ".join(str(error.get("message") or "no message").split())[:_LONGEST]


@contextmanager
def connection_errors(secrets: tuple[str, ...] = ()) -> Iterator[None]:
    """Turn the errors of a connection, which are not the client's own, into ours.

    Args:
        secrets: What is in no message, whatever the service repeats.

    Raises:
        BackendError: The connection cannot be made, or is lost.
    """
    import openai
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

    try:
        yield
    except BackendError as error:
        hidden = _hidden(str(error), secrets)
        if hidden == str(error):
            raise
        wish = error.retry_after
        raise BackendError(
            hidden, failure=error.failure, retryable=error.retryable, retry_after=wish
        ) from None
    except InvalidStatus as error:
        body = (error.response.body or b"").decode(errors="replace")
        wish = retry_after(error.response.headers)
        raise _refused(error.response.status_code, body, wish) from error
    except ConnectionClosed as error:
        received, sent = error.rcvd, error.sent
        raise _closed(
            0 if received is None else received.code,
            _hidden("" if received is None else received.reason, secrets),
            0 if sent is None else sent.code,
        ) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        cut = is_cut_handshake(error)
        reason = "the connection was cut" if cut else str(error) or type(error).__name__
        raise BackendError(
            f"OpenAI Realtime cannot be reached ({reason}): check base_url and the network", retryable=True
        ) from error
    except openai.OpenAIError as error:
        raise BackendError(
            f"OpenAI Realtime cannot be used ({_hidden(str(error), secrets)}): check the settings"
        ) from error


def _refused(status: int, body: str, wish: float | None) -> BackendError:
    kind, advice, retryable = _STATUS.get(status, ("network", "try again later", True))
    if "insufficient_quota" in body:
        kind, advice, retryable = _FATAL["insufficient_quota"]
    return BackendError(
        f"OpenAI Realtime refuses the connection with {status}: {advice}",
        failure=kind,
        retryable=retryable,
        retry_after=wish,
    )


def _closed(code: int, reason: str, sent: int) -> BackendError:
    if sent == _TOO_BIG:
        return BackendError(
            "OpenAI Realtime sent a message that is too big: a new connection is made", retryable=True
        )
    for name, (kind, advice, retryable) in _FATAL.items():
        if name in reason:
            return BackendError(
                f"OpenAI Realtime closed the connection ({reason}): {advice}",
                failure=kind,
                retryable=retryable,
            )
    if code in _UNAUTHORIZED:
        return BackendError(
            f"OpenAI Realtime closed the connection ({reason or code}): the key is not accepted: check it",
            failure="auth",
        )
    if code == _POLICY:
        kind = "config" if "model" in reason.lower() else "auth"
        return BackendError(
            f"OpenAI Realtime closed the connection ({reason}): check key and model", failure=kind
        )
    why = reason or (f"with code {code}" if code else "it was cut")
    return BackendError(
        f"the connection to OpenAI Realtime is lost ({why}): a new one is made", retryable=True
    )


def _hidden(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text

"""What goes wrong with a connection or a response, as a kind of failure and one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
_FATAL: dict[str, tuple[FailureKind, str]] = {
    "invalid_api_key": ("auth", "check the key"),
    "insufficient_quota": ("quota", "see the balance of the account"),
    "rate_limit_exceeded": ("quota", "see the limits of the account"),
    "model_not_found": ("config", "check the model"),
}
_STATUS: dict[int, tuple[FailureKind, str]] = {
    401: ("auth", "the key is not accepted: check it"),
    403: ("auth", "the key may not use this: check it"),
    404: ("config", "there is no such model or address: check model and base_url"),
    429: ("quota", "too many sessions, or no credit: see the account"),
}


def fatal(error: Any) -> BackendError | None:
    """An `error` event of the service that ends the conversation; None when it does not."""
    code, message = getattr(error, "code", None) or "", getattr(error, "message", None) or "no message"
    kind, advice = _FATAL.get(code, ("internal", ""))
    if not advice:
        return None
    retryable = code == "rate_limit_exceeded"
    return BackendError(f"OpenAI Realtime says {message!r}: {advice}", failure=kind, retryable=retryable)


@contextmanager
def connection_errors() -> Iterator[None]:
    """Turn the errors of a connection, which are not the client's own, into ours.

    Raises:
        BackendError: The connection cannot be made, or is lost.
    """
    import openai
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

    try:
        yield
    except InvalidStatus as error:
        status = error.response.status_code
        kind, advice = _STATUS.get(status, ("network", "try again later"))
        raise BackendError(
            f"OpenAI Realtime refuses the connection with {status}: {advice}",
            failure=kind,
            retryable=kind == "network",
        ) from error
    except ConnectionClosed as error:
        received = error.rcvd
        if received is not None and received.code == 1008:
            raise BackendError(
                f"OpenAI Realtime closed the connection ({received.reason}): check key and model",
                failure="auth",
            ) from error
        why = received.reason if received is not None and received.reason else "it was cut"
        raise BackendError(f"the connection to OpenAI Realtime is lost ({why})", retryable=True) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        reason = str(error) or type(error).__name__
        raise BackendError(f"OpenAI Realtime cannot be reached ({reason})", retryable=True) from error
    except openai.OpenAIError as error:
        raise BackendError(f"OpenAI Realtime cannot be used ({error}): check the settings") from error

"""Failures of Vapi, each as a kind of failure and one sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fishjam_agents.errors import BackendError, FailureKind

_ORDINARY = re.compile(
    r"assistant-(ended-call|said-|forwarded-)|customer-(ended-|busy|did-not-)|silence-timed-out|"
    r"exceeded-max-duration|manually-canceled|voicemail|vonage-completed|scheduled-call-deleted|"
    r"twilio-completed|call\.forwarding\.operator-busy|call-deleted"
)
"""End reasons of conversations that simply ended (docs.vapi.ai/calls/call-ended-reason)."""

_KINDS: tuple[tuple[re.Pattern[str], FailureKind], ...] = (
    (re.compile(r"-40[13]-|unauthorized|access-denied|license"), "auth"),
    (re.compile(r"-429-|quota|wallet|subscription|concurrency|credit|-402-|overdue"), "quota"),
    (
        re.compile(r"-400-|not-found|not-valid|not-invalid|not-provided|neither|validation|unsupported"),
        "config",
    ),
    (re.compile(r"-50[0-9]-|fault|worker|timed-out|never-connected|server-available|db-error"), "network"),
)

_ADVICE: Mapping[FailureKind, str] = {
    "auth": "see the keys of the assistant's providers at Vapi",
    "quota": "see the limits and the balance of the account at Vapi, and of the assistant's providers",
    "config": "correct the assistant at Vapi or in the settings",
    "network": "try again later",
    "protocol": "see the call's log at Vapi",
    "internal": "see the call's log at Vapi",
}


def ended(reason: str | None) -> BackendError | None:
    """Judge the `endedReason` of a call.

    Returns:
        What failed; None when the conversation was simply over.
    """
    if reason is None or _ORDINARY.search(reason):
        return None
    kind: FailureKind = next((kind for pattern, kind in _KINDS if pattern.search(reason)), "internal")
    return BackendError(f"ended the call ({reason})", subject="Vapi", action=_ADVICE[kind], failure=kind)


def refused(what: str, status: int, body: Any, key: str) -> BackendError:
    """A status of Vapi's REST interface other than success.

    Args:
        what: What was asked for: "the call".
        status: The status.
        body: The answer, decoded where it is JSON.
        key: The key, which no sentence may show.
    """
    said = _said(body, key)
    if status in (401, 403):
        advice = "set api_key, or VAPI_API_KEY, to a private key of your account"
        return BackendError(f"rejected the key ({said})", subject="Vapi", action=advice, failure="auth")
    if status == 429:
        return BackendError(
            f"has had too many requests ({said})",
            subject="Vapi",
            action="make fewer calls, or raise the account's limit",
            retryable=True,
            failure="quota",
        )
    if status == 402:
        return BackendError(
            f"wants to be paid first ({said})",
            subject="Vapi",
            action="add credit to the account",
            failure="quota",
        )
    if status >= 500:
        return BackendError(
            f"failed with {status} ({said})", subject="Vapi", action="try again later", retryable=True
        )
    return BackendError(
        f"refused {what} with {status} ({said})",
        subject="Vapi",
        action="correct the assistant in the settings",
        failure="config",
    )


def redact(text: str, key: str) -> str:
    """A text of somebody else's without the key."""
    return text.replace(key, "***") if key else text


def _said(body: Any, key: str) -> str:
    message = body.get("message") if isinstance(body, dict) else body
    if isinstance(message, list):
        message = "; ".join(map(str, message))
    text = " ".join(redact(str(message or "no reason given"), key).split())
    return text if len(text) <= 300 else text[:300] + "…"

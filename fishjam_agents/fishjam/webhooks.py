"""Webhooks: is a request really from Fishjam, and what does it tell?"""

from __future__ import annotations

import hashlib
import hmac
import warnings

import betterproto

from ..protocol import decode
from ..protocol.generated.notifications import ServerMessage
from .events.allowed_notifications import AllowedNotification, notifications_of


def verify_webhook_signature(body: bytes, signature: str | None, secret: str) -> bool:
    """Return whether a body was signed with the secret; compared in constant time.

    Args:
        body: The raw body of the request, before anything parses it.
        signature: Header `x-fishjam-signature-256`: lowercase hex of HMAC-SHA256, with or without `sha256=`;
            None of a request that has none, which is not from Fishjam.
        secret: The webhook secret of the dashboard.
    """
    if signature is None:
        return False
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = signature.strip().removeprefix("sha256=")
    # As bytes: text outside ASCII cannot be compared in constant time, and an attacker may send it.
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def decode_server_notifications(binary: bytes) -> list[AllowedNotification]:
    """Read a webhook's body: its notifications in order, whether it is one or a batch.

    Kinds which this version does not know are left out, so the list may be empty.

    Args:
        binary: The raw body of the request.

    Raises:
        ProtocolError: It is no message of Fishjam.
        StaleSdkError: A recording has a status that this version does not know.
    """
    return notifications_of(decode(ServerMessage, binary))


def receive_binary(binary: bytes) -> AllowedNotification | list[AllowedNotification] | None:
    """Deprecated: `decode_server_notifications` always gives a list.

    Args:
        binary: The raw body of the request.

    Returns:
        A notification, the list of a batch, or None for what this version does not know.

    Raises:
        ProtocolError: It is no message of Fishjam.
        StaleSdkError: A recording has a status that this version does not know.
    """
    warnings.warn(
        "receive_binary is deprecated: use decode_server_notifications", DeprecationWarning, stacklevel=2
    )
    message = decode(ServerMessage, binary)
    notifications = notifications_of(message)
    if betterproto.which_one_of(message, "content")[0] == "notification_batch":
        return notifications
    return notifications[0] if notifications else None

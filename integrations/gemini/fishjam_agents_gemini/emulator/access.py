"""Access of clients: the Gemini API's with a key or an ephemeral token, or Vertex AI's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

_GEMINI = re.compile(
    r"//?ws/google\.ai\.generativelanguage\.(?P<version>\w+)\.GenerativeService\.BidiGenerateContent"
    r"(?P<constrained>Constrained)?$"
)
_VERTEX = re.compile(r"//?ws/google\.cloud\.aiplatform\.\w+\.LlmBidiService/BidiGenerateContent$")


def status_of(path: str, headers: Mapping[str, str], key: str) -> HTTPStatus | None:
    """The status with which an upgrade is refused; None goes on."""
    path = path.partition("?")[0]
    if _VERTEX.match(path):
        return None if headers.get("authorization") == f"Bearer {key}" else HTTPStatus.UNAUTHORIZED
    return None if _GEMINI.match(path) else HTTPStatus.NOT_FOUND


def refusal_of(path: str, headers: Mapping[str, str], key: str) -> str | None:
    """Return the reason to refuse a client of the Gemini API after its setup; None lets it in."""
    door = _GEMINI.match(path.partition("?")[0])
    if door is None:
        return None
    if headers.get("x-goog-api-key") != key:
        return "API key not valid. Please pass a valid API key."
    if not key.startswith("auth_tokens/"):
        return None if not door["constrained"] else "unauthenticated: an ephemeral token is expected here"
    if not door["constrained"] or headers.get("authorization") != f"Token {key}":
        return "unauthenticated: an ephemeral token needs BidiGenerateContentConstrained"
    return None if door["version"] == "v1alpha" else "unauthenticated: ephemeral tokens need v1alpha"

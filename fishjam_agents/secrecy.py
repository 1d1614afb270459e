"""Removal of keys, tokens and passwords from messages and logs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

SHORTEST_SECRET = 6
"""Shorter values are no secrets, and stand in sentences by chance."""

SOCKET_LOG = logging.getLogger("fishjam_agents.websocket")
"""The logger to give to websockets: at level DEBUG it writes headers and frames, and with them keys."""
SOCKET_LOG.setLevel(logging.INFO)


def shown_url(url: str) -> str:
    """A URL for messages: without user, password and query, whatever they hold."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is None or not parts.netloc:
        # No URL: what stands before an @ may still be a password.
        scheme, separator, rest = url.rpartition("://")
        before, at, after = rest.rpartition("@")
        path, question, _ = after.partition("?")
        return f"{scheme}{separator}{'***' if before else ''}{at}{path}{'?***' if question else ''}"
    user, at, host = parts.netloc.rpartition("@")
    if at:
        host = f"***@{host}" if user else host
    return urlunsplit((parts.scheme, host, parts.path, "***" if parts.query else "", ""))


def password_in(url: str | None) -> str | None:
    """The password that stands in a URL, as it is written there; None where there is none."""
    try:
        return None if url is None else urlsplit(url).password
    except ValueError:
        return None


_MOST_LEARNED = 1000
_learned: dict[str, str] = {}


def learn(secret: str, shown: str) -> None:
    """Keep a secret that came while the program runs, such as a new key, out of what is told from now on.

    Args:
        secret: What is secret; the last thousand are remembered.
        shown: What to say in its place.
    """
    _learned.pop(secret, None)
    _learned[secret] = shown
    if len(_learned) > _MOST_LEARNED:
        del _learned[next(iter(_learned))]


def conceal(sentence: str, secrets: Mapping[str, str]) -> str:
    """A sentence with each secret replaced, and each that was learned.

    Args:
        sentence: What is to be said.
        secrets: Each secret and what to say in its place: `${OPENAI_API_KEY}`.
    """
    secrets = {**_learned, **secrets}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            for form in (repr(secret)[1:-1], secret):
                sentence = sentence.replace(form, secrets[secret])
    return sentence


def guard_libraries() -> None:
    """Let websockets and httpx leave out of their logs what may be secret, in whatever program this is.

    For libraries of vendors, which open sockets with websockets' own logger. At DEBUG that writes the headers
    of a handshake and the query of its address; httpx writes whole addresses at INFO.
    """
    for name, guard in (("websockets.client", _without_headers), ("httpx", _without_addresses)):
        # Adding the same one again does nothing.
        logging.getLogger(name).addFilter(guard)


def _without_headers(record: logging.LogRecord) -> bool:
    message, given = record.msg, record.args
    if isinstance(message, str) and isinstance(given, tuple):
        if message == "> GET %s HTTP/1.1":
            record.args = tuple(shown_url(str(path)) for path in given)
        elif message in ("> %s: %s", "< %s: %s") and len(given) == 2:
            record.args = (given[0], "***")
    return True


def _without_addresses(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            shown_url(str(each)) if type(each).__name__ == "URL" else each for each in record.args
        )
    return True

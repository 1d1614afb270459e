"""How a part reaches its server: key, address, deadlines, and what its errors mean."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fishjam_agents.errors import BackendError, ConfigError, FailureKind

if TYPE_CHECKING:
    from openai import AsyncOpenAI

KEY = "OPENAI_API_KEY"
BASE_URL = "https://api.openai.com/v1"
_ANY_KEY = "none"
"""What servers of one's own are given, because the client insists on a key."""
_CONNECT_SECONDS = 5.0
_KINDS: dict[int, FailureKind] = {400: "config", 401: "auth", 403: "auth", 404: "config", 422: "config"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The settings all parts share.

    Attributes:
        base_url: Where the API is: OpenAI's, or that of a server of one's own like
            `http://127.0.0.1:8080/v1`.
        api_key: The key; without it OPENAI_API_KEY, and with a `base_url` of one's own none.
        timeout: Seconds until an answer must begin, and between two pieces of it.
    """

    base_url: str = BASE_URL
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 10.0

    def check(self) -> None:
        """Verify address and key.

        Raises:
            ConfigError: There is no key, or no such address.
        """
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"base_url {self.base_url!r} is no address: write it like {BASE_URL}")
        if self.base_url == BASE_URL and not self._key():
            raise ConfigError(f"there is no key for OpenAI: set {KEY} or api_key, or a base_url of your own")

    def _key(self) -> str | None:
        if self.api_key is not None:
            return self.api_key
        # A key of OpenAI's is nobody else's business.
        return os.environ.get(KEY) if self.base_url == BASE_URL else _ANY_KEY

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncOpenAI]:
        """A client for the length of a call; its connections are closed at the end."""
        import openai

        # A proxy of the environment would be asked for this machine's own servers, too.
        http = openai.DefaultAsyncHttpx2Client(trust_env=not _is_loopback(self.base_url))
        async with openai.AsyncOpenAI(
            api_key=self._key() or _ANY_KEY,
            base_url=self.base_url,
            timeout=openai.Timeout(self.timeout, connect=min(self.timeout, _CONNECT_SECONDS)),
            # What has to be tried again is tried with another part, not behind the caller's back.
            max_retries=0,
            http_client=http,
        ) as client:
            yield client


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def as_backend_errors(what: str) -> Iterator[None]:
    """Turn the client's errors into ours.

    Args:
        what: What is asked for: "speech".

    Raises:
        BackendError: With a kind, and a sentence that says what to do.
    """
    import httpx2
    import openai

    try:
        yield
    except openai.APITimeoutError as error:
        raise BackendError(f"{what} did not come in time: try again", retryable=True) from error
    except openai.APIConnectionError as error:
        raise BackendError(
            f"{what} cannot be had ({error.__cause__ or error}): is the server running?",
            retryable=True,
        ) from error
    except openai.APIStatusError as error:
        raise _refusal(what, error.status_code, error.message) from error
    except openai.APIError as error:
        raise BackendError(f"{what} broke off: {error.message}", retryable=True) from error
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise BackendError(f"{what} broke off: {reason}", retryable=True) from error


def _refusal(what: str, status: int, message: str) -> BackendError:
    said = message.splitlines()[0][:200] if message else f"status {status}"
    if status == 429:
        return BackendError(
            f"{what} was refused: too many requests, or no credit ({said})", retryable=True, failure="quota"
        )
    kind = _KINDS.get(status)
    if kind == "auth":
        return BackendError(f"{what} was refused: the key is not accepted ({said}): check it", failure=kind)
    if kind is not None:
        return BackendError(f"{what} was refused ({said}): check the settings", failure=kind)
    return BackendError(f"{what} failed at the server, status {status} ({said})", retryable=True)

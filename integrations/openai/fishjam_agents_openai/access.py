"""Access of a part to its server: key, address, deadlines, and the meaning of its errors."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from fishjam_agents.backends.cascade import ContextFullError
from fishjam_agents.backends.key_file import check_key_file, read_key
from fishjam_agents.backends.vendors import VendorEndpoint, VendorLimits
from fishjam_agents.backends.vendors.endpoint import fingerprint
from fishjam_agents.backends.vendors.retry_after import retry_after
from fishjam_agents.errors import BackendError, ConfigError, FailureKind
from fishjam_agents.loopback import is_loopback_url
from fishjam_agents.secrecy import shown_url
from fishjam_agents.units import Seconds
from fishjam_agents.urls import is_http_url

if TYPE_CHECKING:
    import httpx2
    import openai
    from openai import AsyncOpenAI

KEY = "OPENAI_API_KEY"
ADDRESS = "OPENAI_BASE_URL"
BASE_URL = "https://api.openai.com/v1"
_ANY_KEY = "none"
"""Key of the client where there is none, because it insists on one; it is not sent."""
_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 55.0
"""Seconds a connection is kept for the next turn. The client's 5 s are soon over: each turn would wait
for three new ones. Servers that close theirs sooner are noticed."""
_SHORTEST_SECRET = 6
"""Characters; shorter texts are found in words that give nothing away."""
_KINDS: dict[int, FailureKind] = {
    401: "auth",
    403: "auth",
    **dict.fromkeys((400, 404, 405, 413, 415, 422), "config"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The settings all parts share.

    Attributes:
        base_url: Where the API is, like `http://127.0.0.1:8080/v1` of a server of one's own; without it
            OPENAI_BASE_URL, and OpenAI's if that is not set either.
        api_key: The key, sent as `Authorization: Bearer …`; without it OPENAI_API_KEY, and with a `base_url`
            of one's own none.
        api_key_file: A file that holds the key, in place of `api_key`; each connection and each request of a
            part reads it.
        headers: Further headers of every request: `api-key` for Azure. Shown nowhere.
        query: Further fields of every address: `api-version` for Azure. Shown nowhere.
        timeout: Seconds until an answer must begin, and between two pieces of it.
        limits: Limits of the account, for all calls of a process.
    """

    loads: ClassVar[Sequence[str]] = (
        "openai",
        "openai.resources.chat.chat",
        "openai.resources.audio.audio",
        # What its HTTP client imports with its first connection.
        "httpcore2",
        "anyio._backends._asyncio",
        "fishjam_agents_openai.loading",
    )

    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    api_key_file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: Seconds = 10.0
    limits: VendorLimits = VendorLimits()  # noqa: RUF009 - frozen

    def check(self) -> None:
        """Verify address and key.

        Raises:
            ConfigError: There is no key, or no such address.
        """
        check_key_file(self.api_key, self.api_key_file)
        if not is_http_url(self.address):
            name = ADDRESS if self.base_url is None else "base_url"
            shown = shown_url(self.address)
            raise ConfigError(f"{name} {shown!r} is no address: write it like {BASE_URL}")
        if self.timeout <= 0:
            raise ConfigError(f"timeout must be above 0, not {self.timeout:g}: write seconds, such as 10")
        if self.address == BASE_URL and not self._key() and not self.headers:
            raise ConfigError(f"there is no key for OpenAI: set {KEY} or api_key, or a base_url of your own")

    @property
    def endpoint(self) -> VendorEndpoint:
        """The account: each kind of request has limits of its own, and may fail by itself."""
        secrets = (self._key(), *self.headers.values(), *self.query.values())
        return VendorEndpoint(f"OpenAI {type(self).__name__}", self.address, fingerprint(*secrets))

    def describe(self) -> str:
        """Return model, voice and address, for `check`."""
        named = ((name, getattr(self, name, None)) for name in ("model", "voice"))
        shown = ", ".join(f"{name} {value}" for name, value in named if value)
        return f"{shown} at {shown_url(self.address)}"

    @property
    def address(self) -> str:
        """Base URL of the API."""
        return self.base_url or os.environ.get(ADDRESS) or BASE_URL

    def source(self, what: str) -> str:
        """Return a request and its server, for messages: "speech from http://127.0.0.1:8880/v1".

        What may be a key is left out of the address: its query, and what precedes an `@`.
        """
        parts = urlsplit(self.address)
        return f"{what} from {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def _key(self) -> str | None:
        if self.api_key is not None:
            return self.api_key
        if self.api_key_file is not None:
            return read_key(self.api_key_file)
        # A key of OpenAI's is nobody else's business; who moves the address in the environment moves the key.
        return os.environ.get(KEY) if self.base_url in (None, BASE_URL) else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must be in no message: whatever may be a key."""
        given = (self._key(), *self.headers.values(), *self.query.values())
        return tuple(text for text in given if text and len(text) >= _SHORTEST_SECRET)

    @property
    def besides(self) -> dict[str, Any]:
        """Options of each request of the client besides its own arguments: headers and query.

        Also `client.realtime.connect` takes them so.
        """
        import openai

        left_out: dict[str, Any] = {}
        if not self._key():
            left_out["authorization"] = openai.Omit()
        if self.address != BASE_URL:
            # The client takes them from the environment; they are for OpenAI alone.
            left_out |= {"openai-organization": openai.Omit(), "openai-project": openai.Omit()}
        own = {name.lower(): value for name, value in self.headers.items()}
        return {"extra_headers": left_out | own, "extra_query": dict(self.query)}

    def renew(self, client: AsyncOpenAI) -> None:
        """Let a client have the key as it is now: its file may have changed."""
        client.api_key = self._key() or _ANY_KEY

    async def load(self) -> None:
        """Import `loads` in a thread."""
        await asyncio.to_thread(_load, self.loads)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncOpenAI]:
        """A client for the length of a call; its connections are closed at the end."""
        # Loading it takes most of a second, once, in which other calls go on.
        await self.load()
        import httpx2
        import openai

        from fishjam_agents_openai.loading import TLS

        # A proxy of the environment would be asked for this machine's own servers, too.
        http = openai.DefaultAsyncHttpx2Client(
            trust_env=not is_loopback_url(self.address),
            verify=TLS,
            # Headers that hold a key by another name than `Authorization` would go along.
            follow_redirects=False,
            limits=httpx2.Limits(keepalive_expiry=_IDLE_SECONDS),
        )
        async with openai.AsyncOpenAI(
            api_key=self._key() or _ANY_KEY,
            base_url=self.address,
            timeout=openai.Timeout(self.timeout, connect=min(self.timeout, _CONNECT_SECONDS)),
            # What has to be tried again is tried with another part, not behind the caller's back.
            max_retries=0,
            http_client=http,
        ) as client:
            yield client


def _without_query(record: logging.LogRecord) -> bool:
    """Leave the query out of every address of a record."""
    import httpx2

    if isinstance(record.args, tuple):
        record.args = tuple(
            each.copy_with(query=None) if isinstance(each, httpx2.URL) else each for each in record.args
        )
    return True


def _load(names: Sequence[str]) -> None:
    """Load what the first request of a process would wait for."""
    for name in names:
        # What has another name in another version is then loaded by whoever needs it.
        with suppress(ImportError):
            importlib.import_module(name)
    # It logs each request with its whole address; what `Access.query` holds may be a key.
    logging.getLogger("httpx2").addFilter(_without_query)


_ONCE = frozenset({"content_filter", "content_policy_violation"})
"""Codes of refusals that concern one request: the next one may be answered."""
_LONGEST_QUOTE = 200
_FULL = re.compile(
    r"context[ _-]?(length|size|window)|maximum (model|input) length|longer than the (maximum )?model"
    r"|prompt is too long|reduce the length of|reduce your message size|too large for model"
    r"|input token count .* exceeds|max_new_tokens. must be|tokens to keep from the initial prompt"
    r"|exceed_context_size",
    re.IGNORECASE,
)
"""Sentences of servers for a conversation that is too long: OpenAI, Groq, DeepSeek, Mistral, Gemini,
llama.cpp, vLLM, SGLang, TGI, LM Studio, Ollama."""


@contextmanager
def as_backend_errors(what: str, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Turn the client's errors into ours.

    Args:
        what: What is asked for, and of whom (`Access.source`).
        secrets: Texts that are left out of messages, whoever quotes them.

    Raises:
        BackendError: With a kind, and a sentence that says what to do.
    """
    import httpx2
    import openai

    def quoted(said: object) -> str:
        lines = str(said).split("\n")
        text = next((line.strip() for line in lines if line.strip()), type(said).__name__)
        for secret in secrets:
            text = text.replace(secret, "***")
        return text[:_LONGEST_QUOTE]

    try:
        yield
    except openai.APITimeoutError as error:
        raise BackendError(f"{what} did not come in time: try again", retryable=True) from error
    except openai.APIConnectionError as error:
        raise BackendError(
            f"{what} cannot be had ({quoted(error.__cause__ or error)}): is the server running?",
            retryable=True,
        ) from error
    except openai.APIStatusError as error:
        raise _refusal(what, error, quoted(error.message)) from error
    except openai.APIError as error:
        if _is_full(error, quoted(error.message)):
            raise _full(what, quoted(error.message)) from error
        raise BackendError(
            f"{what} broke off ({quoted(error.message)}): try again", retryable=True
        ) from error
    except httpx2.HTTPError as error:
        raise BackendError(f"{what} broke off ({quoted(error)}): try again", retryable=True) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BackendError(f"{what} is not readable ({quoted(error)}): try again", retryable=True) from error


def _refusal(what: str, error: openai.APIStatusError, said: str) -> BackendError:
    status = error.status_code
    wish = retry_after(error.response.headers)
    if status in (402, 429):
        empty = status == 402 or error.code == "insufficient_quota"
        advice = "see the limits of the account" if wish is None else f"try again in {wish:.0f} s"
        return BackendError(
            f"{what} was refused: too many requests, or no credit ({said}): {advice}",
            retryable=not empty,
            failure="quota",
            retry_after=wish,
        )
    if _is_full(error, said):
        return _full(what, said)
    kind = _KINDS.get(status)
    if kind == "auth":
        return BackendError(f"{what} was refused: the key is not accepted ({said}): check it", failure=kind)
    if kind is not None:
        return BackendError(
            f"{what} was refused ({said}): check the settings",
            retryable=error.code in _ONCE,
            failure=kind,
        )
    return BackendError(
        f"{what} failed at the server, status {status} ({said}): try again", retryable=True, retry_after=wish
    )


def _is_full(error: openai.APIError, said: str) -> bool:
    named = {str(error.code), str(error.type)}
    return bool(named & {"context_length_exceeded", "exceed_context_size_error"} or _FULL.search(said))


def _full(what: str, said: str) -> ContextFullError:
    return ContextFullError(
        f"{what} was refused: there is no room for the conversation ({said}): shorten the instructions, "
        "lower history or the max_result of tools, or give the server a longer context",
        retryable=True,
        failure="config",
    )


def expect_no_page(what: str, response: httpx2.Response) -> None:
    """Refuse a web page in place of an answer.

    Raises:
        BackendError: It is one: the address is of something else.
    """
    if response.headers.get("content-type", "").startswith("text/html"):
        raise page(what)


def page(what: str) -> BackendError:
    """A web page came in place of an answer."""
    return BackendError(f"{what} is a web page: check base_url, which mostly ends with /v1", failure="config")

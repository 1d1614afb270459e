"""Opening a connection: Google's client, the setup under a deadline, resuming, and seeding a new session."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import ssl
import warnings
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi

from fishjam_agents.backends.port import BackendContext, BackendWarning, ToolCallCancelled
from fishjam_agents.errors import BackendError
from fishjam_agents.secrecy import guard_libraries

from .failures import classify, closed_by_service, session_is_gone
from .session import GeminiSession
from .session_continuity import SessionContinuity
from .settings import GeminiSettings
from .setup import live_config

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.live import AsyncSession
    from google.genai.types import HttpOptionsDict


logger = logging.getLogger(__name__)

MEMORY = "gemini"
"""The name in `BackendContext.memory`."""
MAX_FRAME = 16 * 2**20
"""Bytes of the largest message that is taken; the client's own limit of 1 MiB is less than a long reply."""
_PING_INTERVAL = 20.0
_PING_TIMEOUT = 60.0
"""Seconds for a pong. The service is slow with it under load; a turn without answer is noticed sooner."""
CLOSE_TIMEOUT = 1.0
SHORT_LIFE = 10.0
"""A resumed session that is followed by another within so many seconds is not worth resuming again."""
_STUMBLES = 2
"""Attempts to resume a session at which the service fails, after which a new one is begun."""


async def dial(settings: GeminiSettings, context: BackendContext, stack: AsyncExitStack) -> GeminiSession:
    """Open a session on `stack`.

    Raises:
        BackendError: It cannot be opened.
    """
    memory: SessionContinuity | None = context.memory.get(MEMORY)
    if memory is None:
        memory = context.memory[MEMORY] = SessionContinuity()
        if context.conversation is not None:
            memory.continues(context.conversation, asyncio.get_running_loop().time())
    key = None if settings.vertex is not None else settings.key()
    # The import takes half a second and the client reads certificates: not in the loop that plays audio.
    try:
        client = await asyncio.to_thread(_make_client, settings, key)
    except Exception as error:
        # Its libraries raise whatever theirs do; `classify` tells what that means.
        raise _refused(error, settings, key) from error
    stack.push_async_callback(client.aio.aclose)
    stack.callback(client.close)
    now = asyncio.get_running_loop().time()
    if memory.model not in (None, settings.model):
        # A session is resumed with the model that it has (Live API guide, session resumption).
        memory.handle = None
    memory.model = settings.model
    if memory.resumed_at is not None and now - memory.resumed_at < SHORT_LIFE:
        memory.handle = None
    handle = memory.usable_handle(now) if settings.resumption else None
    live, resumed = await _Dialer(settings, context, memory, client, key, stack).open(handle)
    memory.opened += 1
    memory.resumed_at = now if resumed else None
    session = GeminiSession(settings, context, memory, live, key)
    await session.begin(resumed=resumed, history=_history(settings, memory))
    return session


@dataclass(frozen=True, slots=True)
class _Dialer:
    """Connects for one session.

    Attributes:
        settings: The backend.
        context: The call.
        memory: What is known of earlier sessions.
        client: Google's client.
        key: The key, which no message may show.
        stack: What closes the connection.
    """

    settings: GeminiSettings
    context: BackendContext
    memory: SessionContinuity
    client: Client
    key: str | None = field(repr=False)
    stack: AsyncExitStack

    async def open(self, handle: str | None) -> tuple[AsyncSession, bool]:
        """Connect, with the handle if there is one and it is accepted; whether the session was resumed."""
        memory = self.memory
        if handle is not None:
            try:
                live = await self._connect(handle)
                memory.stumbles = 0
                self._take_back(memory.forget_uncovered())
                return live, True
            except BackendError as error:
                memory.stumbles += closed_by_service(error)
                passes = error.failure in ("network", "quota", "auth") and memory.stumbles < _STUMBLES
                if passes and not session_is_gone(error):
                    raise
                logger.info("The session cannot be resumed, a new one is begun: %s", error)
                self.context.emit(
                    BackendWarning(
                        f"the session could not be resumed: a new one is told what was said ({error})"
                    )
                )
                self.context.vendors.asked_again(self.settings.endpoint)
        live = await self._connect(None)
        memory.stumbles = 0
        if memory.opened:
            self._take_back(memory.forget_session())
        memory.handle = None
        return live, False

    def _take_back(self, calls: Sequence[str]) -> None:
        for call in calls:
            self.context.emit(ToolCallCancelled(call, lost=True))

    async def _connect(self, handle: str | None) -> AsyncSession:
        from google.genai import types

        settings, context, memory = self.settings, self.context, self.memory
        config = live_config(
            settings,
            turn_mode=context.turn_mode,
            instructions=context.instructions,
            tools=context.tools,
            handle=handle,
            seeding=handle is None and bool(_history(settings, memory)),
        )
        guard_libraries()
        try:
            with warnings.catch_warnings():
                # The client calls ephemeral tokens experimental at each use.
                warnings.simplefilter("ignore")
                async with asyncio.timeout(settings.setup_timeout):
                    live = await self.stack.enter_async_context(
                        self.client.aio.live.connect(
                            model=settings.model, config=types.LiveConnectConfig.model_validate(config)
                        )
                    )
        except Exception as error:
            # Its libraries raise whatever theirs do; `classify` tells what that means.
            raise _refused(error, settings, self.key, resuming=handle is not None) from error
        if live.setup_complete is None:
            raise BackendError(
                "the service answered the setup with something else",
                subject="Gemini:",
                action="check base_url and api_version",
                retryable=True,
                failure="protocol",
            )
        return live


def _refused(
    error: Exception, settings: GeminiSettings, key: str | None, *, resuming: bool = False
) -> BackendError:
    if isinstance(error, TimeoutError):
        return BackendError(
            f"no answer to the setup within {settings.setup_timeout:g} s",
            subject="Gemini:",
            action="check base_url",
            retryable=True,
            failure="network",
        )
    return classify(error, model=settings.model, opening=True, resuming=resuming, secret=key)


def _history(settings: GeminiSettings, memory: SessionContinuity) -> list[tuple[str, str]]:
    """Return the history that a session that is not resumed is given."""
    return [(said.role, said.text) for said in settings.history] + memory.transcript


def _trust() -> ssl.SSLContext:
    """Return the context of all connections: half a megabyte that takes longer to read than to connect.

    The certificates are those that Google's client would read for itself, each time.
    """
    file = os.environ.get("SSL_CERT_FILE") or certifi.where()
    return _read_trust(file, os.environ.get("SSL_CERT_DIR"), Path(file).stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read_trust(file: str, folder: str | None, changed: int) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=file, capath=folder)


def _make_client(settings: GeminiSettings, key: str | None) -> Client:
    # This runs in a thread; the loop would stand still for it.
    importlib.import_module(f"{__package__}.loading")
    from fishjam_agents.backends.direct_socket import DirectConnection

    from .integration import GeminiIntegration

    sockets: dict[str, Any] = {
        "create_connection": DirectConnection,
        "max_size": MAX_FRAME,
        "ping_interval": _PING_INTERVAL,
        "ping_timeout": _PING_TIMEOUT,
        "close_timeout": CLOSE_TIMEOUT,
        "compression": None,
    }
    options: HttpOptionsDict = {"async_client_args": sockets}
    if settings.vertex is None:
        # Each client would read them twice and more, for HTTP as well, which is not used. That of Vertex AI
        # may have a certificate of its own to show.
        trusted = _trust()
        sockets |= {"ssl": trusted, "verify": trusted}
        options["client_args"] = {"verify": trusted}
    if settings.base_url is not None:
        options["base_url"] = settings.base_url
    if settings.api_version is not None:
        options["api_version"] = settings.api_version
    elif key is not None and key.startswith("auth_tokens/"):
        # The only version that takes ephemeral tokens.
        options["api_version"] = "v1alpha"
    if settings.vertex is not None:
        place = settings.vertex
        return GeminiIntegration.create_client(
            vertexai=True, project=place.project, location=place.location, http_options=options
        )
    return GeminiIntegration.create_client(vertexai=False, api_key=key, http_options=options)

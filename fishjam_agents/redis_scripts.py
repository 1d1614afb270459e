"""Redis as the store of several machines: Lua scripts, each done whole or not at all, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fishjam_agents.errors import MissingExtraError
from fishjam_agents.secrecy import shown_url

CONNECT_SECONDS = 2.0
"""Seconds that a connection has to be made."""
DEADLINE = 6.0
"""Seconds that one script may take, its connection included."""


class RedisProblemError(Exception):
    """A script has no answer.

    Args:
        reason: What is wrong.
        is_unsure: Whether the script may have run nevertheless.
    """

    def __init__(self, reason: str, *, is_unsure: bool) -> None:
        super().__init__(reason)
        self.is_unsure = is_unsure


class RedisScripts:
    """Scripts in one Redis. Connections are made when they are needed, again after one is lost.

    Scripts run one after the other in Redis, and nothing comes between their commands (Redis docs, Scripting
    with Lua). One that is refused for want of memory has written nothing: that is found at its first write.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, as redis-py reads it; deadlines, retries and the form
            of answers are ours, whatever its options say.
        feature: The setting that needs it, for a message.

    Attributes:
        shown: The address for messages, without its password.

    Raises:
        MissingExtraError: `redis` is not installed.
        ValueError: The URL cannot be used.
    """

    def __init__(self, url: str, feature: str) -> None:
        try:
            from redis.asyncio import ConnectionPool, Redis
            from redis.asyncio.connection import parse_url
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError as error:
            raise MissingExtraError(feature, "redis") from error
        self.shown = shown_url(url)
        # `from_url` would let the options of the URL win.
        options: dict[str, Any] = {
            **parse_url(url),
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": DEADLINE,
            "protocol": 2,
            "decode_responses": False,
            "encoding": "utf-8",
            # One more attempt: a connection that was idle may have been closed by whatever is in between.
            "retry": Retry(NoBackoff(), 1),
        }
        pool = ConnectionPool(**options)
        try:
            # It connects to nothing yet.
            pool.make_connection()  # type: ignore[no-untyped-call]
        except TypeError as error:
            raise ValueError(f"it has an option that there is not ({error})") from error
        self._redis: Redis = Redis.from_pool(pool)
        self._loaded: dict[str, Any] = {}

    async def run(self, script: str, keys: Sequence[str], values: Sequence[str | bytes | float]) -> Any:
        """Run a script.

        Args:
            script: Its Lua text.
            keys: `KEYS`.
            values: `ARGV`.

        Returns:
            Whole numbers as int, texts as bytes, nil as None, tables as lists.

        Raises:
            RedisProblemError: There is no answer, or it is an error.
        """
        from redis.exceptions import RedisError, ResponseError

        loaded = self._loaded.get(script)
        if loaded is None:
            loaded = self._loaded[script] = self._redis.register_script(script)
        try:
            async with asyncio.timeout(DEADLINE):
                return await loaded(keys, values)
        except ResponseError as error:
            raise RedisProblemError(str(error), is_unsure=False) from error
        except TimeoutError as error:
            raise RedisProblemError("it does not answer", is_unsure=True) from error
        except (RedisError, OSError) as error:
            raise RedisProblemError(str(error) or type(error).__name__, is_unsure=True) from error

    async def close(self) -> None:
        """Close the connections."""
        with suppress(Exception):
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._redis.aclose()

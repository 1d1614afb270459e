"""Claims of rooms in a Redis, for the processes of many machines.

Times are those of Redis, the one clock that all machines share. Under `{fishjam-agents}:claims:FISHJAM:`
stand the hashes `owner` and `agent` by room, the sorted set `ends`, a set `held:OWNER` for each process, and
`closed:OWNER` for one that has closed: what it had asked for and arrives later takes nothing.
The name of a process is the fencing token: no two have the same, and whatever is written says whose it is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from fishjam_agents.redis_scripts import RedisProblemError, RedisScripts
from fishjam_agents.worker.claims import Claimed, ClaimStoreError, HeldElsewhere
from fishjam_agents.worker.sqlite_claims import LIFETIME, RENEWALS

logger = logging.getLogger(__name__)

_VERSION = 1
"""Format of the keys."""
_PREFIX = "{fishjam-agents}:claims"
_FORGOTTEN = 7 * 86400000
"""Milliseconds after which claims are deleted that nobody cares for."""
_CLOSED = 3600000
"""Milliseconds for which it is known that a process has closed: no request of it is under way for so long."""

# KEYS: format, owner, agent, ends. ARGV: version, prefix of keys, owner, lifetime, clock of tests or "".
_HEAD = """
local found = redis.call('GET', KEYS[1])
if not found then
    redis.call('SET', KEYS[1], ARGV[1])
elseif tonumber(found) > tonumber(ARGV[1]) then
    return redis.error_reply('NEWER it is of format ' .. found .. ', newer than this program')
end
local prefix, me, lifetime, now = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
if not now then
    local time = redis.call('TIME')
    now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local closed = prefix .. ':closed:' .. me
local is_closed = redis.call('EXISTS', closed) == 1
local function holds(ends)
    -- An end that lies further away than a claim can last was written before the clock was set back.
    return ends and tonumber(ends) > now and tonumber(ends) <= now + lifetime
end
local function take(room)
    local owner = redis.call('HGET', KEYS[2], room)
    if owner and owner ~= me then redis.call('SREM', prefix .. ':held:' .. owner, room) end
    redis.call('HSET', KEYS[2], room, me)
    redis.call('ZADD', KEYS[4], now + lifetime, room)
    redis.call('SADD', prefix .. ':held:' .. me, room)
    for index = 2, 4 do redis.call('PEXPIRE', KEYS[index], FORGOTTEN) end
    redis.call('PEXPIRE', prefix .. ':held:' .. me, FORGOTTEN)
end
local function drop(room)
    redis.call('HDEL', KEYS[2], room)
    redis.call('HDEL', KEYS[3], room)
    redis.call('ZREM', KEYS[4], room)
    redis.call('SREM', prefix .. ':held:' .. me, room)
end
""".replace("FORGOTTEN", str(_FORGOTTEN))
_ACQUIRE = (
    _HEAD
    + """
local room = ARGV[6]
local owner, ends = redis.call('HGET', KEYS[2], room), redis.call('ZSCORE', KEYS[4], room)
if owner and owner ~= me and holds(ends) then return {0, tostring(ends - now)} end
if is_closed then return {0, tostring(lifetime)} end
take(room)
return {1, redis.call('HGET', KEYS[3], room)}
"""
)
_NOTE = (
    _HEAD
    + """
local room, agent = ARGV[6], ARGV[7]
if is_closed or redis.call('HGET', KEYS[2], room) ~= me then return 0 end
take(room)
if agent then redis.call('HSET', KEYS[3], room, agent) else redis.call('HDEL', KEYS[3], room) end
return 1
"""
)
_RENEW = (
    _HEAD
    + """
-- Also what has expired meanwhile: it is still ours, since nobody has taken it.
-- Where Redis has lost it, it is noted anew, as long as nobody else has come first.
local held = {}
if is_closed then return held end
for index = 6, #ARGV, 2 do
    local room, agent = ARGV[index], ARGV[index + 1]
    local owner = redis.call('HGET', KEYS[2], room)
    if not owner or owner == me then
        take(room)
        if not owner and agent ~= '' then redis.call('HSET', KEYS[3], room, agent) end
        held[#held + 1] = room
    end
end
return held
"""
)
_RELEASE = (
    _HEAD
    + """
if redis.call('HGET', KEYS[2], ARGV[6]) == me then drop(ARGV[6]) end
return 1
"""
)
_TAKE_EXPIRED = (
    _HEAD
    + """
local taken = {}
if is_closed then return taken end
local function look(rooms)
    for _, room in ipairs(rooms) do
        if redis.call('HGET', KEYS[2], room) ~= me then
            take(room)
            taken[#taken + 1] = {room, redis.call('HGET', KEYS[3], room)}
        end
    end
end
look(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now))
look(redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. string.format('%.17g', now + lifetime), '+inf'))
return taken
"""
)
_EXPIRE = (
    _HEAD
    + """
for _, room in ipairs(redis.call('SMEMBERS', prefix .. ':held:' .. ARGV[6])) do
    if redis.call('HGET', KEYS[2], room) == ARGV[6] then redis.call('ZADD', KEYS[4], 0, room) end
end
return 1
"""
)
_CLOSE = (
    _HEAD
    + """
redis.call('SET', closed, 1, 'PX', CLOSED)
for _, room in ipairs(redis.call('SMEMBERS', prefix .. ':held:' .. me)) do
    if redis.call('HGET', KEYS[2], room) == me then
        -- Those with an agent are left to whoever deletes it.
        if redis.call('HEXISTS', KEYS[3], room) == 1 then
            redis.call('ZADD', KEYS[4], 0, room)
        else
            drop(room)
        end
    end
end
return 1
""".replace("CLOSED", str(_CLOSED))
)


@dataclass(frozen=True, slots=True, eq=False)
class _Noted:
    """Our knowledge of a claim of ours, told apart by identity."""

    agent: str | None


class RedisClaims:
    """Claims of one process; see `Claims`.

    Redis is asked of nothing before the first claim.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`.
        fishjam: Base URL of the server whose rooms they are.
        owner: Name of the process, different from that of every other one; None makes one.
        lifetime: Seconds a claim holds without being renewed; the same for all who share the Redis.
        clock: Seconds of a clock that all processes share; None takes that of Redis.

    Attributes:
        owner: Name of the process.

    Raises:
        ClaimStoreError: The URL cannot be used.
        MissingExtraError: `redis` is not installed.
    """

    def __init__(
        self,
        url: str,
        fishjam: str,
        owner: str | None = None,
        *,
        lifetime: float = LIFETIME,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.owner = owner or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(6)}"
        self._lifetime = lifetime
        self._clock = clock
        self._prefix = f"{_PREFIX}:{fishjam}"
        # What we hold, as far as we know: a Redis that comes back empty is told of it.
        self._held: dict[str, _Noted] = {}
        self._renewing = asyncio.Lock()
        try:
            self._redis = RedisScripts(url, "workers.claims")
        except ValueError as error:
            raise ClaimStoreError(f"workers.claims cannot be used: {error}") from error

    @property
    def renew_interval(self) -> float:
        """Part of `Claims`."""
        return self._lifetime / RENEWALS

    @property
    def clear_interval(self) -> float:
        """Part of `Claims`."""
        return self.renew_interval

    async def acquire(self, room_id: str) -> Claimed | HeldElsewhere:
        """Part of `Claims`."""
        is_ours, found = await self._run(_ACQUIRE, [room_id])
        if not is_ours:
            return HeldElsewhere(float(found))
        agent = None if found is None else found.decode()
        self._held[room_id] = _Noted(agent)
        return Claimed(agent)

    async def note_agent(self, room_id: str, agent_id: str | None) -> bool:
        """Part of `Claims`."""
        noted = bool(await self._run(_NOTE, [room_id] if agent_id is None else [room_id, agent_id]))
        if noted:
            self._held[room_id] = _Noted(agent_id)
        else:
            self._held.pop(room_id, None)
        return noted

    async def renew(self) -> Set[str]:
        """Part of `Claims`."""
        async with self._renewing:
            asked = dict(self._held)
            values = [value for room, noted in asked.items() for value in (room, noted.agent or "")]
            held = {room.decode() for room in await self._run(_RENEW, values)}
        for room in asked.keys() - held:
            # It may have been claimed anew meanwhile.
            if self._held.get(room) is asked[room]:
                del self._held[room]
        return held

    async def release(self, room_id: str) -> None:
        """Part of `Claims`."""
        # One that is under way may come later, and would claim the room anew.
        async with self._renewing:
            self._held.pop(room_id, None)
        await self._run(_RELEASE, [room_id])

    async def take_expired(self) -> Sequence[tuple[str, str | None]]:
        """Part of `Claims`."""
        found = await self._run(_TAKE_EXPIRED, [])
        taken = [(room.decode(), None if agent is None else agent.decode()) for room, agent in found]
        self._held.update((room, _Noted(agent)) for room, agent in taken)
        return taken

    async def expire(self, owner: str) -> None:
        """End the claims of a process that is known to be gone; who takes them deletes its agents.

        Args:
            owner: Name of the process.
        """
        await self._run(_EXPIRE, [owner])

    async def close(self) -> None:
        """Part of `Claims`. What a Redis that is away is not told ends by itself, after its lifetime."""
        try:
            await self._run(_CLOSE, [])
        except ClaimStoreError as error:
            logger.warning(
                "claims of this process are not given up, and end within %g s: %s", self._lifetime, error
            )
        finally:
            await self._redis.close()

    async def _run(self, script: str, values: Sequence[str]) -> Any:
        clock = "" if self._clock is None else repr(self._clock())
        keys = [f"{_PREFIX}:format", *(f"{self._prefix}:{name}" for name in ("owner", "agent", "ends"))]
        common: list[str | float] = [_VERSION, self._prefix, self.owner, repr(self._lifetime), clock]
        try:
            return await self._redis.run(script, keys, [*common, *values])
        except RedisProblemError as error:
            raise ClaimStoreError(
                f"the claims in {self._redis.shown} cannot be used ({error}): see that Redis runs and "
                "workers.claims is right"
            ) from error

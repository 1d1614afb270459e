"""Webhooks: a room's notifications posted to its URL, in order, signed, retried, alone or in batches.

Source: Fishjam's docs and its AI skills. It publishes neither the window nor the size of its batches nor
the deadline of a request; the constants that stand for them are our choice.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING

from ..protocol import decode, encode
from ..protocol.generated import notifications as schema
from ..secrecy import guard_libraries
from .tasks import Tasks

if TYPE_CHECKING:
    import httpx

_log = logging.getLogger(__name__)

ATTEMPTS = 8
"""Number of times one message is posted at most."""

TOTAL_SECONDS = 30.0
"""Seconds one message may take with all its attempts."""

ATTEMPT_SECONDS = 10.0
"""Seconds one attempt may take."""

BACKOFF_SECONDS = 0.2
"""Mean wait before the second attempt; each further one doubles it, so all eight fit into 30 s."""

VAD_SECONDS = 0.5
"""Seconds voice activity may take; it is posted once, alone, and lost if that fails."""

_VAD_TAG = bytes.fromhex("8202")
"""First bytes of a `ServerMessage` with voice activity: field 32, a submessage."""

BATCH_SECONDS = 0.05
"""Seconds a batch waits for further messages."""

BATCH_MESSAGES = 100
"""The most notifications in a batch."""

QUEUE_MESSAGES = 1000
"""Messages that may wait for one slow endpoint; beyond that the oldest is dropped and counted."""


@dataclass(frozen=True, slots=True)
class Target:
    """Destination of notifications.

    Attributes:
        url: What they are posted to.
        batched: Whether they are posted in batches.
    """

    url: str
    batched: bool = False

    @property
    def shown(self) -> str:
        """The URL without what may be secret in it."""
        return self.url.partition("?")[0].rpartition("@")[2]


@dataclass(slots=True)
class _Line:
    """Messages that wait for one target, in the order they happened."""

    target: Target
    waiting: deque[bytes] = field(default_factory=deque)


class Webhooks:
    """Posts notifications: one request at a time for each room, rooms beside each other.

    Args:
        secret: Key of the signature.
        tasks: Who owns the deliveries; nothing is posted while it does not run.
        target: Where notifications of a room go, by its id; None is nowhere.

    Attributes:
        delivered: Requests that were answered with a 2xx.
        failed: Requests given up.
        dropped: Notifications dropped because too many waited.
    """

    def __init__(self, secret: str, tasks: Tasks, target: Callable[[str], Target | None]) -> None:
        self.delivered = 0
        self.failed = 0
        self.dropped = 0
        self._secret = secret.encode()
        self._tasks = tasks
        self._target = target
        self._lines: dict[str, _Line] = {}
        self._random = random.Random()

    def notify(self, room_id: str, message: bytes) -> None:
        """Post an encoded `ServerMessage` after those before it. Part of `notifications.Subscriber`."""
        target = self._target(room_id)
        if target is None or not self._tasks.running:
            return
        line = self._lines.get(room_id)
        if line is None:
            line = self._lines[room_id] = _Line(target)
            self._tasks.spawn(self._deliver(room_id, line), f"the webhooks of room {room_id}")
        if len(line.waiting) == QUEUE_MESSAGES:
            line.waiting.popleft()
            self.dropped += 1
            if self.dropped == 1:
                _log.warning("%s answers too slowly: its oldest webhooks are dropped", target.shown)
        line.waiting.append(message)

    async def _deliver(self, room_id: str, line: _Line) -> None:
        try:
            # Importing httpx and reading certificates takes long enough to be heard in the rooms.
            httpx, client = await asyncio.to_thread(_http_client, line.target.url)
            async with client:
                while line.waiting:
                    if line.waiting[0].startswith(_VAD_TAG):
                        await self._post(httpx, client, line.target, line.waiting.popleft(), 1, VAD_SECONDS)
                        continue
                    messages = [line.waiting.popleft()]
                    if line.target.batched:
                        await asyncio.sleep(BATCH_SECONDS)
                        _fill(messages, line.waiting)
                    body = _batch(messages) if line.target.batched else messages[0]
                    await self._post(httpx, client, line.target, body, ATTEMPTS, TOTAL_SECONDS)
                # Before the client closes: what happens from now on begins a new line.
                del self._lines[room_id]
        finally:
            if self._lines.get(room_id) is line:
                del self._lines[room_id]

    async def _post(
        self,
        httpx: ModuleType,
        client: httpx.AsyncClient,
        target: Target,
        body: bytes,
        attempts: int,
        seconds: float,
    ) -> None:
        headers = {
            "content-type": "application/x-protobuf",
            "x-fishjam-signature-256": "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest(),
        }
        problem = "no answer"
        try:
            async with asyncio.timeout(seconds):
                for attempt in range(attempts):
                    if attempt:
                        wait = BACKOFF_SECONDS * 2 ** (attempt - 1)
                        await asyncio.sleep(wait * self._random.uniform(0.5, 1.5))
                    try:
                        async with (
                            asyncio.timeout(ATTEMPT_SECONDS),
                            # The body of the answer is nobody's business and may be endless.
                            client.stream("POST", target.url, content=body, headers=headers) as answer,
                        ):
                            status = answer.status_code
                    except (httpx.TransportError, TimeoutError) as error:
                        problem = str(error) or type(error).__name__
                        continue
                    if 200 <= status < 300:
                        self.delivered += 1
                        return
                    problem = f"HTTP {status}"
                    if status < 500:
                        break
        except TimeoutError:
            pass
        except (httpx.InvalidURL, httpx.HTTPError, ValueError, OverflowError) as error:
            problem = str(error)
        self.failed += 1
        _log.warning("a webhook to %s failed and is given up (%s): check the endpoint", target.shown, problem)


def _http_client(url: str) -> tuple[ModuleType, httpx.AsyncClient]:
    import httpx

    guard_libraries()
    # Certificates only where they are looked at; proxies of the environment lead out of this machine.
    client = httpx.AsyncClient(
        verify=url.startswith("https"), timeout=ATTEMPT_SECONDS, follow_redirects=False, trust_env=False
    )
    return httpx, client


def _fill(messages: list[bytes], waiting: deque[bytes]) -> None:
    """Add what waits, up to the size of a batch or to voice activity, which is never in one."""
    while waiting and len(messages) < BATCH_MESSAGES and not waiting[0].startswith(_VAD_TAG):
        messages.append(waiting.popleft())


def _batch(messages: list[bytes]) -> bytes:
    notifications = [decode(schema.ServerMessage, message) for message in messages]
    batch = schema.ServerMessageNotificationBatch(notifications=notifications)
    return encode(schema.ServerMessage(notification_batch=batch))

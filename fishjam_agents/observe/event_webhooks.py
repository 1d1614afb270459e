"""Chosen events of calls, posted to the user's receivers as they happen: in order, signed, bounded."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from fishjam_agents.events import Event
from fishjam_agents.loopback import is_loopback_url
from fishjam_agents.observe.settings import WebhookSettings
from fishjam_agents.observe.timeline import shown_event
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.secrecy import shown_url
from fishjam_agents.signed_post import post_signed

logger = logging.getLogger(__name__)

BACKLOG = 1000
"""Events of one call that may wait for one receiver; what is older is dropped."""
CLOSE_DEADLINE = 10.0
"""Seconds that receivers have at the end of the program."""


class EventWebhooks:
    """Posts events of the calls of a process.

    Args:
        settings: The receivers, and what each wants.
    """

    def __init__(self, settings: Sequence[WebhookSettings]) -> None:
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()

    def observe(self, pipeline: AgentPipeline, room: str, bot: str = "agent") -> None:
        """Post what is wanted of a call that has not begun yet.

        Args:
            pipeline: The bot.
            room: Id of its room.
            bot: Its name.
        """
        for settings in self._settings:
            delivery = _Delivery(settings, self._tasks)

            def take(event: Event, delivery: _Delivery = delivery) -> None:
                delivery.take(event, {"call": pipeline.call_id, "room": room, "bot": bot})

            pipeline.observers.append(take)

    async def close(self) -> None:
        """Wait until receivers have what there is, for a while."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_DEADLINE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


class _Delivery:
    """Events of one call on their way to one receiver. A task works while there are any."""

    def __init__(self, settings: WebhookSettings, tasks: set[asyncio.Task[None]]) -> None:
        self._settings = settings
        self._tasks = tasks
        self._kinds = frozenset(settings.events)
        self._waiting: deque[bytes] = deque(maxlen=BACKLOG)
        self._dropped = 0
        self._sending = False
        self._about: dict[str, Any] = {}

    def take(self, event: Event, about: dict[str, Any]) -> None:
        """Take an event; called synchronously, on the loop of the call."""
        if event.kind not in self._kinds:
            return
        self._about = about
        body = {
            "id": uuid.uuid4().hex,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **about,
            "event": shown_event(event.as_dict()),
        }
        self._dropped += len(self._waiting) == BACKLOG
        self._waiting.append(json.dumps(body).encode())
        if not self._sending:
            self._sending = True
            task = asyncio.get_running_loop().create_task(self._send(), name="webhook")
            self._tasks.add(task)
            task.add_done_callback(self._sent)

    async def _send(self) -> None:
        settings, lost = self._settings, 0
        problem: str | None = None
        try:
            async with httpx.AsyncClient(trust_env=not is_loopback_url(settings.url)) as client:
                while self._waiting:
                    body = self._waiting.popleft()
                    failed = await post_signed(client, settings.url, body, settings.secret)
                    if failed is not None:
                        problem, lost = failed, lost + 1
                # What comes from here on is sent by another task, after all that this one has.
                self._sending = False
        except asyncio.CancelledError:
            problem, lost = "the program ends", lost + len(self._waiting) + 1
            self._kinds = frozenset()
            raise
        except Exception as error:
            problem, lost = repr(error), lost + 1
            self._sending = False
            raise
        finally:
            lost += self._dropped
            self._dropped = 0
            if lost:
                logger.warning(
                    "%d events were not taken by %s: %s",
                    *(lost, shown_url(settings.url), problem or "it is too slow"),
                    extra=self._about,
                )

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            url = shown_url(self._settings.url)
            logger.error("events could not be posted to %s", url, exc_info=error, extra=self._about)

"""A web application whose rooms have a bot in them.

The lifespan owns everything that lives longer than a request: the client, the notifier, and the bots.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Request

from fishjam_agents import AgentPipeline
from fishjam_agents.backends import Parrot
from fishjam_agents.fishjam import (
    AsyncFishjamClient,
    FishjamNotifier,
    NotFoundError,
    decode_server_notifications,
    verify_webhook_signature,
)
from fishjam_agents.fishjam.events import ServerMessagePeerConnected, ServerMessagePeerDisconnected
from fishjam_agents.worker import RoomSettings, Worker

FISHJAM_ID = os.environ["FISHJAM_ID"]
MANAGEMENT_TOKEN = os.environ["FISHJAM_MANAGEMENT_TOKEN"]
WEBHOOK_SECRET = os.environ["FISHJAM_WEBHOOK_SECRET"]

log = logging.getLogger(__name__)


class Bot(AgentPipeline):
    backend = Parrot()


@dataclass
class Bots:
    """One bot for each room, in tasks of the application."""

    tasks: asyncio.TaskGroup
    workers: dict[str, Worker] = field(default_factory=dict)

    def start(self, room_id: str) -> None:
        worker = Worker(
            Bot(),
            fishjam_id=FISHJAM_ID,
            management_token=MANAGEMENT_TOKEN,
            room=RoomSettings(id=room_id),
        )
        self.workers[room_id] = worker
        self.tasks.create_task(self._run(room_id, worker))

    async def _run(self, room_id: str, worker: Worker) -> None:
        try:
            ending = await worker.run()
            log.info("the bot of room %s left: %s", room_id, ending.value)
        except Exception:
            # One bot's end is not the others'.
            log.exception("the bot of room %s failed", room_id)
        finally:
            self.workers.pop(room_id, None)

    def stop(self) -> None:
        for worker in self.workers.values():
            worker.stop()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.online = set()
    async with AsyncFishjamClient(FISHJAM_ID, MANAGEMENT_TOKEN) as client, asyncio.TaskGroup() as tasks:
        notifier = FishjamNotifier(FISHJAM_ID, MANAGEMENT_TOKEN, reconnect=True)

        @notifier.on(ServerMessagePeerConnected)
        def connected(event: ServerMessagePeerConnected) -> None:
            app.state.online.add(event.peer_id)

        @notifier.on(ServerMessagePeerDisconnected)
        def disconnected(event: ServerMessagePeerDisconnected) -> None:
            app.state.online.discard(event.peer_id)

        tasks.create_task(notifier.connect())
        await notifier.wait_ready()
        app.state.fishjam = client
        app.state.bots = Bots(tasks)
        app.state.webhooks = []
        try:
            yield
        finally:
            app.state.bots.stop()
            await notifier.close()


app = FastAPI(lifespan=lifespan)


def fishjam(request: Request) -> AsyncFishjamClient:
    return request.app.state.fishjam


Fishjam = Annotated[AsyncFishjamClient, Depends(fishjam)]


@app.post("/rooms", status_code=201)
async def create_room(fishjam: Fishjam, request: Request) -> dict[str, str]:
    """A room, with a bot that enters it."""
    room = await fishjam.create_room()
    request.app.state.bots.start(room.id)
    return {"room": room.id}


@app.post("/rooms/{room_id}/peers", status_code=201)
async def join(room_id: str, fishjam: Fishjam) -> dict[str, str]:
    """Return the peer ID and the token that a browser needs to join."""
    try:
        peer, token = await fishjam.create_peer(room_id)
    except NotFoundError as error:
        raise HTTPException(404, "there is no such room") from error
    return {"peer": peer.id, "token": token}


@app.delete("/rooms/{room_id}", status_code=204)
async def delete_room(room_id: str, fishjam: Fishjam, request: Request) -> None:
    worker = request.app.state.bots.workers.get(room_id)
    if worker is not None:
        worker.stop()
    try:
        await fishjam.delete_room(room_id)
    except NotFoundError as error:
        raise HTTPException(404, "there is no such room") from error


@app.get("/online")
async def online(request: Request) -> list[str]:
    """Ids of the connected peers, as the notifier told."""
    return sorted(request.app.state.online)


@app.post("/webhook", status_code=204)
async def webhook(request: Request, x_fishjam_signature_256: Annotated[str | None, Header()] = None) -> None:
    """Receive Fishjam's notifications, which it posts again after a 5xx, not after a 4xx."""
    body = await request.body()
    if not verify_webhook_signature(body, x_fishjam_signature_256 or "", WEBHOOK_SECRET):
        raise HTTPException(401, "wrong signature")
    for notification in decode_server_notifications(body):
        request.app.state.webhooks.append(type(notification).__name__)
        log.info("%s", type(notification).__name__)

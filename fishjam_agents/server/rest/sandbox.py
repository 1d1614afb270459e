"""The sandbox: tokens for demos that have no backend (Fishjam docs, Sandbox API, `/room-manager`).

It asks nobody who they are, so it is there where only this machine can reach the server, unless it is
switched on. Errors are plain text, which is what its clients show.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ..errors import RequestError
from ..moq import ROOT
from ..room import Room
from ..sandbox import Sandbox, moq_grant, stream_type
from .requests import path_id
from .resource import Handler, Resource, Routes

OFF = "the sandbox is off: set fishjam.sandbox, or give the server --sandbox"


class SandboxApi(Resource):
    """`/room-manager`."""

    def public_routes(self) -> Routes:
        """Routes that ask for no token."""
        base = "/room-manager"
        return {
            base: {"GET": self._plain(self._peer)},
            f"{base}/livestream": {"GET": self._plain(self._stream)},
            f"{base}/moq/{{name}}/{{kind}}": {"GET": self._plain(self._moq)},
            f"{base}/{{name}}/livestream-viewer-token": {"GET": self._plain(self._viewer)},
            f"{base}/{{rest:path}}": {"GET": self._plain(self._nothing)},
        }

    def _plain(self, answer: Callable[[Request, Sandbox], Awaitable[Response]]) -> Handler:
        async def handler(request: Request) -> Response:
            try:
                sandbox = self._context.sandbox
                if sandbox is None:
                    raise RequestError(404, OFF)
                if _may_be_anybody(request):
                    raise RequestError(403, "a browser must say whose page asks: use fetch")
                return await answer(request, sandbox)
            except RequestError as error:
                return PlainTextResponse(str(error), error.status)

        return handler

    async def _peer(self, request: Request, sandbox: Sandbox) -> Response:
        room = _room(request, sandbox, request.query_params.get("roomType"))
        name = _text(request, "peerName")
        peer = sandbox.peer(room, name)
        return JSONResponse(
            {
                "peerToken": self._context.rooms.token(room, peer),
                "peer": {"id": peer.id, "name": name},
                "room": _room_json(request, room) | {"type": room.config.room_type},
            }
        )

    async def _stream(self, request: Request, sandbox: Sandbox) -> Response:
        room = _room(request, sandbox, stream_type(request.query_params.get("roomType")))
        if room.livestream is None:
            raise RequestError(400, "the room of this name is no livestream: choose another name")
        return JSONResponse(
            {"streamerToken": room.livestream.new_token("streamer"), "room": _room_json(request, room)}
        )

    async def _viewer(self, request: Request, sandbox: Sandbox) -> Response:
        room = sandbox.livestream(path_id(request, "name"))
        assert room.livestream is not None
        return JSONResponse({"token": room.livestream.new_token("viewer")})

    async def _moq(self, request: Request, sandbox: Sandbox) -> Response:
        grant = moq_grant(path_id(request, "name"), path_id(request, "kind"))
        token = self._context.moq.token(grant)
        return JSONResponse({"connection_url": f"{self._context.url()}/{ROOT}?jwt={token}", "token": token})

    async def _nothing(self, request: Request, sandbox: Sandbox) -> Response:
        raise RequestError(404, "the sandbox has nothing here")


def _may_be_anybody(request: Request) -> bool:
    """Return whether the request may be a picture in anybody's page.

    Every browser says whose page uses `fetch` (`Origin`), but not every one whose page embeds something
    (`Sec-Fetch-Site`); and asking here makes rooms.
    """
    told = "origin" in request.headers or "sec-fetch-site" in request.headers
    return not told and request.headers.get("user-agent", "").startswith("Mozilla/")


def _room(request: Request, sandbox: Sandbox, room_type: str | None) -> Room:
    public = request.query_params.get("public", "false")
    if public not in ("true", "false"):
        raise RequestError(400, f"public must be true or false, not {public}")
    return sandbox.room(_text(request, "roomName"), room_type, public=public == "true")


def _text(request: Request, name: str) -> str:
    value = request.query_params.get(name)
    if value is None:
        raise RequestError(400, f"{name} is missing: add it to the query")
    return value


def _room_json(request: Request, room: Room) -> dict[str, str]:
    return {"id": room.id, "name": _text(request, "roomName")}

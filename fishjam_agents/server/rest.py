"""The REST API for rooms and peers (facts/fishjam-protocol.md 2)."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import RequestError
from .paths import normal_path
from .peer import strict_json
from .rooms import Rooms
from .settings import read_peer_config, read_room_config

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
"""Largest request body; no request of the API comes near it."""

Handler = Callable[[Request], Awaitable[Response]]


class RestApi:
    """The requests, one method each.

    Args:
        rooms: What they act on.
        token: The management token.
        peer_url: Called for the `peer_websocket_url` of a new peer.
    """

    def __init__(self, rooms: Rooms, token: str, peer_url: Callable[[], str]) -> None:
        self._rooms = rooms
        self._authorization = f"Bearer {token}".encode()
        self._peer_url = peer_url

    def app(self) -> ASGIApp:
        """The whole API as an ASGI application."""
        peer = "/room/{room_id}/peer/{peer_id}"
        routes = [
            Route("/validate", self._validate, methods=["GET"]),
            self._route("/room", self._list_rooms, self._create_room),
            self._route("/room/{room_id}", self._get_room, delete=self._delete_room),
            self._route("/room/{room_id}/peer", post=self._create_peer),
            self._route(peer, delete=self._delete_peer),
            self._route(f"{peer}/refresh_token", post=self._refresh_token),
            self._route(f"{peer}/subscribe_peer", post=self._subscribe_peer),
            self._route(f"{peer}/subscribe_tracks", post=self._subscribe_tracks),
            self._route("/room/{room_id}/viewer", post=self._livestream_token),
            self._route("/room/{room_id}/streamer", post=self._livestream_token),
            self._route("/room/{room_id}/track_forwardings", post=_unavailable),
            self._route("/moq/access", post=_unavailable),
            self._route("/recordings", _unavailable, _unavailable),
            self._route("/livestream", _unavailable, _unavailable),
        ]
        app = Starlette(
            routes=routes,
            exception_handlers={
                RequestError: _refused,
                HTTPException: _http_error,
                Exception: _internal_error,
            },
        )
        # httpx in the SDK follows no redirects and takes one for an empty success (facts 1.1).
        app.router.redirect_slashes = False
        return _NormalPaths(app)

    def _route(
        self,
        path: str,
        get: Handler | None = None,
        post: Handler | None = None,
        delete: Handler | None = None,
    ) -> Route:
        handlers = {"GET": get, "POST": post, "DELETE": delete}
        methods = {method: handler for method, handler in handlers.items() if handler is not None}

        async def endpoint(request: Request) -> Response:
            self._authorize(request)
            # Starlette answers HEAD wherever it answers GET.
            return await methods[request.method if request.method != "HEAD" else "GET"](request)

        return Route(path, endpoint, methods=list(methods))

    def _authorized(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(given, self._authorization)

    def _authorize(self, request: Request) -> None:
        if "authorization" not in request.headers:
            raise RequestError(401, "Missing token")
        if not self._authorized(request):
            raise RequestError(401, "Invalid token")

    async def _validate(self, request: Request) -> Response:
        # The SDK takes anything but a 404 for a valid token (facts 1.4).
        if not self._authorized(request):
            raise RequestError(404, "Invalid token")
        return Response(status_code=200)

    async def _list_rooms(self, request: Request) -> Response:
        return JSONResponse({"data": [room.as_json() for room in self._rooms]})

    async def _create_room(self, request: Request) -> Response:
        room = self._rooms.create(read_room_config(await _body(request)))
        return JSONResponse({"data": {"room": room.as_json()}}, status_code=201)

    async def _get_room(self, request: Request) -> Response:
        return JSONResponse({"data": self._rooms.get(_id(request, "room_id")).as_json()})

    async def _delete_room(self, request: Request) -> Response:
        self._rooms.delete(_id(request, "room_id"))
        return Response(status_code=204)

    async def _create_peer(self, request: Request) -> Response:
        body = await _body(request)
        room = self._rooms.get(_id(request, "room_id"))
        peer = room.add_peer(read_peer_config(body))
        data = {
            "peer": peer.as_json(),
            "token": self._rooms.token(room, peer),
            "peer_websocket_url": self._peer_url(),
        }
        return JSONResponse({"data": data}, status_code=201)

    async def _delete_peer(self, request: Request) -> Response:
        room = self._rooms.get(_id(request, "room_id"))
        room.remove_peer(room.peer(_id(request, "peer_id")))
        return Response(status_code=204)

    async def _refresh_token(self, request: Request) -> Response:
        room = self._rooms.get(_id(request, "room_id"))
        token = self._rooms.token(room, room.peer(_id(request, "peer_id")))
        return JSONResponse({"data": {"token": token}}, status_code=201)

    async def _subscribe_peer(self, request: Request) -> Response:
        room = self._rooms.get(_id(request, "room_id"))
        peer = room.peer(_id(request, "peer_id"))
        publisher = request.query_params.get("peer_id")
        if not publisher:
            raise RequestError(400, "Expected the query parameter peer_id: whom to subscribe to")
        room.subscribe(peer, peer_id=publisher)
        return Response(status_code=200)

    async def _subscribe_tracks(self, request: Request) -> Response:
        body = await _body(request)
        room = self._rooms.get(_id(request, "room_id"))
        peer = room.peer(_id(request, "peer_id"))
        track_ids = body.get("track_ids")
        if not isinstance(track_ids, list) or not all(isinstance(item, str) for item in track_ids):
            raise RequestError(400, "Expected track_ids to be a list of track ids")
        room.subscribe(peer, track_ids=tuple(track_ids))
        return Response(status_code=200)

    async def _livestream_token(self, request: Request) -> Response:
        room = self._rooms.get(_id(request, "room_id"))
        if not room.is_livestream:
            raise RequestError(404, f"Room {room.id} is no livestream")
        return await _unavailable(request)


class _NormalPaths:
    """Routes by `normal_path` of the raw path, so that a `%2F` in an id separates nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = normal_path(scope["raw_path"].decode("ascii", "replace").partition("?")[0])
        await self._app(scope, receive, send)


def _id(request: Request, name: str) -> str:
    return unquote(request.path_params[name])


async def _body(request: Request) -> dict[str, Any]:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            raise RequestError(413, f"Request body is larger than {MAX_BODY_BYTES} bytes")
    if not data.strip():
        return {}
    try:
        body = json.loads(data)
        strict_json(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "Invalid request body structure") from error
    if not isinstance(body, dict):
        raise RequestError(400, "Invalid request body structure")
    return body


async def _unavailable(request: Request) -> Response:
    raise RequestError(501, "Not available in the embedded server: use Fishjam's cloud")


async def _refused(request: Request, error: Exception) -> Response:
    return _error(error.status if isinstance(error, RequestError) else 500, str(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail, error.headers)


async def _internal_error(request: Request, error: Exception) -> Response:
    return _error(500, "Internal Server Error")


def _error(status: int, message: str, headers: Any = None) -> Response:
    return JSONResponse({"errors": message}, status_code=status, headers=headers)

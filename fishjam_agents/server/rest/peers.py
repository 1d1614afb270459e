"""REST: peers, their tokens and subscriptions (Fishjam OpenAPI, `/room/{room_id}/peer`)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ..errors import RequestError
from ..peer import Peer
from ..room import Room
from ..settings import read_peer_config
from .requests import created, gone, json_body, path_id
from .resource import Resource, Routes


class PeersApi(Resource):
    """`/room/{room_id}/peer`."""

    def routes(self) -> Routes:
        """Routes that ask for the management token."""
        peer = "/room/{room_id}/peer/{peer_id}"
        return {
            "/room/{room_id}/peer": {"POST": self._create},
            peer: {"DELETE": self._delete},
            f"{peer}/refresh_token": {"POST": self._refresh_token},
            f"{peer}/subscribe_peer": {"POST": self._subscribe_peer},
            f"{peer}/subscribe_tracks": {"POST": self._subscribe_tracks},
        }

    def _find(self, request: Request) -> tuple[Room, Peer]:
        room = self._context.rooms.get(path_id(request, "room_id"))
        return room, room.peer(path_id(request, "peer_id"))

    async def _create(self, request: Request) -> Response:
        body = await json_body(request)
        room = self._context.rooms.get(path_id(request, "room_id"))
        peer = room.add_peer(read_peer_config(body))
        if peer.config.vapi is not None:
            self._context.calls.join(room, peer, peer.config.vapi)
        return created(
            {
                "peer": peer.as_json(),
                "token": self._context.rooms.token(room, peer),
                "peer_websocket_url": self._context.peer_url(request.url.scheme, request.headers["host"]),
            }
        )

    async def _delete(self, request: Request) -> Response:
        room, peer = self._find(request)
        room.remove_peer(peer)
        return gone()

    async def _refresh_token(self, request: Request) -> Response:
        return created({"token": self._context.rooms.token(*self._find(request))})

    async def _subscribe_peer(self, request: Request) -> Response:
        room, peer = self._find(request)
        publisher = request.query_params.get("peer_id")
        if not publisher:
            raise RequestError(400, "Expected the query parameter peer_id: whom to subscribe to")
        room.subscribe(peer, peer_id=publisher)
        return Response(status_code=200)

    async def _subscribe_tracks(self, request: Request) -> Response:
        body = await json_body(request)
        room, peer = self._find(request)
        track_ids = body.get("track_ids")
        if not isinstance(track_ids, list) or not all(isinstance(item, str) for item in track_ids):
            raise RequestError(400, "Expected track_ids to be a list of track ids")
        room.subscribe(peer, track_ids=tuple(track_ids))
        return Response(status_code=200)

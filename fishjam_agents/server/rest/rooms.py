"""REST: rooms and their links to compositions (Fishjam OpenAPI, `/room`)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ..forwarding import read_forwarding
from ..settings import read_room_config
from .requests import created, gone, json_body, path_id, shown
from .resource import Resource, Routes


class RoomsApi(Resource):
    """`/room`."""

    def routes(self) -> Routes:
        """Routes that ask for the management token."""
        return {
            "/room": {"GET": self._list, "POST": self._create},
            "/room/{room_id}": {"GET": self._get, "DELETE": self._delete},
            "/room/{room_id}/track_forwardings": {"POST": self._forward},
        }

    async def _list(self, request: Request) -> Response:
        return shown([room.as_json() for room in self._context.rooms])

    async def _create(self, request: Request) -> Response:
        room = self._context.rooms.create(read_room_config(await json_body(request)))
        return created({"room": room.as_json()})

    async def _get(self, request: Request) -> Response:
        return shown(self._context.rooms.get(path_id(request, "room_id")).as_json())

    async def _delete(self, request: Request) -> Response:
        self._context.rooms.delete(path_id(request, "room_id"))
        return gone()

    async def _forward(self, request: Request) -> Response:
        body = await json_body(request)
        room = self._context.rooms.get(path_id(request, "room_id"))
        room.forward(read_forwarding(body))
        self._context.recordings.room_forwarded(room)
        return Response(status_code=201)

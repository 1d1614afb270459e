"""REST: livestreams, their streamers and viewers (Fishjam OpenAPI, `/livestream`).

A stream is a livestream room under another path: either one is found, listed and deleted by both.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import RequestError
from ..livestream import Livestream
from ..room import Room
from ..settings import read_stream_config
from .requests import created, gone, json_body, path_id, shown
from .resource import Resource, Routes


class LivestreamsApi(Resource):
    """`/livestream`, and the tokens of livestream rooms."""

    def routes(self) -> Routes:
        """Routes that ask for the management token."""
        stream = "/livestream/{stream_id}"
        return {
            "/room/{stream_id}/viewer": {"POST": self._viewer_token},
            "/room/{stream_id}/streamer": {"POST": self._streamer_token},
            "/livestream": {"GET": self._list, "POST": self._create},
            stream: {"GET": self._get, "DELETE": self._delete},
            f"{stream}/streamer": {"POST": self._add_streamer},
            f"{stream}/streamer/{{id}}": {"DELETE": self._remove_streamer},
            f"{stream}/viewer": {"POST": self._add_viewer},
            f"{stream}/viewer/{{id}}": {"DELETE": self._remove_viewer},
        }

    def _find(self, request: Request) -> tuple[Room, Livestream]:
        room = self._context.rooms.get(path_id(request, "stream_id"))
        if room.livestream is None:
            raise RequestError(404, f"Room {room.id} is no livestream")
        return room, room.livestream

    def _livestream(self, request: Request) -> Livestream | None:
        room = self._context.rooms.find(path_id(request, "stream_id"))
        return None if room is None else room.livestream

    async def _viewer_token(self, request: Request) -> Response:
        _, livestream = self._find(request)
        return JSONResponse({"token": livestream.new_token("viewer")}, status_code=201)

    async def _streamer_token(self, request: Request) -> Response:
        _, livestream = self._find(request)
        return JSONResponse({"token": livestream.new_token("streamer")}, status_code=201)

    async def _list(self, request: Request) -> Response:
        return shown(
            [_as_json(room, room.livestream) for room in self._context.rooms if room.livestream is not None]
        )

    async def _create(self, request: Request) -> Response:
        room = self._context.rooms.create(read_stream_config(await json_body(request)))
        assert room.livestream is not None
        return created(_as_json(room, room.livestream))

    async def _get(self, request: Request) -> Response:
        return shown(_as_json(*self._find(request)))

    async def _delete(self, request: Request) -> Response:
        # Not 404: the API documents none for this and the two other deletions.
        if self._livestream(request) is not None:
            self._context.rooms.delete(path_id(request, "stream_id"))
        return gone()

    async def _add_streamer(self, request: Request) -> Response:
        _, livestream = self._find(request)
        return created(livestream.add_streamer())

    async def _remove_streamer(self, request: Request) -> Response:
        if (livestream := self._livestream(request)) is not None:
            livestream.remove_streamer(path_id(request, "id"))
        return gone()

    async def _add_viewer(self, request: Request) -> Response:
        _, livestream = self._find(request)
        return created(livestream.add_viewer())

    async def _remove_viewer(self, request: Request) -> Response:
        if (livestream := self._livestream(request)) is not None:
            livestream.remove_viewer(path_id(request, "id"))
        return gone()


def _as_json(room: Room, livestream: Livestream) -> dict[str, Any]:
    return {
        "id": room.id,
        "public": room.config.public,
        "audioOnly": room.config.room_type == "audio_only_livestream",
        **livestream.as_json(),
    }

"""WHIP and WHEP: audio livestreams (RFC 9725; draft-ietf-wish-whep; Fishjam docs, Livestreams)."""

from __future__ import annotations

import uuid

from starlette.requests import Request
from starlette.responses import Response

from ...errors import MissingExtraError
from ..errors import RequestError, room_not_found
from ..livestream import Livestream
from ..tokens import LivestreamRole, RoomGoneError, TokenError
from .requests import path_id, read_body
from .resource import Resource, Routes

BASE = "/api/v1/live/api"
"""Path at which Fishjam's clients look for it, below the origin of its URL."""

MAX_SDP_BYTES = 256 * 1024
"""Largest offer, and largest fragment with candidates. Our choice."""


class LiveApi(Resource):
    """`/api/v1/live/api/whip` and `/api/v1/live/api/whep`."""

    def public_routes(self) -> Routes:
        """Routes that ask for no management token, but for a streamer's or a viewer's."""
        return {
            f"{BASE}/whip": {"POST": self._publish},
            f"{BASE}/whip/{{id}}": {"PATCH": self._trickle_whip, "DELETE": self._delete_whip},
            f"{BASE}/whep": {"POST": self._view},
            f"{BASE}/whep/{{id}}": {
                "POST": self._view_public,
                "PATCH": self._trickle_whep,
                "DELETE": self._delete_whep,
            },
        }

    async def _publish(self, request: Request) -> Response:
        return await self._open(request, *self._admit(request, "streamer"), "streamer")

    async def _view(self, request: Request) -> Response:
        return await self._open(request, *self._admit(request, "viewer"), "viewer")

    async def _view_public(self, request: Request) -> Response:
        room = self._context.rooms.find(path_id(request, "id"))
        if room is None or room.livestream is None:
            raise room_not_found(path_id(request, "id"))
        if not room.config.public:
            raise RequestError(401, "This livestream is not public: watch it with a viewer's token")
        return await self._open(request, room.livestream, str(uuid.uuid4()), "viewer")

    async def _open(
        self, request: Request, livestream: Livestream, holder_id: str, role: LivestreamRole
    ) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/sdp":
            raise RequestError(415, "Expected an SDP offer as application/sdp")
        offer = await _text(request)
        try:
            name, answer = await self._context.broadcasts.open(
                livestream, holder_id, role, _token(request), offer
            )
        except MissingExtraError as error:
            raise RequestError(501, str(error)) from error
        kind = "whip" if role == "streamer" else "whep"
        headers = {"location": f"{BASE}/{kind}/{name}"}
        return Response(answer, 201, headers, media_type="application/sdp")

    async def _trickle_whip(self, request: Request) -> Response:
        return await self._trickle(request, "streamer")

    async def _trickle_whep(self, request: Request) -> Response:
        return await self._trickle(request, "viewer")

    async def _delete_whip(self, request: Request) -> Response:
        return self._delete(request, "streamer")

    async def _delete_whep(self, request: Request) -> Response:
        return self._delete(request, "viewer")

    async def _trickle(self, request: Request, role: LivestreamRole) -> Response:
        session = self._context.broadcasts.find(path_id(request, "id"), role, _token(request))
        if not session.trickle(await _text(request)):
            # Clients take this for "not here", and connect anew.
            raise RequestError(501, "ICE is not restarted here: connect anew")
        return Response(status_code=204)

    def _delete(self, request: Request, role: LivestreamRole) -> Response:
        self._context.broadcasts.find(path_id(request, "id"), role, _token(request)).end()
        return Response(status_code=200)

    def _admit(self, request: Request, role: LivestreamRole) -> tuple[Livestream, str]:
        try:
            _, livestream, holder_id = self._context.rooms.admit_to_stream(_token(request) or "", role)
        except RoomGoneError as error:
            raise RequestError(404, "Stream not found") from error
        except TokenError as error:
            raise RequestError(401, str(error).capitalize()) from error
        return livestream, holder_id


def _token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


async def _text(request: Request) -> str:
    return (await read_body(request, MAX_SDP_BYTES)).decode("utf-8", "replace")

"""REST: access to MoQ (Fishjam OpenAPI, `/moq/access`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..moq import ROOT, MoqAccess, read_moq_grant
from .requests import Handler, json_body


class MoqApi:
    """`/moq/access`.

    Args:
        access: What signs.
        url: Called for the server's base URL; its relay would be below.
    """

    def __init__(self, access: MoqAccess, url: Callable[[], str]) -> None:
        self._access = access
        self._url = url

    def routes(self) -> Mapping[str, Mapping[str, Handler]]:
        """Part of `rest_requests.Resource`."""
        return {"/moq/access": {"POST": self._grant}}

    async def _grant(self, request: Request) -> Response:
        token = self._access.token(read_moq_grant(await json_body(request)))
        return JSONResponse({"connection_url": f"{self._url()}/{ROOT}?jwt={token}", "token": token})

"""REST: access to MoQ (Fishjam OpenAPI, `/moq/access`)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..moq import ROOT, read_moq_grant
from .requests import json_body
from .resource import Resource, Routes


class MoqApi(Resource):
    """`/moq/access`."""

    def routes(self) -> Routes:
        """Routes that ask for the management token."""
        return {"/moq/access": {"POST": self._grant}}

    async def _grant(self, request: Request) -> Response:
        token = self._context.moq.token(read_moq_grant(await json_body(request)))
        return JSONResponse({"connection_url": f"{self._context.url()}/{ROOT}?jwt={token}", "token": token})

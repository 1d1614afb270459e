"""HTTP of the playground: the page, and what it asks for with its call token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...errors import FishjamAgentsError
from ...loopback import is_loopback
from ...urls import read_authority, read_origin
from ..errors import RequestError
from ..rest.requests import json_body
from ..rest.resource import Resource, RestContext, Routes
from .call_tokens import Grant
from .pages import HEADERS, Pages
from .registry import Playground, RegisteredCall, one_line

REPORT_SECONDS = 60.0
"""Seconds a report may take to be made."""


class PlaygroundApi(Resource):
    """`/` and `/playground`.

    Args:
        context: Parts of the server.
        playground: The calls.
        opened: Called when a browser asks for the page: somebody is about to join.
    """

    def __init__(self, context: RestContext, playground: Playground, opened: Callable[[], None]) -> None:
        super().__init__(context)
        self._playground = playground
        self._opened = opened
        self._pages = Pages()
        self._reporting: set[RegisteredCall] = set()

    def public_routes(self) -> Routes:
        """Routes that ask for no management token: all but the files ask for a call token themselves."""
        return {
            "/": {"GET": self._index},
            "/playground/join": {"POST": self._join},
            "/playground/guest": {"POST": self._guest},
            "/playground/report.html": {"GET": self._report},
            "/playground/call.jsonl": {"GET": self._record},
            "/playground/{file:path}": {"GET": self._file},
        }

    async def _index(self, request: Request) -> Response:
        self._opened()
        return self._page("index.html")

    async def _file(self, request: Request) -> Response:
        return self._page(unquote(request.path_params["file"]))

    def _page(self, name: str) -> Response:
        page = self._pages.find(name)
        if page is None:
            raise RequestError(404, "Not Found")
        return page

    async def _join(self, request: Request) -> Response:
        grant = self._grant(request)
        name = _name((await json_body(request)).get("name"))
        token, peer_id = grant.call.join(grant, name)
        return JSONResponse(
            {"peer_token": token, "peer_id": peer_id, "room_id": grant.call.source.room_id}, headers=HEADERS
        )

    async def _guest(self, request: Request) -> Response:
        grant = self._grant(request)
        if not grant.controls:
            raise RequestError(403, "this is a guest link: ask who sent it for another one")
        return JSONResponse({"link": grant.call.guest_link(_address(request))}, headers=HEADERS)

    async def _report(self, request: Request) -> Response:
        call = self._grant(request).call
        if call in self._reporting:
            raise RequestError(429, "a report of this call is being made: try again in a moment")
        self._reporting.add(call)
        try:
            async with asyncio.timeout(REPORT_SECONDS):
                page = await call.source.report(await call.feed.history(), call.names)
        except FishjamAgentsError as error:
            raise RequestError(500, str(error)) from error
        except TimeoutError as error:
            raise RequestError(503, "the report took too long: is the machine overloaded?") from error
        finally:
            self._reporting.discard(call)
        return _download(page, "report.html", "text/html; charset=utf-8")

    async def _record(self, request: Request) -> Response:
        call = self._grant(request).call.source
        try:
            content = call.record()
        except FishjamAgentsError as error:
            raise RequestError(409, str(error)) from error
        return _download(content.encode(), "call.jsonl", "application/jsonl")

    def _grant(self, request: Request) -> Grant[RegisteredCall]:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self._playground.tokens.read(token.strip()) if scheme.lower() == "bearer" else None
        if grant is None:
            raise RequestError(401, "call token refused: open the link that `run` printed")
        return grant


def _address(request: Request) -> str | None:
    """The origin of a page of ours that others can open, too: that of a tunnel, unknown to the server.

    None for a page that was opened on this machine itself, and for one of another origin.
    """
    text = request.headers.get("origin", "")
    origin, host = read_origin(text), read_authority(request.headers.get("host", ""))
    if origin is None or host is None:
        return None
    scheme, authority = origin
    return text if authority == host.at(scheme) and not is_loopback(authority.host) else None


def _download(content: bytes, name: str, kind: str) -> Response:
    headers = {
        **HEADERS,
        "Content-Type": kind,
        "Content-Disposition": f'attachment; filename="{name}"',
        # Opened in place it must not be a page of this server.
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(content, headers=headers)


def _name(given: Any) -> str | None:
    """Return the name a person asks for: one line, or nothing."""
    if given is None:
        return None
    if not isinstance(given, str):
        raise RequestError(400, f"Expected name to be a string, got: {given}")
    return one_line(given)

"""`AccessPolicy` in front of everything that is served over HTTP, and what browsers are told of it."""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..access import HEADERS, AccessPolicy
from ..paths import normal_path

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

EXPOSED = "Location, Link, ETag, x-fishjam-api-deprecated"
"""Headers of answers that scripts of other origins may read: those of WHIP (RFC 9725, section 4.2), WHEP and
Fishjam's REST API."""

PREFLIGHT_SECONDS = "600"
"""Seconds a browser may remember the answer to a preflight. Our choice."""

_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]*")


class AccessControl:
    """The only door of the HTTP side: ASGI around every route, those that do not exist included.

    Args:
        app: What it stands in front of.
        policy: Whom it lets in.
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it with 403."""
        headers = Headers(scope=scope)
        path = normal_path(scope["raw_path"].decode("ascii", "replace"))
        page = path == "/" and scope["method"] in ("GET", "HEAD")
        refusal = self._policy.refusal(headers.getlist, page=page)
        origin = headers.get("origin") if refusal is None else None

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS:
                    answer.append(name, value)
                answer.setdefault("cache-control", "no-store")
                if origin is not None:
                    answer["access-control-allow-origin"] = origin
                    answer["access-control-expose-headers"] = EXPOSED
                answer.add_vary_header("Origin")
            await send(message)

        app = self._app
        if refusal is not None:
            app = JSONResponse({"errors": refusal}, status_code=403)
        elif scope["method"] == "OPTIONS" and origin and "access-control-request-method" in headers:
            app = _preflight(headers)
        elif page and (better := self._policy.better_page(scope["scheme"], headers.getlist)):
            app = RedirectResponse(better)
        await app(scope, receive, secured)


def _preflight(headers: Headers) -> Response:
    """The answer to a CORS preflight (Fetch Standard, section 3.3.2) of an origin that may use the server."""
    answer = {"access-control-allow-methods": METHODS, "access-control-max-age": PREFLIGHT_SECONDS}
    names = headers.get("access-control-request-headers", "")
    if names and _NAMES.fullmatch(names):
        answer["access-control-allow-headers"] = names
    if headers.get("access-control-request-private-network") == "true":
        # A page of a public address asks for one of the local network (Private Network Access).
        answer["access-control-allow-private-network"] = "true"
    return Response(status_code=204, headers=answer)

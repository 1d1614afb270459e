"""The REST API: every resource behind the management token, every error in one form.

Source: Fishjam OpenAPI, and Fishjam's Python server SDK with its tests.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import h11
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import RequestError
from ..paths import normal_path
from .resource import Handler, Resource

logger = logging.getLogger(__name__)

_ELSEWHERE = ("/api/composition", "/api/composition/{rest:path}")
"""The Composition API (Fishjam docs): its media is not served here."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class RestApi:
    """The resources as one application.

    Args:
        token: The management token.
        resources: What it serves.
    """

    def __init__(self, token: str, resources: Iterable[Resource]) -> None:
        self._authorization = f"Bearer {token}".encode()
        self._resources = resources

    def app(self) -> ASGIApp:
        """The whole API as an ASGI application."""
        routes = [Route("/validate", self._validate, methods=["GET"])]
        routes += [Route(path, _unavailable, methods=_METHODS) for path in _ELSEWHERE]
        for resource in self._resources:
            routes += [_route(path, methods) for path, methods in resource.public_routes().items()]
            routes += [_route(path, methods, self._authorize) for path, methods in resource.routes().items()]
        app = Starlette(
            routes=routes,
            exception_handlers={
                RequestError: _refused,
                HTTPException: _http_error,
                Exception: _internal_error,
            },
        )
        # httpx in Fishjam's Python server SDK follows no redirects and takes one for an empty success.
        app.router.redirect_slashes = False
        return _NormalPaths(app)

    def _authorized(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(given, self._authorization)

    def _authorize(self, request: Request) -> None:
        if "authorization" not in request.headers:
            raise RequestError(401, "Missing token")
        if not self._authorized(request):
            raise RequestError(401, "Invalid token")

    async def _validate(self, request: Request) -> Response:
        # Fishjam's Python server SDK takes anything but a 404 for a valid token.
        if not self._authorized(request):
            raise RequestError(404, "Invalid token")
        return Response(status_code=200)


def _route(
    path: str, methods: Mapping[str, Handler], authorize: Callable[[Request], None] = lambda request: None
) -> Route:
    async def endpoint(request: Request) -> Response:
        authorize(request)
        # Starlette answers HEAD wherever it answers GET.
        return await methods[request.method if request.method != "HEAD" else "GET"](request)

    return Route(path, endpoint, methods=list(methods))


class _NormalPaths:
    """Routes by `normal_path` of the raw path, so that a `%2F` in an id separates nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = normal_path(scope["raw_path"].decode("ascii", "replace").partition("?")[0])
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            logger.debug("A client left in the middle of its request: %s", scope.get("client"))
        except h11.LocalProtocolError as error:
            # The rest of the request was no HTTP: uvicorn said so, and closed, before the answer was ready.
            logger.debug("A request of %s was broken: %s", scope.get("client"), error)


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

"""The HTTP interface of a program that serves rooms: `/calls`, `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam.webhooks import verify_webhook_signature
from fishjam_agents.journal.store import JournalError, JournalStore
from fishjam_agents.json_limits import read_json, strict_json
from fishjam_agents.loopback import is_loopback
from fishjam_agents.urls import is_http_url, read_authority
from fishjam_agents.worker.call_record import CallRecord
from fishjam_agents.worker.call_service import CallRefusedError, CallRequest, CallService
from fishjam_agents.worker.call_settings import CallSettings
from fishjam_agents.worker.metrics import exposition

MAX_BODY = 256 * 1024
"""Bytes of a request: instructions are long, and nothing else is."""
KEPT_KEYS = 10_000
"""Idempotency keys that are remembered, the latest ones."""

_FIELDS = frozenset({"room", "bot", "instructions", "variables", "voice", "keys", "webhook"})


class CallsApi:
    """The endpoints.

    Args:
        service: Whoever serves the rooms.
        token: What callers of `/calls` present; None asks for none, and serves this machine only.
        journals: Where calls are written down; None nowhere.
        webhook_secret: What Fishjam signs its webhooks with; None takes none.
    """

    def __init__(
        self,
        service: CallService,
        token: str | None,
        journals: JournalStore | None = None,
        webhook_secret: str | None = None,
    ) -> None:
        self._service = service
        self._webhook_secret = webhook_secret
        self._journals = journals
        self._authorization = None if token is None else f"Bearer {token}".encode()
        self._keys: OrderedDict[str, tuple[str, asyncio.Future[CallRecord]]] = OrderedDict()

    def app(self) -> Starlette:
        """The ASGI application."""
        app = Starlette(
            routes=[
                Route("/calls", self._create, methods=["POST"]),
                Route("/calls", self._list, methods=["GET"]),
                Route("/calls/{id}", self._get, methods=["GET"]),
                Route("/calls/{id}", self._delete, methods=["DELETE"]),
                Route("/calls/{id}/journal", self._delete_journal, methods=["DELETE"]),
                Route("/webhooks/fishjam", self._webhook, methods=["POST"]),
                Route("/healthz", self._health, methods=["GET"]),
                Route("/readyz", self._ready, methods=["GET"]),
                Route("/metrics", self._metrics, methods=["GET"]),
            ],
            exception_handlers={
                HTTPException: _http_error,
                CallRefusedError: _refused,
                JournalError: _away,
                FishjamAgentsError: _failed,
                Exception: _broken,
            },
        )
        app.router.redirect_slashes = False
        return app

    async def _create(self, request: Request) -> Response:
        self._authorize(request)
        body = await _body(request)
        wanted = _call_request(body)
        key = request.headers.get("idempotency-key")
        if key is None:
            return _made(await self._service.create(wanted))
        if not 1 <= len(key) <= 255:
            raise HTTPException(400, "idempotency-key must have 1 to 255 characters")
        return _made(await self._create_once(key, hashlib.sha256(body).hexdigest(), wanted))

    async def _create_once(self, key: str, digest: str, wanted: CallRequest) -> CallRecord:
        known = self._keys.get(key)
        if known is not None:
            if known[0] != digest:
                raise HTTPException(422, "this idempotency-key came with another request before")
            record = await asyncio.shield(known[1])
            return self._service.record(record.id) or record
        # A client that hangs up cancels its request, and may ask again: the call is made once all the same.
        making = asyncio.ensure_future(self._service.create(wanted))
        self._keys[key] = (digest, making)
        while len(self._keys) > KEPT_KEYS:
            self._keys.popitem(last=False)

        def forget(done: asyncio.Future[CallRecord]) -> None:
            # What was refused may be asked for again.
            if done.cancelled() or done.exception() is not None:
                self._keys.pop(key, None)

        making.add_done_callback(forget)
        return await asyncio.shield(making)

    async def _list(self, request: Request) -> Response:
        self._authorize(request)
        return JSONResponse({"calls": [record.to_json() for record in self._service.records()]})

    async def _get(self, request: Request) -> Response:
        self._authorize(request)
        record = self._service.record(request.path_params["id"])
        if record is None:
            raise HTTPException(404, "there is no such call, or it is long over")
        return JSONResponse(record.to_json())

    async def _delete(self, request: Request) -> Response:
        self._authorize(request)
        if not self._service.end(request.path_params["id"]):
            raise HTTPException(404, "there is no such call, or it is long over")
        return Response(status_code=204)

    async def _delete_journal(self, request: Request) -> Response:
        """Delete what is written down of a call, by its id here or by that of its journal."""
        self._authorize(request)
        if self._journals is None:
            raise HTTPException(404, "calls are not written down: the file has no journal")
        record = self._service.record(request.path_params["id"])
        journal = request.path_params["id"] if record is None else record.journal
        if journal is None or not await self._journals.delete(journal):
            raise HTTPException(404, "nothing is written down of such a call")
        return Response(status_code=204)

    async def _health(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, request: Request) -> Response:
        reason = self._service.not_ready()
        if reason is None:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"no new rooms are taken: {reason}\n", status_code=503)

    async def _metrics(self, request: Request) -> Response:
        # Long for one who carries audio meanwhile: tens of milliseconds for ten bots.
        calls = await asyncio.to_thread(self._service.call_metrics)
        return PlainTextResponse(
            exposition(self._service.metrics()) + calls,
            media_type="text/plain; version=0.0.4; charset=utf-8",
        )

    async def _webhook(self, request: Request) -> Response:
        # Old ones, or the same ones again, cost a look: what a room is like is asked of Fishjam itself.
        if self._webhook_secret is None:
            raise HTTPException(404, "no webhooks are taken here: set api.webhook_secret")
        body = await _read(request)
        signature = request.headers.get("x-fishjam-signature-256")
        if not verify_webhook_signature(body, signature, self._webhook_secret):
            raise HTTPException(401, "the signature is missing or wrong")
        try:
            self._service.notified(body)
        except FishjamAgentsError as error:
            raise HTTPException(400, f"this is no notification: {error}") from error
        return Response(status_code=204)

    def _authorize(self, request: Request) -> None:
        # No page of a browser has business here: one of this machine could reach a loopback address.
        if "origin" in request.headers:
            raise HTTPException(403, "this interface is not for pages of browsers")
        if self._authorization is None:
            host = read_authority(request.headers.get("host", ""))
            if host is None or not is_loopback(host.host):
                raise HTTPException(403, "without api.token this interface serves this machine only")
            return
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._authorization):
            raise HTTPException(401, "the bearer token is missing or wrong", {"www-authenticate": "Bearer"})


async def _body(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send application/json")
    return await _read(request)


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"a request has at most {MAX_BODY} bytes")
    return bytes(body)


def _call_request(body: bytes) -> CallRequest:
    """Read a request for a call.

    Raises:
        HTTPException: 400, it is none.
    """
    try:
        data = read_json(body or b"{}")
        # Half a surrogate pair is JSON, but no text that a server or a model could be sent.
        strict_json(data)
    except ValueError as error:
        raise HTTPException(400, f"the body is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise HTTPException(400, "the body must be a JSON object")
    unknown = sorted(data.keys() - _FIELDS)
    if unknown:
        raise HTTPException(400, f"{unknown[0]!r} is no field: use {', '.join(sorted(_FIELDS))}")
    for name in _FIELDS - {"variables", "keys"}:
        if not isinstance(data.get(name), str | None):
            raise HTTPException(400, f"{name} must be text")
    variables, keys = _mapping(data, "variables"), _mapping(data, "keys")
    for name, value in variables.items():
        if not isinstance(value, str | int | float | bool | None):
            raise HTTPException(400, f"variables.{name} must be text, a number, true, false or null")
    for name, value in keys.items():
        if not isinstance(value, str) or not value:
            raise HTTPException(400, f"keys.{name} must be text")
    webhook = data.get("webhook")
    if webhook is not None and not is_http_url(webhook):
        raise HTTPException(400, "webhook must be an http or https URL")
    settings = CallSettings(data.get("instructions"), variables, data.get("voice"), keys)
    return CallRequest(uuid.uuid4().hex, data.get("room"), data.get("bot"), settings, webhook)


def _mapping(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise HTTPException(400, f"{name} must be an object")
    return value


def _made(record: CallRecord) -> Response:
    return JSONResponse(record.to_json(), status_code=201, headers={"location": f"/calls/{record.id}"})


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, CallRefusedError)
    headers = {"retry-after": "5"} if error.status == 503 else None
    return JSONResponse({"error": str(error)}, error.status, headers)


async def _away(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 503, {"retry-after": "5"})


async def _failed(request: Request, error: Exception) -> Response:
    # Fishjam did not do its part.
    return JSONResponse({"error": str(error)}, 502)


async def _broken(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the request failed: see the log of the program"}, 500)

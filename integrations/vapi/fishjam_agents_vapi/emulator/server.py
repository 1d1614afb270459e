"""The emulated Vapi: `POST /call`, `GET /call/{id}`, `controlUrl`, and the media socket."""

from __future__ import annotations

import asyncio
import http
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from ..json_server import Answer, JsonRequest, JsonServer
from ..settings import KEY_VARIABLE, URL_VARIABLE
from .behaviour import Behaviour
from .call import EmulatedCall

_GLANCE = 0.05
KEY = "emulated-private-key"
_WHO = ("assistantId", "assistant", "squadId", "squad", "workflowId", "workflow")
_PATH = re.compile(r"/call/(?P<id>[^/?]+)(?P<control>/control)?")
_REASONS = {
    400: "the request is wrong",
    401: "Invalid Key",
    402: "add credit",
    404: "not found",
    429: "over the concurrency limit",
    500: "internal server error",
    503: "unavailable",
}


class VapiEmulator:
    """Vapi on two ports of this machine; use it as an async context manager.

    Args:
        behaviour: How it behaves; may be changed at any time.
        port: Port of the REST interface; 0 takes a free one.

    Attributes:
        behaviour: How it behaves.
        calls: Every call created, by id, in order.
        bodies: Every body posted to `/call`, refused ones too.
        tape: What calls were given: frames that are not silent, control messages, results of tools; in order.
    """

    def __init__(self, behaviour: Behaviour | None = None, *, port: int = 0) -> None:
        self.behaviour = behaviour or Behaviour()
        self.calls: dict[str, EmulatedCall] = {}
        self.bodies: list[Any] = []
        self.tape: list[bytes | dict[str, Any]] = []
        self._rest = JsonServer(self._answer, port=port)
        self._media: Server | None = None
        self._media_url = ""

    @property
    def url(self) -> str:
        """Base URL of the REST interface."""
        return self._rest.url

    @property
    def key(self) -> str:
        """A key that is taken."""
        return self.behaviour.key or KEY

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead the integration here."""
        return {URL_VARIABLE: self.url, KEY_VARIABLE: self.key}

    @property
    def call(self) -> EmulatedCall:
        """The latest call."""
        return next(reversed(self.calls.values()))

    async def __aenter__(self) -> Self:
        await self._rest.__aenter__()
        self._media = await serve(
            self._attend, "127.0.0.1", 0, process_request=self._admit, compression=None, max_size=None
        )
        self._media_url = f"ws://127.0.0.1:{self._media.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._rest.__aexit__(None, None, None)
        for call in self.calls.values():
            await call.close()
        if self._media is not None:
            self._media.close()
            await self._media.wait_closed()

    # --- REST ---

    async def _answer(self, request: JsonRequest) -> Answer:
        while self.behaviour.silent:  # noqa: ASYNC110 - a switch that tests turn
            await asyncio.sleep(_GLANCE)
        if self.behaviour.answer_after:
            await asyncio.sleep(self.behaviour.answer_after)
        found = _PATH.fullmatch(request.path.partition("?")[0])
        if found and found["control"] and request.method == "POST":
            return self._control(found["id"], request.body)
        if not self._knows(request.headers.get("authorization")):
            return _refusal(401, f"{_REASONS[401]}: {request.headers.get('authorization')}")
        if request.method == "POST" and request.path == "/call":
            return self._create(request.body)
        if found and request.method == "GET":
            call = self.calls.get(found["id"])
            return (200, self._shown(call)) if call else _refusal(404, "Couldn't get call. Not found.")
        return _refusal(404, f"Cannot {request.method} {request.path}")

    def _knows(self, authorization: str | None) -> bool:
        if self.behaviour.key is None:
            return (authorization or "").startswith("Bearer ")
        return authorization == f"Bearer {self.behaviour.key}"

    def _create(self, body: Any) -> Answer:
        self.bodies.append(body)
        status = self.behaviour.statuses.pop(0) if self.behaviour.statuses else 201
        if status >= 400:
            return _refusal(status, _REASONS.get(status, "refused"))
        mistakes = _mistakes(body)
        if mistakes:
            return _refusal(400, mistakes)
        call = EmulatedCall(body, self.behaviour, self.tape)
        self.calls[call.id] = call
        return status, self._shown(call)

    def _control(self, call_id: str, body: Any) -> Answer:
        call = self.calls.get(call_id)
        if call is None or call.status == "ended":
            return _refusal(404, "no such call is in progress")
        if not isinstance(body, dict):
            return _refusal(400, "a message is expected")
        call.take(body)
        return 200, {}

    def _shown(self, call: EmulatedCall) -> dict[str, Any]:
        lags = self.behaviour.lagging and call.status == "ended"
        transport: dict[str, Any] = {"provider": "vapi.websocket"}
        if self.behaviour.media_url:
            transport["websocketCallUrl"] = f"{self._media_url}/{call.id}/transport"
        shown = {
            "id": call.id,
            "orgId": "eb166faa-7145-46ef-8044-589b47ae3b56",
            "type": "vapi.websocketCall",
            "status": "in-progress" if lags else call.status,
            "createdAt": "2026-01-01T00:00:00.000Z",
            "updatedAt": "2026-01-01T00:00:00.000Z",
            "transport": transport,
            "monitor": {
                "listenUrl": f"{self._media_url}/{call.id}/listen",
                "controlUrl": f"{self.url}/call/{call.id}/control",
            },
        }
        return shown if call.ended_reason is None or lags else {**shown, "endedReason": call.ended_reason}

    # --- the media socket ---

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        call = self.calls.get(request.path.removeprefix("/").removesuffix("/transport"))
        if call is None or call.status != "queued":
            return socket.respond(http.HTTPStatus.NOT_FOUND, "no such call is waiting\n")
        if self.behaviour.bearer_on_socket and not self._knows(request.headers.get("Authorization")):
            return socket.respond(http.HTTPStatus.UNAUTHORIZED, "the key is missing\n")
        return None

    async def _attend(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        await self.calls[socket.request.path.split("/")[1]].attend(socket)


def _refusal(status: int, message: str | list[str]) -> Answer:
    try:
        name = http.HTTPStatus(status).phrase
    except ValueError:
        name = "Error"
    return status, {"message": message, "error": name, "statusCode": status}


def _mistakes(body: Any) -> list[str]:
    if not isinstance(body, Mapping):
        return ["the body must be an object"]
    mistakes = []
    if sum(body.get(name) is not None for name in _WHO) != 1:
        mistakes.append(f"exactly one of {', '.join(_WHO)} must be given")
    transport = body.get("transport")
    if not isinstance(transport, Mapping) or transport.get("provider") != "vapi.websocket":
        mistakes.append("transport.provider must be vapi.websocket")
    else:
        audio = transport.get("audioFormat") or {}
        if audio.get("format", "pcm_s16le") != "pcm_s16le" or audio.get("container", "raw") != "raw":
            mistakes.append("transport.audioFormat must be raw pcm_s16le here")
        rate = audio.get("sampleRate", 16000)
        if not isinstance(rate, int) or not 8000 <= rate <= 192000:
            mistakes.append("transport.audioFormat.sampleRate must be between 8000 and 192000")
    if "phoneNumber" in body or "phoneNumberId" in body:
        mistakes.append("phoneNumber is not allowed with transport vapi.websocket")
    return mistakes

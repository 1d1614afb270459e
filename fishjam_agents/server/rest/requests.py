"""Reading REST requests: ids in the path, JSON bodies, forms."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...json_limits import read_json, strict_json
from ..errors import RequestError
from .multipart import parse_multipart

MAX_BODY_BYTES = 1024 * 1024
"""Largest JSON body; no request of the API comes near it."""

MAX_FORM_BYTES = 2 * 1024 * 1024
"""Largest form; a template is at most 1 MiB (Fishjam's server SDK) and comes with its config."""


def path_id(request: Request, name: str) -> str:
    """An id in the path, percent-decoded."""
    return unquote(request.path_params[name])


async def json_body(request: Request) -> dict[str, Any]:
    """The body as a JSON object; no body is an empty one.

    Raises:
        RequestError: 400, it is something else; 413, it is too large.
    """
    return parse_json(await read_body(request, MAX_BODY_BYTES))


async def form_body(request: Request) -> dict[str, bytes]:
    """The parts of a multipart body by name.

    Raises:
        RequestError: 400, it is something else; 413, it is too large.
    """
    return parse_multipart(request.headers["content-type"], await read_body(request, MAX_FORM_BYTES))


def is_form(request: Request) -> bool:
    """Return whether the body says to be multipart."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def parse_json(data: bytes) -> dict[str, Any]:
    """`data` as a JSON object that every client can read; nothing is an empty one.

    Raises:
        RequestError: 400, it is something else.
    """
    if not data.strip():
        return {}
    try:
        body = read_json(data)
        strict_json(body)
    except ValueError as error:
        raise RequestError(400, "Invalid request body structure") from error
    if not isinstance(body, dict):
        raise RequestError(400, "Invalid request body structure")
    return body


async def read_body(request: Request, limit: int) -> bytes:
    """The body.

    Raises:
        RequestError: 413, it has more than `limit` bytes.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise RequestError(413, f"Request body is larger than {limit} bytes")
    return bytes(data)


def created(data: Any) -> Response:
    """201 with `{"data": data}`."""
    return JSONResponse({"data": data}, status_code=201)


def shown(data: Any) -> Response:
    """200 with `{"data": data}`."""
    return JSONResponse({"data": data})


def gone() -> Response:
    """204 with nothing."""
    return Response(status_code=204)

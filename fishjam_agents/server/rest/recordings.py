"""REST: recordings and their files (Fishjam OpenAPI, `/recordings`)."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from ..errors import RequestError
from ..recording_settings import read_recording_config, read_recording_filter
from ..recordings import Recordings
from .requests import (
    Handler,
    created,
    form_body,
    gone,
    is_form,
    json_body,
    parse_json,
    path_id,
    shown,
)

FILE_PATH = "/recordings/{recording_id}/files/{name}"


class RecordingsApi:
    """`/recordings`.

    Args:
        recordings: What the requests act on.
    """

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings

    def routes(self) -> Mapping[str, Mapping[str, Handler]]:
        """Part of `rest_requests.Resource`."""
        return {
            "/recordings": {"GET": self._list, "POST": self._create},
            "/recordings/{recording_id}": {"GET": self._get, "DELETE": self._delete},
            "/recordings/{recording_id}/stop": {"POST": self._stop},
        }

    async def file(self, request: Request) -> Response:
        """`FILE_PATH`: needs no token, its name is the secret."""
        files = self._recordings.get(path_id(request, "recording_id")).files
        content = files.get(path_id(request, "name"))
        if content is None:
            raise RequestError(404, "Not Found")
        return Response(content, media_type="audio/wav")

    async def _list(self, request: Request) -> Response:
        wanted = read_recording_filter(request.query_params.multi_items())
        return shown([self._recordings.as_json(item) for item in self._recordings.matching(wanted)])

    async def _create(self, request: Request) -> Response:
        if is_form(request):
            parts = await form_body(request)
            # A form without a template is refused as an empty one is.
            config = read_recording_config(parse_json(parts.get("config", b"")), parts.get("template", b""))
        else:
            config = read_recording_config(await json_body(request))
        return created(self._recordings.as_json(self._recordings.create(config)))

    async def _get(self, request: Request) -> Response:
        recording = self._recordings.get(path_id(request, "recording_id"))
        return shown(self._recordings.as_json(recording))

    async def _stop(self, request: Request) -> Response:
        recording = self._recordings.get(path_id(request, "recording_id"))
        recording.stopping.set()
        return shown(self._recordings.as_json(recording))

    async def _delete(self, request: Request) -> Response:
        self._recordings.delete(path_id(request, "recording_id"))
        return gone()

"""REST: recordings and their files (Fishjam OpenAPI, `/recordings`)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ..errors import RequestError
from ..recording_settings import read_recording_config, read_recording_filter
from .requests import created, form_body, gone, is_form, json_body, parse_json, path_id, shown
from .resource import Resource, Routes


class RecordingsApi(Resource):
    """`/recordings`."""

    def routes(self) -> Routes:
        """Routes that ask for the management token."""
        return {
            "/recordings": {"GET": self._list, "POST": self._create},
            "/recordings/{recording_id}": {"GET": self._get, "DELETE": self._delete},
            "/recordings/{recording_id}/stop": {"POST": self._stop},
        }

    def public_routes(self) -> Routes:
        """Files need no token: their names are the secret."""
        return {"/recordings/{recording_id}/files/{name}": {"GET": self._file}}

    async def _file(self, request: Request) -> Response:
        files = self._context.recordings.get(path_id(request, "recording_id")).files
        content = files.get(path_id(request, "name"))
        if content is None:
            raise RequestError(404, "Not Found")
        return Response(content, media_type="audio/wav")

    async def _list(self, request: Request) -> Response:
        wanted = read_recording_filter(request.query_params.multi_items())
        recordings = self._context.recordings
        return shown([recordings.as_json(item) for item in recordings.matching(wanted)])

    async def _create(self, request: Request) -> Response:
        if is_form(request):
            parts = await form_body(request)
            # A form without a template is refused as an empty one is.
            config = read_recording_config(parse_json(parts.get("config", b"")), parts.get("template", b""))
        else:
            config = read_recording_config(await json_body(request))
        return created(self._context.recordings.as_json(self._context.recordings.create(config)))

    async def _get(self, request: Request) -> Response:
        recording = self._context.recordings.get(path_id(request, "recording_id"))
        return shown(self._context.recordings.as_json(recording))

    async def _stop(self, request: Request) -> Response:
        recording = self._context.recordings.get(path_id(request, "recording_id"))
        recording.stopping.set()
        return shown(self._context.recordings.as_json(recording))

    async def _delete(self, request: Request) -> Response:
        self._context.recordings.delete(path_id(request, "recording_id"))
        return gone()

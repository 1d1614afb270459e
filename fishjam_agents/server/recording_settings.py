"""Settings of a recording that a REST client may ask for (Fishjam OpenAPI, `RecordingConfig`)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import RequestError
from .forwarding import read_composition_url

STATUSES = ("active", "finished", "available", "failed")
MAX_TEMPLATE_BYTES = 1024 * 1024
MAX_OUTPUT_ID_CHARACTERS = 255

_DEFAULT_RESOLUTION = {"width": 1280, "height": 720}
_FILTER = re.compile(r"metadata((?:\[[^\[\]]*\])+)")


@dataclass(frozen=True, slots=True)
class RecordingConfig:
    """A recording as it was asked for.

    Attributes:
        source: As REST answers it, with its defaults.
        metadata: Free for the client, or None.
    """

    source: Mapping[str, Any]
    metadata: Mapping[str, Any] | None = None

    @property
    def composition_url(self) -> str:
        """The composition that is recorded."""
        url: str = self.source["compositionURL"]
        return url

    @property
    def audio(self) -> bool:
        """True if it is heard."""
        return self.source.get("audio") is not False


def read_recording_config(body: Mapping[str, Any], template: bytes | None = None) -> RecordingConfig:
    """Read the body of `POST /recordings`.

    Args:
        body: The JSON body, or the part `config` of a multipart body.
        template: The part `template` of a multipart body; None for a recording of a composition's output.

    Raises:
        RequestError: 400, the body is no recording, or the template no bundle.
    """
    source, metadata = body.get("source"), body.get("metadata")
    if not isinstance(source, dict):
        raise RequestError(400, "Expected source to be a composition's output or a template")
    if metadata is not None and not isinstance(metadata, dict):
        raise RequestError(400, f"Expected metadata to be an object, got: {metadata}")
    shown: dict[str, Any] = {"compositionURL": read_composition_url(source)}
    if template is None:
        shown |= _output(source)
    else:
        _check_template(template)
        shown |= _scene(source)
    return RecordingConfig(shown, metadata)


def _output(source: Mapping[str, Any]) -> dict[str, Any]:
    output_id, scale = source.get("outputId"), source.get("scaleRatio")
    if not isinstance(output_id, str) or not 0 < len(output_id) <= MAX_OUTPUT_ID_CHARACTERS:
        raise RequestError(400, f"Expected outputId to be the id of an output, got: {output_id}")
    if scale is None:
        scale = 1.0
    if not isinstance(scale, int | float) or isinstance(scale, bool) or scale <= 0:
        raise RequestError(400, f"Expected scaleRatio to be a number above 0, got: {scale}")
    return {"outputId": output_id, "scaleRatio": scale}


def _scene(source: Mapping[str, Any]) -> dict[str, Any]:
    audio, resolution = source.get("audio"), source.get("resolution")
    if audio is None:
        audio = True
    if not isinstance(audio, bool):
        raise RequestError(400, f"Expected audio to be true or false, got: {audio}")
    if resolution is None:
        resolution = _DEFAULT_RESOLUTION
    if not isinstance(resolution, dict):
        raise RequestError(400, f"Expected resolution to be an object, got: {resolution}")
    size = {key: resolution.get(key) for key in ("width", "height")}
    for key, value in size.items():
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise RequestError(400, f"Expected {key} to be a number above 0, got: {value}")
    return {"audio": audio, "resolution": size}


def _check_template(template: bytes) -> None:
    if not template:
        raise RequestError(400, "Expected template to be a bundle, got nothing")
    if len(template) > MAX_TEMPLATE_BYTES:
        raise RequestError(400, f"Template is larger than {MAX_TEMPLATE_BYTES} bytes")
    try:
        template.decode()
    except UnicodeDecodeError as error:
        raise RequestError(400, "Expected template to be a JavaScript bundle") from error


@dataclass(frozen=True, slots=True)
class RecordingFilter:
    """Filter of the recordings that a listing shows.

    Attributes:
        status: Only those of this status; None is any.
        metadata: Paths into the metadata and the values there, as query text.
    """

    status: str | None = None
    metadata: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()

    def matches(self, status: str, metadata: Mapping[str, Any] | None) -> bool:
        """Return whether a recording of that status and metadata is shown."""
        if self.status not in (None, status):
            return False
        return all(_texts(_at(metadata, path)) == values for path, values in self.metadata)


def read_recording_filter(query: Sequence[tuple[str, str]]) -> RecordingFilter:
    """Read the query of `GET /recordings`: `status` and `metadata[key][nested]=value`.

    Raises:
        RequestError: 400, there is no such status.
    """
    status = None
    wanted: dict[tuple[str, ...], tuple[str, ...]] = {}
    for key, value in query:
        if key == "status":
            if value not in STATUSES:
                raise RequestError(400, f"Expected status to be one of {', '.join(STATUSES)}, got: {value}")
            status = value
        elif found := _FILTER.fullmatch(key):
            path = tuple(found[1][1:-1].split("]["))
            wanted[path] = (*wanted.get(path, ()), value)
    return RecordingFilter(status, tuple(wanted.items()))


def _at(metadata: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        # A key that is absent equals nothing a query can say, not even null.
        metadata = metadata.get(key, _ABSENT) if isinstance(metadata, dict) else _ABSENT
    return metadata


_ABSENT = object()


def _texts(value: Any) -> tuple[str, ...] | None:
    """A metadata value as clients write it into a query; a list is a key that is repeated."""
    if value is _ABSENT:
        return None
    values = value if isinstance(value, list) else [value]
    return tuple(item if isinstance(item, str) else json.dumps(item) for item in values)

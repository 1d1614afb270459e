"""The endpoints for recordings, in the manner of `endpoints`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .json_model import as_list, as_object
from .recording import CompositionSource, Recording, RecordingStatus, TemplateSource
from .requests import Part, Request, data_of, encoded, json_text, nothing


def create_composition_recording(
    source: CompositionSource, metadata: dict[str, Any] | None = None
) -> Request[Recording]:
    """Start to record an output of a composition. The recording is `active` at once.

    Args:
        source: What to record.
        metadata: A label to find it again with.
    """
    return Request("POST", "/recordings", _recording, _config(source, metadata))


def create_template_recording(
    source: TemplateSource, template: bytes | str | Path, metadata: dict[str, Any] | None = None
) -> Request[Recording]:
    """Start to record a scene that a template renders. The recording is `active` at once.

    Args:
        source: What to record.
        template: The bundle that renders, 1 MiB at most: its bytes, or the path of its file. Never take a
            path from somebody else; the file is uploaded.
        metadata: A label to find it again with.

    Raises:
        OSError: The file cannot be read.
    """
    if isinstance(template, bytes):
        bundle = Part("template", template, "template.js")
    else:
        path = Path(template)
        bundle = Part("template", path.read_bytes(), path.name)
    config = json_text(_config(source, metadata), "the metadata of a recording").encode()
    parts = (Part("config", config, content_type="application/json"), bundle)
    return Request("POST", "/recordings", _recording, parts=parts)


def create_recording(source: CompositionSource, metadata: dict[str, Any] | None = None) -> Request[Recording]:
    """Deprecated name of `create_composition_recording`."""
    warnings.warn(
        "create_recording is deprecated: use create_composition_recording", DeprecationWarning, stacklevel=3
    )
    return create_composition_recording(source, metadata)


def get_recording(recording_id: str) -> Request[Recording]:
    """The recording as it is now."""
    return Request("GET", _path(recording_id), _recording)


def get_all_recordings(
    metadata: dict[str, Any] | None = None, *, status: RecordingStatus | str | None = None
) -> Request[list[Recording]]:
    """All recordings, or those that match.

    Args:
        metadata: Only recordings whose metadata has all of these keys and values, nested ones included.
        status: Only recordings in this state.
    """
    query = dict(_filter("metadata", metadata or {}))
    if status is not None:
        query["status"] = str(status)
    return Request("GET", "/recordings", _recordings, query=query or None)


def stop_recording(recording_id: str) -> Request[Recording]:
    """Stop capturing. It becomes `finished` when its end is written, and later `available`; not at once.

    Stopping twice does nothing.
    """
    return Request("POST", f"{_path(recording_id)}/stop", _recording, repeatable=True)


def delete_recording(recording_id: str) -> Request[None]:
    """Delete a recording and its files.

    Raises:
        ConflictError: It is still active: stop it first.
    """
    return Request("DELETE", _path(recording_id), nothing)


def _path(recording_id: str) -> str:
    return f"/recordings/{encoded(recording_id)}"


def _config(source: CompositionSource | TemplateSource, metadata: dict[str, Any] | None) -> dict[str, Any]:
    config: dict[str, Any] = {"source": source.to_dict()}
    if metadata is not None:
        config["metadata"] = metadata
    return config


def _recording(value: Any) -> Recording:
    return Recording.from_dict(data_of(value))


def _recordings(value: Any) -> list[Recording]:
    recordings = as_list(as_object(value, "an answer").get("data"), "a list of recordings")
    return [Recording.from_dict(recording) for recording in recordings]


def _filter(prefix: str, metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Nested keys in OpenAPI's deepObject style; the server compares values as JSON text."""
    for name, value in metadata.items():
        where = f"{prefix}[{name}]"
        if isinstance(value, Mapping):
            yield from _filter(where, value)
        else:
            yield where, value if isinstance(value, str) else json_text(value, where)

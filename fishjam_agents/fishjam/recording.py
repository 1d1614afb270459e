"""Recordings: what is captured, how far it is, and where its files are."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..errors import ProtocolError
from .json_model import (
    JsonModel,
    Properties,
    as_object,
    boolean,
    integer,
    key,
    list_of,
    member,
    model,
    number,
    properties,
    text,
)


class RecordingStatus(enum.StrEnum):
    """State of a recording: captured, closed, ready to fetch, or lost."""

    ACTIVE = "active"
    AVAILABLE = "available"
    FAILED = "failed"
    FINISHED = "finished"


class RecordingMetadata(Properties):
    """Labels of a recording, by which to find it again."""


@dataclass(frozen=True, slots=True)
class CompositionSource(JsonModel):
    """Captures an output of a composition.

    Attributes:
        composition_url: The composition.
        output_id: Its output.
        scale_ratio: Size relative to that output, above 0.
    """

    WHAT: ClassVar[str] = "a composition source"

    composition_url: str = field(metadata=key("compositionURL", text))
    output_id: str = field(metadata=key("outputId", text))
    scale_ratio: float = field(default=1.0, metadata=key("scaleRatio", number, absent=1.0))


@dataclass(frozen=True, slots=True)
class TemplateSourceResolution(JsonModel):
    """Size of the rendered scene, in pixels."""

    WHAT: ClassVar[str] = "a resolution"

    height: int = field(metadata=key("height", integer))
    width: int = field(metadata=key("width", integer))


@dataclass(frozen=True, slots=True)
class TemplateSource(JsonModel):
    """Renders a scene of its own from a composition's inputs.

    Attributes:
        composition_url: The composition.
        audio: Whether sound is captured.
        resolution: 1280x720 if left out.
    """

    WHAT: ClassVar[str] = "a template source"

    composition_url: str = field(metadata=key("compositionURL", text))
    audio: bool = field(default=True, metadata=key("audio", boolean, absent=True))
    resolution: TemplateSourceResolution | None = field(
        default=None,
        metadata=key("resolution", model(TemplateSourceResolution), absent=None, omit_none=True),
    )


RecordingSource = CompositionSource | TemplateSource
"""Source that a recording captures, one class per kind."""


def _source(value: Any, what: str) -> CompositionSource | TemplateSource | Mapping[str, Any]:
    source = as_object(value, what)
    kind = CompositionSource if "outputId" in source else TemplateSource
    try:
        return kind.from_dict(source)
    except ProtocolError:
        # A kind newer than this version must not hide all other recordings.
        return source


@dataclass(frozen=True, slots=True)
class RecordingFile(JsonModel):
    """One media file of a recording.

    Attributes:
        url: Where to fetch it.
    """

    WHAT: ClassVar[str] = "a recording's file"

    url: str = field(metadata=key("url", text))


@dataclass(frozen=True, slots=True)
class Recording(JsonModel):
    """A recording.

    Attributes:
        files: Its media in playback order; empty until it is `available`.
        id: Recording id.
        source: What it captures; a kind this version does not know is the plain JSON object.
        status: How far it is.
        metadata: What it was labelled with.
    """

    WHAT: ClassVar[str] = "a recording"

    files: list[RecordingFile] = field(metadata=key("files", list_of(model(RecordingFile)), absent=list))
    id: str = field(metadata=key("id", text))
    source: RecordingSource | Mapping[str, Any] = field(metadata=key("source", _source))
    status: RecordingStatus | str = field(metadata=key("status", member(RecordingStatus)))
    metadata: RecordingMetadata | None = field(
        default=None, metadata=key("metadata", properties(RecordingMetadata), absent=None)
    )

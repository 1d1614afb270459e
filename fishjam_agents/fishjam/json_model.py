"""JSON objects of Fishjam's REST interface as frozen dataclasses: one declaration reads and writes them.

Keys that a class does not declare are kept in `additional_properties`, optional ones may be missing, and
values of enumerations newer than this version stay text. So an older client reads a newer server.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self, TypeVar, cast

from ..errors import ProtocolError

Read = Callable[[Any, str], Any]
"""Makes a field's value of decoded JSON; the text says where it stands, for the error."""

E = TypeVar("E", bound=enum.StrEnum)

_REQUIRED = object()


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    read: Read
    absent: Any
    omit_none: bool


def key(name: str, read: Read, *, absent: Any = _REQUIRED, omit_none: bool = False) -> dict[str, Any]:
    """Metadata of a dataclass field that stands in JSON.

    Args:
        name: Its key.
        read: Checks and converts the value.
        absent: What a missing or null key means; a callable is called. Without it, the key is required.
        omit_none: Do not write the key when the value is None.
    """
    return {"json": _Key(name, read, absent, omit_none)}


@dataclass(frozen=True, slots=True)
class JsonModel:
    """A JSON object with declared keys.

    Attributes:
        additional_properties: Keys this version does not know; `model["key"]` reads them.
    """

    WHAT: ClassVar[str] = "an object"

    additional_properties: dict[str, Any] = field(default_factory=dict, kw_only=True, repr=False)

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        """Read it from decoded JSON.

        Raises:
            ProtocolError: It lacks what every such object has, or a value has the wrong type.
        """
        given = dict(as_object(src_dict, cls.WHAT))
        values: dict[str, Any] = {}
        for attribute, spec in _keys(cls):
            value = given.pop(spec.name, None)
            if value is None:
                if spec.absent is _REQUIRED:
                    raise ProtocolError(_without(cls.WHAT, spec.name))
                values[attribute] = spec.absent() if callable(spec.absent) else spec.absent
            else:
                values[attribute] = spec.read(value, f"{cls.WHAT}'s {spec.name!r}")
        return cls(**values, additional_properties=given)

    def to_dict(self) -> dict[str, Any]:
        """The object as it stands in JSON, the unknown keys included."""
        written = dict(self.additional_properties)
        for attribute, spec in _keys(type(self)):
            value = getattr(self, attribute)
            if value is not None or not spec.omit_none:
                written[spec.name] = _plain(value)
        return written

    @property
    def additional_keys(self) -> list[str]:
        """Names of the keys this version does not know."""
        return list(self.additional_properties)

    def __getitem__(self, name: str) -> Any:
        return self.additional_properties[name]

    def __contains__(self, name: object) -> bool:
        return name in self.additional_properties


class Properties(dict[str, Any]):
    """A JSON object whose keys are the application's own: a `dict`, with the official SDK's accessors."""

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        """Take over a mapping."""
        return cls(src_dict)

    def to_dict(self) -> dict[str, Any]:
        """A plain copy."""
        return dict(self)

    @property
    def additional_properties(self) -> Self:
        """The object itself; every key of it is the application's."""
        return self

    @property
    def additional_keys(self) -> list[str]:
        """Its keys."""
        return list(self)


_KEYS: dict[type[JsonModel], tuple[tuple[str, _Key], ...]] = {}
"""Keys of the models that were used: a listing of rooms reads many objects of each."""


def _keys(model: type[JsonModel]) -> tuple[tuple[str, _Key], ...]:
    known = _KEYS.get(model)
    if known is None:
        found = ((item.name, item.metadata.get("json")) for item in fields(model))
        known = _KEYS[model] = tuple((name, key) for name, key in found if key is not None)
    return known


def _plain(value: Any) -> Any:
    if isinstance(value, JsonModel):
        return value.to_dict()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Properties):
        return dict(value)
    return value.value if isinstance(value, enum.Enum) else value


def as_object(value: Any, what: str) -> Mapping[str, Any]:
    """The value, if it is a JSON object.

    Raises:
        ProtocolError: It is something else.
    """
    if not isinstance(value, Mapping):
        raise ProtocolError(_wrong(value, what))
    return value


def as_text(value: Mapping[str, Any], name: str, what: str) -> str:
    """A text every such object has.

    Raises:
        ProtocolError: It is missing, or no text.
    """
    found = value.get(name)
    if not isinstance(found, str):
        raise ProtocolError(_without(what, name))
    return found


def as_list(value: Any, what: str) -> list[Any]:
    """The value, if it is a JSON array.

    Raises:
        ProtocolError: It is something else.
    """
    if not isinstance(value, list):
        raise ProtocolError(_wrong(value, what))
    return value


def text(value: Any, what: str) -> str:
    """Reads a text."""
    return cast(str, _typed(value, what, str))


def integer(value: Any, what: str) -> int:
    """Reads a whole number."""
    return cast(int, _typed(value, what, int))


def number(value: Any, what: str) -> float:
    """Reads a number."""
    return float(_typed(value, what, int, float))


def boolean(value: Any, what: str) -> bool:
    """Reads true or false."""
    if not isinstance(value, bool):
        raise ProtocolError(_wrong(value, what))
    return value


def member(kind: type[E]) -> Callable[[Any, str], E | str]:
    """Reads a member of an enumeration; text this version does not know stays text."""

    def read(value: Any, what: str) -> E | str:
        found = text(value, what)
        try:
            return kind(found)
        except ValueError:
            return found

    return read


def model(kind: type[JsonModel]) -> Read:
    """Reads an object."""
    return lambda value, what: kind.from_dict(as_object(value, what))


def list_of(read: Read) -> Read:
    """Reads an array of such values."""
    return lambda value, what: [read(item, f"an item of {what}") for item in as_list(value, what)]


def properties(kind: type[Properties]) -> Read:
    """Reads an application's own object; a value of another type stays what it is."""
    return lambda value, what: kind(value) if isinstance(value, dict) else value


def _typed(value: Any, what: str, *kinds: type) -> Any:
    # bool is an int to Python and none to JSON.
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise ProtocolError(_wrong(value, what))
    return value


def _wrong(value: Any, what: str) -> str:
    return f"the server sent {type(value).__name__} for {what}: is it a Fishjam server?"


def _without(what: str, name: str) -> str:
    return f"the server sent {what} without {name!r}: is it a Fishjam server?"

"""Catalogue of settings: the keys of a class with type, default, unit and the sentence of its docstring.

The docstrings are the one place where settings are described; the schema and the reference read them here.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fishjam_agents.backends import registry
from fishjam_agents.backends.port import Registered
from fishjam_agents.settings_codec import members
from fishjam_agents.units import Unit

REQUIRED = object()
"""Stands for the default of a key that has none."""

_ENTRY = re.compile(r"^(?P<name>\w+)(?: \([^)]*\))?: (?P<text>.*)$")


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a settings class.

    Attributes:
        name: The key.
        hint: Its type, without units.
        default: What it is where a file does not give it, or `REQUIRED`.
        unit: Of its number, "" for a number without one and for anything else.
        text: What its class's docstring says of it, one line.
    """

    name: str
    hint: Any
    default: Any
    unit: str
    text: str


def settings_of(kind: type[Any]) -> Mapping[str, Setting]:
    """The keys of a settings class, in the order in which it declares them.

    Args:
        kind: A dataclass.
    """
    plain, marked, texts = get_type_hints(kind), get_type_hints(kind, include_extras=True), described(kind)
    return {
        item.name: Setting(
            item.name, plain[item.name], _default(item), _unit(marked[item.name]), texts.get(item.name, "")
        )
        for item in dataclasses.fields(kind)
        if item.init
    }


def summary(kind: type[Any]) -> str:
    """The first line of a class's docstring."""
    return inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]


def prose(kind: type[Any]) -> str:
    """A class's docstring up to its attributes."""
    return inspect.cleandoc(kind.__doc__ or "").partition("\nAttributes:\n")[0].strip()


def described(kind: type[Any]) -> Mapping[str, str]:
    """Sentences of a class's docstring, and of its bases', on attributes: their section `Attributes:`."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        texts |= dict(_attributes(inspect.cleandoc(base.__dict__.get("__doc__") or "")))
    return texts


def registered_base(hint: Any) -> type[Registered] | None:
    """The base of the implementations that a setting holds by their `type`: one of them, or a list."""
    for kind in members(hint):
        for candidate in (kind, *get_args(kind)):
            if isinstance(candidate, type) and issubclass(candidate, Registered):
                return candidate
    return None


def implementations(base: type[Registered]) -> Mapping[str, type[Registered]]:
    """Installed implementations of a kind of backend or part, by name.

    Raises:
        ConfigError: One of them cannot be imported.
    """
    return {name: registry.find(name, base) for name in sorted(registry.installed(base))}


def _attributes(doc: str) -> Iterator[tuple[str, str]]:
    """The entries of the section `Attributes:` of a docstring in Google's style."""
    name, words = "", [""]
    for line in doc.partition("\nAttributes:\n")[2].split("\n"):
        if line and not line.startswith("    "):
            break
        if line.startswith("     "):
            words.append(line.strip())
        elif entry := _ENTRY.match(line.strip()):
            if name:
                yield name, " ".join(words)
            name, words = entry["name"], [entry["text"]]
    if name:
        yield name, " ".join(words).strip()


def _default(item: dataclasses.Field[Any]) -> Any:
    if item.default is not dataclasses.MISSING:
        return item.default
    return REQUIRED if item.default_factory is dataclasses.MISSING else item.default_factory()


def _unit(hint: Any) -> str:
    for member in members(hint):
        if get_origin(member) is Annotated:
            for mark in get_args(member)[1:]:
                if isinstance(mark, Unit):
                    return mark.symbol
    return ""

"""A mapping of a file as the settings dataclass that a module owns."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from fishjam_agents.backends import registry
from fishjam_agents.backends.port import Registered
from fishjam_agents.config.document import Node, Scalar, Section, Sequence
from fishjam_agents.config.problems import Problems, SourceLocation, alternatives, nearest
from fishjam_agents.config.settings import PartialSettings
from fishjam_agents.config.shorthand import expanded
from fishjam_agents.config.values import WrongValueError, accepts_none, members, read_value, show
from fishjam_agents.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")


V = TypeVar("V")
R = TypeVar("R", bound=Registered)


class SectionReader:
    """Reads sections and notes what is wrong with them.

    Args:
        problems: Takes what is wrong.

    Attributes:
        lines: Where every key seen stands, by its path.
    """

    def __init__(self, problems: Problems) -> None:
        self.lines: dict[str, SourceLocation] = {}
        self._problems = problems

    def mapping(
        self, node: Node | None, path: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None
    ) -> Section | None:
        """The node as a mapping with its unknown keys noted; None if it is something else.

        Args:
            node: The value of `path`; nothing is an empty mapping.
            path: The key it belongs to, "" for the file.
            known: The keys it may have.
            elsewhere: Keys that belong to another place, and which.
        """
        if node is None or (isinstance(node, Scalar) and node.null):
            return Section({}, {}, self._problems.start if node is None else node.line)
        if not isinstance(node, Section):
            if not (isinstance(node, Scalar) and node.broken):
                self._problems.add(node.line, f"{path} must be a mapping of settings, not {show(node)}")
            return None
        known = list(known)
        for key, line in node.lines.items():
            where = f"{path}.{key}" if path else key
            self.lines[where] = line
            if key in known:
                continue
            home = (elsewhere or {}).get(key)
            advice = f"did you mean {home}?" if home else nearest(key, known)
            self._problems.add(line, f"{where} is not a setting: {advice}")
        return node

    def read(
        self, kind: type[T], node: Node | None, path: str, besides: Iterable[str] = ()
    ) -> PartialSettings[T] | None:
        """The node as settings.

        Args:
            kind: Their dataclass. Fields may hold further dataclasses, also in tuples and mappings.
            node: The value of `path`, None where the file has none.
            path: The key the settings belong to, "" for the file.
            besides: Keys of the mapping that are no fields of the dataclass.

        Returns:
            The settings, None if anything is wrong with them.
        """
        hints = get_type_hints(kind)
        fields = {item.name: item for item in dataclasses.fields(kind) if item.init}
        section = self.mapping(node, path, [*besides, *fields])
        if section is None:
            return None
        complete = section.lines.keys() <= {*besides, *fields}
        values: dict[str, Any] = {}
        for name, item in fields.items():
            where = f"{path}.{name}" if path else name
            found, value = self._field(hints[name], section.entries.get(name), where)
            if found:
                values[name] = value
            elif found is None:
                complete = False
            elif item.default is item.default_factory is dataclasses.MISSING:
                complete = False
                line = self.lines.get(path, section.line)
                self._problems.add(line, f"{where} is missing: give it")
        if not complete:
            return None
        try:
            return PartialSettings(kind(**values), frozenset(values))
        except ValueError as error:
            self._refused(str(error), section, path)
            return None

    def registered(self, base: type[R], node: Node | None, path: str) -> R | None:
        """The node as settings of the implementation that its `type` names.

        Args:
            base: What it has to implement (`backends.registry.Registered`).
            node: The value of `path`, None where the file has none.
            path: The key the settings belong to.

        Returns:
            The settings, None if there are none or anything is wrong with them.
        """
        if node is None:
            return None
        line = self.lines.get(path, node.line)
        names = sorted(registry.installed(base))
        if not isinstance(node, Section):
            example = "parrot" if "parrot" in names else next(iter(names), "NAME")
            key = path.rpartition(".")[2]
            message = f"{path} must be a mapping with a type: write {key}: {{type: {example}}}"
            self._problems.add(line, message)
            return None
        kind = node.entries.get("type")
        if kind is None or (isinstance(kind, Scalar) and kind.null):
            self._problems.add(line, f"{path}.type is missing: use {alternatives(names)}")
            return None
        name = self.text(kind, f"{path}.type")
        if name is None:
            return None
        try:
            implementation = registry.find(name, base)
        except ConfigError as error:
            self._problems.add(kind.line, f"{path}.type: {error}")
            return None
        given = self.read(implementation, node, path, besides=("type",))  # type: ignore[type-var]
        return None if given is None else given.settings

    def text(self, node: Node | None, path: str) -> str | None:
        """The node as text, None where there is none or it is wrong."""
        return self.value(str, node, path)

    def value(self, hint: type[V], node: Node | None, path: str) -> V | None:
        """The node as what a type hint says, None where there is none or it is wrong."""
        found, value = self._field(hint, node, path)
        return value if found else None

    def _field(self, hint: Any, node: Node | None, path: str) -> tuple[bool | None, Any]:
        """Return whether there is a value (None: it is wrong), and the value."""
        node = expanded(node, path)
        if node is None or (isinstance(node, Scalar) and node.null and not accepts_none(hint)):
            return False, None
        if isinstance(node, Scalar):
            if node.broken:
                return None, None
            if node.null:
                return True, None
        inner = next((kind for kind in members(hint) if dataclasses.is_dataclass(kind)), None)
        if isinstance(inner, type):
            types: Mapping[str, type[Any]] = getattr(inner, "types", {})
            settings = self._read_type(types, node, path) if types else self.read(inner, node, path)
            return (None, None) if settings is None else (True, settings.settings)
        base = _registered(hint)
        if base is not None:
            return self._parts(base, node, path)
        element = _element(hint, node)
        if element is not None:
            return self._elements(element, node, path)
        try:
            return True, read_value(hint, node, Path(node.line.source).parent)
        except WrongValueError as error:
            self._problems.add(node.line, f"{path} {error}")
            return None, None

    def _read_type(
        self, types: Mapping[str, type[Any]], node: Node, path: str
    ) -> PartialSettings[Any] | None:
        """One of several kinds of settings, told apart by `type`."""
        section = self.mapping(node, path, node.entries) if isinstance(node, Section) else None
        if section is None:
            self.mapping(node, path, ())
            return None
        kind = section.entries.get("type")
        if not isinstance(kind, Scalar) or kind.text not in types:
            line = section.line if kind is None else kind.line
            told = "is missing" if kind is None else f"must be {alternatives(types)}, not {show(kind)}"
            self._problems.add(
                line, f"{path}.type {told}" + (f": use {alternatives(types)}" if kind is None else "")
            )
            return None
        return self.read(types[kind.text], node, path, besides=("type",))

    def _elements(self, element: type[Any], node: Node, path: str) -> tuple[bool | None, Any]:
        """The list or mapping of dataclasses that a field holds."""
        if isinstance(node, Sequence):
            self.lines.update({f"{path}[{index}]": item.line for index, item in enumerate(node.items)})
            items = [self.read(element, item, f"{path}[{index}]") for index, item in enumerate(node.items)]
            if None in items:
                return None, None
            return True, tuple(item.settings for item in items if item is not None)
        assert isinstance(node, Section)
        self.lines.update({f"{path}.{name}": line for name, line in node.lines.items()})
        named = {name: self.read(element, item, f"{path}.{name}") for name, item in node.entries.items()}
        if None in named.values():
            return None, None
        return True, {name: item.settings for name, item in named.items() if item is not None}

    def _parts(self, base: type[Registered], node: Node, path: str) -> tuple[bool | None, Any]:
        """One or several implementations of `base`."""
        if isinstance(node, Sequence):
            paths = [f"{path}[{index}]" for index in range(len(node.items))]
            self.lines.update({where: item.line for where, item in zip(paths, node.items, strict=True)})
            parts = [
                self.registered(base, item, where) for where, item in zip(paths, node.items, strict=True)
            ]
        else:
            parts = [self.registered(base, node, path)]
        return (None, None) if None in parts else (True, tuple(parts))

    def _refused(self, sentence: str, section: Section, path: str) -> None:
        """Note what a dataclass says of its values, in the line of the first key it speaks of."""
        words = re.findall(r"\w+", sentence)
        named = [section.lines[word] for word in words if word in section.lines]
        line = named[0] if named else self.lines.get(path, section.line)
        name = path.rpartition(".")[2]
        if path and sentence.partition(":")[0] in section.lines:
            sentence = f"{path}.{sentence}"
        elif sentence.startswith(f"{name}."):
            sentence = path.removesuffix(name) + sentence
        elif path and not sentence.startswith(f"{name} "):
            sentence = f"{path}: {sentence}"
        self._problems.add(line, sentence)


def _element(hint: Any, node: Node) -> type[Any] | None:
    """The dataclass that a list or mapping in the file holds, None where it holds something else."""
    wanted = {Section: Mapping, Sequence: tuple}.get(type(node))
    for kind in members(hint):
        arguments, origin = get_args(kind), get_origin(kind)
        # Literal is no class, and holds words.
        if wanted is None or not arguments or origin is Literal:
            continue
        if not issubclass(origin or object, wanted):
            continue
        element = arguments[-1] if wanted is Mapping else arguments[0]
        if dataclasses.is_dataclass(element) and isinstance(element, type):
            return element
    return None


def _registered(hint: Any) -> type[Registered] | None:
    """The base class of a field that holds implementations found by name, None where it holds no such."""
    for kind in members(hint):
        for argument in get_args(kind):
            if isinstance(argument, type) and issubclass(argument, Registered):
                return argument
    return None

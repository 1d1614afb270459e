"""A mapping of a file as the settings dataclass that a module owns, validated whole by pydantic."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError

from fishjam_agents.backends import registry
from fishjam_agents.backends.port import Registered
from fishjam_agents.config.document import Node, Scalar, Section, Sequence
from fishjam_agents.config.problems import Problems, SourceLocation, alternatives, nearest
from fishjam_agents.config.settings import PartialSettings, SettingsT
from fishjam_agents.config.shorthand import expanded
from fishjam_agents.config.values import mistake_sentence, plain_value, show
from fishjam_agents.errors import ConfigError, SettingError
from fishjam_agents.settings_codec import accepts_none, field_hints, members, refusal, validate, variants

V = TypeVar("V")
R = TypeVar("R", bound=Registered)

_ABSENT = object()
_WRONG = object()
"""Stands in the data for what has been noted, so that the settings around it are not made."""


class SectionReader:
    """Reads sections and notes what is wrong with them.

    Args:
        problems: Takes what is wrong.
        environ: Where variables of other files are looked up.

    Attributes:
        lines: Where every key seen stands, by its path.
        environ: The environment.
    """

    def __init__(self, problems: Problems, environ: Mapping[str, str] = os.environ) -> None:
        self.environ = environ
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
            where = join(path, key)
            self.lines[where] = line
            if key in known:
                continue
            home = (elsewhere or {}).get(key)
            advice = f"did you mean {home}?" if home else nearest(key, known)
            self._problems.add(line, f"{where} is not a setting: {advice}")
        return node

    def read(
        self, kind: type[SettingsT], node: Node | None, path: str, besides: Iterable[str] = ()
    ) -> PartialSettings[SettingsT] | None:
        """The node as settings.

        Args:
            kind: Their dataclass. Fields may hold further dataclasses, also in tuples and mappings.
            node: The value of `path`, None where the file has none.
            path: The key the settings belong to, "" for the file.
            besides: Keys of the mapping that are no fields of the dataclass.

        Returns:
            The settings, None if anything is wrong with them.
        """
        hints = field_hints(kind)
        section = self.mapping(expanded(node, path), path, [*besides, *hints])
        if section is None:
            return None
        data = {
            key: self._data(hints[key], entry, join(path, key)) if key in hints else _WRONG
            for key, entry in section.entries.items()
            if key in hints or key not in besides
        }
        data = {key: value for key, value in data.items() if value is not _ABSENT}
        try:
            return PartialSettings(validate(kind, data), frozenset(data))
        except ValidationError as error:
            for mistake in error.errors(include_url=False, include_input=False):
                key, *within = mistake["loc"] or (None,)
                if key is None:
                    self._refused(refusal(mistake), section, path)
                elif key not in data:
                    line = self.lines.get(path, section.line)
                    self._problems.add(line, f"{join(path, str(key))} is missing: give it")
                elif data[key] is not _WRONG:
                    self._mistake(hints[key], section.entries[key], join(path, key), mistake, within)
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
        names = sorted(registry.installed(base))
        if not isinstance(node, Section):
            example = "parrot" if "parrot" in names else next(iter(names), "NAME")
            key = path.rpartition(".")[2]
            message = f"{path} must be a mapping with a type: write {key}: {{type: {example}}}"
            self._problems.add(self.lines.get(path, node.line), message)
            return None
        kind = self._type(node, path, names)
        name = self.text(kind, f"{path}.type")
        if kind is None or name is None:
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
        data = self._data(hint, node, path)
        if node is None or data is _ABSENT or data is _WRONG:
            return None
        try:
            value: V = validate(hint, data)
        except ValidationError as error:
            for mistake in error.errors(include_url=False, include_input=False):
                self._mistake(hint, node, path, mistake, mistake["loc"])
            return None
        return value

    def _data(self, hint: Any, node: Node | None, path: str) -> Any:
        """The data of a value for pydantic; dataclasses in it are made already, each validated whole."""
        node = expanded(node, path)
        if node is None or (isinstance(node, Scalar) and node.null and not accepts_none(hint)):
            return _ABSENT
        if isinstance(node, Scalar) and (node.broken or node.null):
            return None if node.null else _WRONG
        if kinds := variants(hint):
            given = self.read(kinds[""], node, path) if "" in kinds else self._typed(kinds, node, path)
            return _WRONG if given is None else given.settings
        element = _element(hint, node)
        return plain_value(hint, node) if element is None else self._elements(element, node, path)

    def _elements(self, element: type[Any], node: Node, path: str) -> Any:
        """The list or mapping of settings that a field holds; a single implementation stands for a list."""
        if isinstance(node, Sequence):
            items = {f"{path}[{index}]": item for index, item in enumerate(node.items)}
            self.lines.update({where: item.line for where, item in items.items()})
            made = [self._made(element, item, where) for where, item in items.items()]
        elif issubclass(element, Registered):
            made = [self._made(element, node, path)]
        else:
            assert isinstance(node, Section)
            self.lines.update({join(path, name): line for name, line in node.lines.items()})
            named = {name: self._made(element, item, join(path, name)) for name, item in node.entries.items()}
            return _WRONG if None in named.values() else named
        return _WRONG if None in made else tuple(made)

    def _made(self, kind: type[Any], node: Node, path: str) -> Any:
        if issubclass(kind, Registered):
            return self.registered(kind, node, path)
        given = self.read(kind, node, path)
        return None if given is None else given.settings

    def _typed(self, kinds: Mapping[str, type[Any]], node: Node, path: str) -> PartialSettings[Any] | None:
        """One of several kinds of settings, told apart by `type`."""
        section = self.mapping(node, path, node.entries if isinstance(node, Section) else ())
        if section is None:
            return None
        kind = self._type(section, path, kinds)
        name: str | None = self.value(Literal[*kinds], kind, f"{path}.type")  # type: ignore[arg-type]
        return None if name is None else self.read(kinds[name], node, path, besides=("type",))

    def _type(self, section: Section, path: str, names: Iterable[str]) -> Node | None:
        """The node of a section's `type`, its absence noted."""
        kind = section.entries.get("type")
        if kind is not None and not (isinstance(kind, Scalar) and kind.null):
            return kind
        line = self.lines.get(path, section.line)
        self._problems.add(line, f"{path}.type is missing: use {alternatives(names)}")
        return None

    def _mistake(
        self, hint: Any, node: Node, path: str, mistake: Mapping[str, Any], within: Iterable[str | int]
    ) -> None:
        """Note what pydantic says of a value."""
        self._problems.add(node.line, f"{path} {mistake_sentence(hint, node, mistake, within)}")

    def _refused(self, error: SettingError, section: Section, path: str) -> None:
        """Note what a dataclass says of its values, in the line of the first key it speaks of."""
        named = [section.lines[name] for name in error.fields if name in section.lines]
        self._problems.add(named[0] if named else self.lines.get(path, section.line), error.at(path))


def join(path: str, key: str) -> str:
    """The path of a key below another one, "" for the file."""
    return f"{path}.{key}" if path else key


def _element(hint: Any, node: Node) -> type[Any] | None:
    """Class of the settings in a list or mapping: a dataclass, or a base of implementations found by name."""
    for kind in members(hint):
        arguments, origin = get_args(kind), get_origin(kind)
        if not arguments or not isinstance(origin, type):
            continue
        element = arguments[-1] if issubclass(origin, Mapping) else arguments[0]
        if not isinstance(element, type):
            continue
        wanted = Section if issubclass(origin, Mapping) else Sequence
        if issubclass(element, Registered) or (
            dataclasses.is_dataclass(element) and isinstance(node, wanted)
        ):
            return element
    return None

"""A YAML file as a tree that still knows its lines and the text of its scalars.

Values keep their text because only the setting they belong to knows what they are: `007` is an id, `no`
may be a word, `${PORT}` becomes a number after its variable was looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from fishjam_agents.config.problems import Problems, SourceLocation
from fishjam_agents.config.variables import VariableError, expand, held

MAX_BYTES = 1_000_000
"""A larger file is taken for something else than settings."""
SMALLEST = "`agent: {backend: {type: parrot}}`"
"""A complete file, as an example in messages."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value.

    Attributes:
        text: As written, variables expanded.
        line: Where it stands.
        quoted: Whether it was written as text beyond doubt.
        source: As written, for messages: what variables hold may be secret.
        broken: Whether a variable in it could not be expanded, which has been noted.
        held: What its variables hold, with how they are written: never to stand in a message.
    """

    text: str
    line: SourceLocation
    quoted: bool
    source: str
    broken: bool = False
    held: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def null(self) -> bool:
        """True if it stands for nothing, as if the key were not there."""
        return not self.quoted and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    line: SourceLocation


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of keys to values; `lines` are those of the keys."""

    entries: Mapping[str, Node]
    lines: Mapping[str, SourceLocation]
    line: SourceLocation


Node: TypeAlias = Scalar | Sequence | Section


def read_document(
    path: Path, environ: Mapping[str, str], problems: Problems, smallest: str = SMALLEST
) -> Section:
    """Read a file whose top level is a mapping. Duplicate keys and missing variables go to `problems`.

    Args:
        path: The file.
        environ: Where `${VAR}` is looked up.
        problems: Takes what does not prevent reading on.
        smallest: A complete file, as an example in messages.

    Raises:
        ConfigError: It is not such a file.
    """
    text = _read_text(path, problems)
    source = str(path)
    root: yaml.Node | None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = None if root is None else _Converter(source, environ, problems).convert(root)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise problems.error(
            SourceLocation(source, line), "the file is not text: give a YAML file"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        sentence = f"this is not YAML ({error.problem}): {_advice(text, line)}"
        raise problems.error(SourceLocation(source, line), sentence) from error
    except RecursionError as error:
        raise problems.error(
            SourceLocation(source, 1), "the file is nested without end: write it flat"
        ) from error
    if tree is None or (isinstance(tree, Scalar) and tree.null):
        raise problems.error(SourceLocation(source, 1), f"the file is empty: {smallest} is a complete one")
    if not isinstance(tree, Section):
        kind = "a list" if isinstance(tree, Sequence) else "a single value"
        raise problems.error(tree.line, f"the file holds {kind} where settings belong: try {smallest}")
    return tree


def held_in(node: Node) -> dict[str, str]:
    """Values of the variables of a whole tree (`Scalar.held`)."""
    if isinstance(node, Scalar):
        return dict(node.held)
    children = node.items if isinstance(node, Sequence) else node.entries.values()
    return {value: written for child in children for value, written in held_in(child).items()}


def _read_text(path: Path, problems: Problems) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise problems.error(None, "there is no such file: check the path") from error
    except IsADirectoryError as error:
        raise problems.error(None, "this is a folder: name the file in it") from error
    except OSError as error:
        raise problems.error(None, f"the file cannot be read ({error.strerror}): check it") from error
    if len(content) > MAX_BYTES:
        # It may end within a character: what is wrong with it is its length.
        raise problems.error(None, f"the file has more than {MAX_BYTES} bytes: give a file of settings")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        place = SourceLocation(str(path), line)
        raise problems.error(place, "the file is not text in UTF-8: save it as UTF-8") from error


def _advice(text: str, line: int) -> str:
    wrong = "".join(text.splitlines()[line - 1 : line])
    if wrong.lstrip(" ").startswith("\t"):
        return "indent with spaces, not with tabs"
    if "${" in wrong:
        return 'inside braces and brackets a variable needs quotes, like "${NAME}"'
    return "mend this line or the one above"


class _Converter:
    def __init__(self, source: str, environ: Mapping[str, str], problems: Problems) -> None:
        self._source = source
        self._environ = environ
        self._problems = problems
        self._done: dict[int, Node] = {}

    def convert(self, node: yaml.Node, path: str = "") -> Node:
        # An alias is the same node again: once is enough, else a few lines could unfold into gigabytes.
        known = self._done.get(id(node))
        if known is None:
            known = self._done[id(node)] = self._convert(node, path)
        return known

    def _convert(self, node: yaml.Node, path: str) -> Node:
        line = SourceLocation(self._source, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path, line)
        if isinstance(node, yaml.SequenceNode):
            return Sequence(
                tuple(self.convert(item, f"{path}[{i}]") for i, item in enumerate(node.value)), line
            )
        return self._section(node, path, line)

    def _scalar(self, node: yaml.ScalarNode, path: str, line: SourceLocation) -> Scalar:
        source: str = node.value
        try:
            text = expand(source, self._environ)
        except VariableError as error:
            self._problems.add(line, f"{path}: {error}")
            return Scalar(source, line, quoted=True, source=source, broken=True)
        variables = held(source, self._environ)
        self._problems.hide(variables)
        quoted = node.style is not None and text == source
        return Scalar(text, line, quoted=quoted, source=source, held=variables)

    def _section(self, node: yaml.Node, path: str, line: SourceLocation) -> Section:
        entries: dict[str, Node] = {}
        lines: dict[str, SourceLocation] = {}
        for key, value in node.value:
            key_line = SourceLocation(self._source, key.start_mark.line + 1)
            if not isinstance(key, yaml.ScalarNode):
                self._problems.add(key_line, f"{path or 'the file'} has a key that is no word: remove it")
                continue
            name = key.value
            where = f"{path}.{name}" if path else name
            if name in lines:
                self._problems.add(
                    key_line, f"{where} is there twice, first in line {lines[name].line}: keep one of them"
                )
                continue
            entries[name] = self.convert(value, where)
            lines[name] = key_line
        return Section(entries, lines, line)

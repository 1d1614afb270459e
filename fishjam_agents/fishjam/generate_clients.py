"""Write the methods of both clients from the functions that define them (`make clients`; needs ruff).

Explicit methods, rather than ones made at run time, are what editors and type checkers can follow.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

SOURCES = ("endpoints", "recording_endpoints")
"""Modules beside this one whose public functions define the methods."""

_HEADER = '''"""{title}; written by `make clients` from the endpoints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

from . import {sources}
from .requests import Request
{imports}

T = TypeVar("T")


class {name}(ABC):
    """{title}: methods of `{client}`."""

    url: str

    @abstractmethod
    {define} _call(self, request: Request[T]) -> T:
        """Send a request and read its answer."""
'''


def blocking() -> str:
    """Source of `blocking_endpoints`."""
    return _module("BlockingEndpoints", "FishjamClient", "Endpoints that block", "def", "")


def asynchronous() -> str:
    """Source of `async_endpoints`."""
    return _module("AsyncEndpoints", "AsyncFishjamClient", "Endpoints to be awaited", "async def", "await ")


def _module(name: str, client: str, title: str, define: str, await_: str) -> str:
    trees = {source: ast.parse(Path(__file__).with_name(f"{source}.py").read_text()) for source in SOURCES}
    header = _HEADER.format(
        title=title,
        sources=", ".join(SOURCES),
        imports="\n".join(_imports(trees.values())),
        name=name,
        client=client,
        define=define,
    )
    methods = [
        _method(source, function, define, await_)
        for source, tree in trees.items()
        for function in tree.body
        if isinstance(function, ast.FunctionDef) and not function.name.startswith("_")
    ]
    return _formatted("\n".join([header, *methods]))


def _imports(trees: Iterable[ast.Module]) -> Iterator[str]:
    """Imports that annotations may need, those under TYPE_CHECKING last; ruff removes the others."""
    nodes = [node for tree in trees for node in tree.body]
    for kind in (ast.ImportFrom, ast.If):
        for node in nodes:
            if isinstance(node, kind) and getattr(node, "module", None) != "__future__":
                yield ast.unparse(node)


def _method(source: str, function: ast.FunctionDef, define: str, await_: str) -> str:
    parameters = function.args
    keywords = [argument.arg for argument in parameters.kwonlyargs]
    values = [argument.arg for argument in parameters.args]
    values += [f"{keyword}={'self.url' if keyword == '_url' else keyword}" for keyword in keywords]
    if "_url" in keywords:
        del parameters.kwonlyargs[keywords.index("_url")], parameters.kw_defaults[keywords.index("_url")]
    parameters.args.insert(0, ast.arg("self"))
    result = function.returns
    if not (isinstance(result, ast.Subscript) and ast.unparse(result.value) == "Request"):
        raise SystemExit(f"{source}.{function.name} must be annotated to return a Request[...]")
    document = ast.get_docstring(function)
    if document is None:
        raise SystemExit(f"{source}.{function.name} needs a docstring: it becomes the method's")
    if "\n" in document:
        document = textwrap.indent(document, " " * 8).lstrip() + "\n" + " " * 8
    head = f"{define} {function.name}({ast.unparse(parameters)}) -> {ast.unparse(result.slice)}:"
    call = f"return {await_}self._call({source}.{function.name}({', '.join(values)}))"
    return f'    {head}\n        """{document}"""\n        {call}\n'


def _formatted(source: str) -> str:
    for command in (["check", "--fix", "--quiet", "--select", "F401,F811,I"], ["format", "--quiet"]):
        arguments = [sys.executable, "-m", "ruff", *command, "--stdin-filename", __file__, "-"]
        source = subprocess.run(arguments, input=source, stdout=subprocess.PIPE, text=True, check=True).stdout
    return source


def main() -> None:
    """Write both modules."""
    Path(__file__).with_name("blocking_endpoints.py").write_text(blocking())
    Path(__file__).with_name("async_endpoints.py").write_text(asynchronous())


if __name__ == "__main__":
    main()

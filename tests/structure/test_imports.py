"""Modules import each other in one direction: no circle in any distribution, whenever an import happens."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = [ROOT, *sorted(file.parent for file in (ROOT / "integrations").glob("*/pyproject.toml"))]


def modules() -> dict[str, Path]:
    """Every module of every distribution, by its dotted name; generated code is left out."""
    found = {}
    for distribution in DISTRIBUTIONS:
        for package in distribution.glob("fishjam_agents*"):
            for file in package.rglob("*.py"):
                if "generated" not in file.parts:
                    parts = file.relative_to(distribution).with_suffix("").parts
                    found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(name: str, file: Path, known: Mapping[str, Path]) -> set[str]:
    """What a module imports of ours, under TYPE_CHECKING and inside functions included."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found |= {
                f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names
            }
    return {other for other in found if other in known and other != name}


def circles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Strongly connected components of more than one module (Tarjan, 1972, without recursion)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    for root in graph:
        if root in order:
            continue
        work = [(root, iter(sorted(graph[root])))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            module, rest = work[-1]
            for other in rest:
                if other not in order:
                    order[other] = low[other] = len(order)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(sorted(graph[other]))))
                    break
                if other in on_stack:
                    low[module] = min(low[module], order[other])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[module])
                if low[module] == order[module]:
                    circle = []
                    while not circle or circle[-1] != module:
                        circle.append(stack.pop())
                        on_stack.discard(circle[-1])
                    if len(circle) > 1:
                        yield sorted(circle)


def test_no_module_imports_itself_by_way_of_others() -> None:
    known = modules()
    assert len(known) > 300
    graph = {name: imports(name, file, known) for name, file in known.items()}
    assert list(circles(graph)) == []


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert list(circles(graph)) == [["b", "c"]]


def test_the_core_imports_no_integration() -> None:
    known = modules()
    core = {name: file for name, file in known.items() if name.split(".")[0] == "fishjam_agents"}
    wrong = {
        (name, other)
        for name, file in core.items()
        for other in imports(name, file, known)
        if other.split(".")[0] != "fishjam_agents"
    }
    # The official SDK has this door; it only re-exports.
    assert wrong <= {("fishjam_agents.fishjam.integrations.gemini", "fishjam_agents_gemini")}

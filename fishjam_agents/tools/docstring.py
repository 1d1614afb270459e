"""Parser of docstrings in Google's style: the function and its parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

_SECTION = re.compile(
    r"(Args|Arguments|Returns?|Yields?|Raises|Examples?|Notes?|Attributes|Todo|Warnings?):\s*"
)
_PARAMETER = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)")


def read_docstring(text: str | None) -> tuple[str, Mapping[str, str]]:
    """The words before the first section, and what `Args:` says of each parameter, each on one line."""
    lines = inspect.cleandoc(text or "").splitlines()
    sections = [index for index, line in enumerate(lines) if _SECTION.fullmatch(line)]
    end = sections[0] if sections else len(lines)
    parameters: dict[str, str] = {}
    for start in sections:
        if lines[start].startswith("Arg"):
            _read_parameters(lines[start + 1 :], parameters)
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines[:end]).strip())
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs), parameters


def _read_parameters(lines: list[str], parameters: dict[str, str]) -> None:
    indent: int | None = None
    name: str | None = None
    for line in lines:
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        if depth == 0:
            return
        indent = depth if indent is None else indent
        found = _PARAMETER.fullmatch(line.strip()) if depth <= indent else None
        if found:
            name = found[1]
            parameters[name] = found[2]
        elif name is not None:
            parameters[name] = f"{parameters[name]} {line.strip()}".strip()

"""Lines of `check` about models: backends and the components of a cascade, with what each says of itself."""

from __future__ import annotations

from collections.abc import Sequence

from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.backends.port import Backend, Registered
from fishjam_agents.backends.registry import registered_name

INDENT = " " * 10
"""What continues a value stands below it: names take nine columns and a space."""


def describe_components(backend: Backend) -> dict[str, str]:
    """The models of a backend and of those that stand in for it, as `name -> value` of `check`.

    A value has a line for each component. Backends that say nothing of themselves have none.
    """
    shown: dict[str, str] = {}
    several = len(backend.chain) > 1
    for number, part in enumerate(backend.chain, 1):
        mark = f" {number}" if several else ""
        if isinstance(part, Cascade):
            for job, components in (("stt", part.stt), ("llm", part.llm), ("tts", part.tts)):
                shown[f"{job}{mark}"] = _lines(components)
        elif part.describe():
            shown[f"backend{mark}"] = _lines([part])
    return shown


def _lines(parts: Sequence[Registered]) -> str:
    """Return a line for each, the later ones as what stands in; further lines of a part are indented."""
    lines = []
    for number, part in enumerate(parts):
        first, *more = part.describe().splitlines() or [""]
        name = registered_name(part)
        lines.append(("then " if number else "") + (f"{name}: {first}" if first else name))
        lines += [f"  {line}" for line in more]
    return f"\n{INDENT}".join(lines)

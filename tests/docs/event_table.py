"""Table of events of docs/scenarios.md, made from the classes of the events: `make events` writes it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from fishjam_agents.events import EVENTS, Event, Heard

PAGE = Path(__file__).parents[2] / "docs" / "scenarios.md"
HEAD = "| kind | when | fields |\n|---|---|---|\n"
_EVERYWHERE = ("at", "media_at", "track")
"""Fields that the text below the table speaks of, or that nobody can ask for in advance."""


def table() -> str:
    """The rows, in the order of the classes."""
    return "".join(f"| `{kind}` | {_when(event)} | {_fields(event)} |\n" for kind, event in EVENTS.items())


def written(page: str) -> str:
    """The rows that a page holds."""
    found = re.search(rf"{re.escape(HEAD)}((?:\|.*\n)*)", page)
    assert found, "docs/scenarios.md has no table of events"
    return found[1]


def _when(event: type[Event]) -> str:
    # What stands in the docstring before its attributes.
    text = (inspect.getdoc(event) or "").partition("\nAttributes:\n")[0]
    return " ".join(text.split()).removesuffix(".")


def _fields(event: type[Event]) -> str:
    shown: list[str] = []
    for item in event.shown_fields():
        kind = str(item.type)
        if item.name == "heard":
            shown += [f"`heard.{part}`" for part in Heard.__dataclass_fields__ if part != "reply"]
        elif kind.startswith("Mapping"):
            shown.append(f"`{item.name}` (`{item.name}.NAME`)")
        elif item.name not in _EVERYWHERE:
            shown.append(f"`{item.name}`")
    return ", ".join(shown)


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page.replace(HEAD + written(page), HEAD + table()), encoding="utf-8")

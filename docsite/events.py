"""Reference of the events of a call: when each is raised, and its fields."""

from __future__ import annotations

import inspect
import logging

from docsite.markdown import code, table
from fishjam_agents.config.catalogue import described
from fishjam_agents.events import EVENTS, Event

_INTRODUCTION = """# Events

Everything that happens in a call, in one stream: `AgentPipeline.observers` get each as it happens, timelines
and webhooks hold them as JSON, [scenarios](../scenarios.md) expect them. Every event has `at`, seconds of
call time at which it was decided, and `kind`, its name here; events about speech have `media_at`, the moment
in the speaker's audio that they speak of. In Python they are the classes of `fishjam_agents.events`.
"""


def page() -> str:
    """The page, in Markdown."""
    lines = [_INTRODUCTION]
    for kind, event in EVENTS.items():
        lines += [f"## {kind}", "", f"`{event.__name__}`, logged at {_level(event)}.", "", _when(event), ""]
        texts = described(event)
        rows = [
            (code(item.name), code(item.type), texts.get(item.name, ""))
            for item in event.shown_fields()
            if item.name not in ("at", "media_at")
        ]
        lines += table(("field", "type", "what it says"), rows)
    return "\n".join(lines)


def _when(event: type[Event]) -> str:
    # What stands in the docstring before its attributes.
    return (inspect.getdoc(event) or "").partition("\nAttributes:\n")[0].strip()


def _level(event: type[Event]) -> str:
    return logging.getLevelName(event.level).lower()

"""One stream of events, shown to people: the log and the timeline."""

from __future__ import annotations

from fishjam_agents.observe.log import EventLog, setup_logging
from fishjam_agents.observe.settings import LogSettings
from fishjam_agents.observe.timeline import Timeline, render, to_json

__all__ = ["EventLog", "LogSettings", "Timeline", "render", "setup_logging", "to_json"]

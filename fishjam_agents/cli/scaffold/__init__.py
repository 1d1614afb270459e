"""Files of a new bot: what `new` writes, and the project it writes into."""

from __future__ import annotations

from fishjam_agents.cli.scaffold.files import BACKENDS, OFFLINE, Plan, files
from fishjam_agents.cli.scaffold.project import Project, find_project

__all__ = ["BACKENDS", "OFFLINE", "Plan", "Project", "files", "find_project"]

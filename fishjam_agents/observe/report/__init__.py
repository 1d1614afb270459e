"""A simulated call as one page a person can look at, listen to and send to somebody else."""

from __future__ import annotations

from fishjam_agents.observe.report.page import write_report
from fishjam_agents.observe.report.picture import write_picture

__all__ = ["write_picture", "write_report"]

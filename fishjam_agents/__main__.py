"""`python -m fishjam_agents`."""

from __future__ import annotations

from fishjam_agents.cli import main

if __name__ == "__main__":
    main()

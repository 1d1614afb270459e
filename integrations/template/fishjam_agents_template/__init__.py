"""fishjam_agents."""

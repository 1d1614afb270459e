"""Reading a call's events: log lines and the timeline."""

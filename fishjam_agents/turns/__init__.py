"""Turn-taking: pure state machines and their settings."""

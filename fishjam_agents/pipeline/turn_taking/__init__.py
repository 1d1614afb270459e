"""Turn-taking of a call: local, by the backend, by push to talk, or for each peer."""

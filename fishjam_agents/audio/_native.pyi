"""The compiled module, made of the C files in `native/`; ask `fishjam_agents.audio.compiled` for it."""

SOURCES: str
"""`native_sources.digest()` of the sources that it was built from."""

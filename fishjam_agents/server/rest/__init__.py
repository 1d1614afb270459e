"""Fishjam's REST API. `resources.py` is its table: a resource is a file here and a line there."""

"""Journals of calls: what was said and done, on disk as it happens, so that another process can go on."""

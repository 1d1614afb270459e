"""Models that run on this machine, as the parts of a cascade."""

from __future__ import annotations

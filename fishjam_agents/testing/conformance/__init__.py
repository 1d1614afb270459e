"""The conformance kit: whether a backend keeps to the port, by its behaviour.

    from fishjam_agents.testing.conformance import BackendConformance, FarSide, InProcess

    class TestBeep(BackendConformance):
        def far_side(self) -> FarSide:
            return InProcess(Beep())

Needs pytest. `docs/backends.md` has the rest.
"""

from __future__ import annotations

from fishjam_agents.testing.conformance.far_side import ALL_KINDS, CannotError, FarSide, Received
from fishjam_agents.testing.conformance.in_process import InProcess, as_received
from fishjam_agents.testing.conformance.suite import BackendConformance

__all__ = [
    "ALL_KINDS",
    "BackendConformance",
    "CannotError",
    "FarSide",
    "InProcess",
    "Received",
    "as_received",
]

"""The conformance kit: whether a backend keeps to the port, by its behaviour.

    from fishjam_agents.testing.conformance import BackendConformance, FarSide, InProcess

    class TestBeep(BackendConformance):
        def far_side(self) -> FarSide:
            return InProcess(Beep())

Parts of a cascade have suites of their own: `SpeechToTextConformance`, `LanguageModelConformance` and
`TextToSpeechConformance`, each with a `PartFarSide`.

Needs pytest. `docs/backends.md` and `docs/cascade.md` have the rest.
"""

from __future__ import annotations

from fishjam_agents.testing.conformance.far_side import ALL_KINDS, CannotError, FarSide, Received
from fishjam_agents.testing.conformance.in_process import InProcess, as_received
from fishjam_agents.testing.conformance.parts import (
    Cut,
    Fails,
    PartAlone,
    PartFarSide,
    PartStep,
    Unknown,
)
from fishjam_agents.testing.conformance.parts_suites import (
    LanguageModelConformance,
    SpeechToTextConformance,
    TextToSpeechConformance,
)
from fishjam_agents.testing.conformance.suite import BackendConformance

__all__ = [
    "ALL_KINDS",
    "BackendConformance",
    "CannotError",
    "Cut",
    "Fails",
    "FarSide",
    "InProcess",
    "LanguageModelConformance",
    "PartAlone",
    "PartFarSide",
    "PartStep",
    "Received",
    "SpeechToTextConformance",
    "TextToSpeechConformance",
    "Unknown",
    "as_received",
]

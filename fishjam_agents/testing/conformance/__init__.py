"""The conformance kit: whether a backend keeps to the port, by its behaviour.

    from fishjam_agents.testing.conformance import BackendConformance, FakeService, InProcess

    class TestBeep(BackendConformance):
        def fake_service(self) -> FakeService:
            return InProcess(Beep())

Parts of a cascade have suites of their own: `SpeechToTextConformance`, `StreamingSpeechToTextConformance`,
`LanguageModelConformance` and `TextToSpeechConformance`, each with a `FakeComponentService`.

Needs pytest. `docs/backends.md` and `docs/cascade.md` have the rest.
"""

from __future__ import annotations

from fishjam_agents.testing.conformance.component_suites import (
    LanguageModelConformance,
    SpeechToTextConformance,
    TextToSpeechConformance,
)
from fishjam_agents.testing.conformance.components import (
    ComponentAlone,
    Cut,
    Fails,
    FakeComponentService,
    PartStep,
    Unknown,
)
from fishjam_agents.testing.conformance.fake_service import ALL_KINDS, CannotError, FakeService, Received
from fishjam_agents.testing.conformance.in_process import InProcess, as_received
from fishjam_agents.testing.conformance.streaming_suite import StreamingSpeechToTextConformance
from fishjam_agents.testing.conformance.suite import BackendConformance

__all__ = [
    "ALL_KINDS",
    "BackendConformance",
    "CannotError",
    "ComponentAlone",
    "Cut",
    "Fails",
    "FakeComponentService",
    "FakeService",
    "InProcess",
    "LanguageModelConformance",
    "PartStep",
    "Received",
    "SpeechToTextConformance",
    "StreamingSpeechToTextConformance",
    "TextToSpeechConformance",
    "Unknown",
    "as_received",
]

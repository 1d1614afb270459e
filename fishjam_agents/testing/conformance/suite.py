"""The tests themselves, as a class to subclass; which of them apply follows from the backend's claims."""

from __future__ import annotations

from fishjam_agents.testing.conformance.connections import ConnectionChecks
from fishjam_agents.testing.conformance.conversation import ConversationChecks
from fishjam_agents.testing.conformance.faults import FaultChecks
from fishjam_agents.testing.conformance.out_of_band import OutOfBandChecks
from fishjam_agents.testing.conformance.pauses import PauseChecks
from fishjam_agents.testing.conformance.replies import ReplyChecks
from fishjam_agents.testing.conformance.tools import ToolChecks


class BackendConformance(
    ConversationChecks, ReplyChecks, PauseChecks, ToolChecks, OutOfBandChecks, ConnectionChecks, FaultChecks
):
    """Checks that every backend has to pass; subclass it as `class TestMine(BackendConformance)`.

    Override `fake_service`. A test that does not apply is skipped with its reason; one whose
    service cannot do what a claimed capability needs fails.
    """

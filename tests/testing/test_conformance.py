"""The kit against the backends of this package, and against backends that lie."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from fishjam_agents.backends import Parrot, Wav
from fishjam_agents.backends import port as p
from fishjam_agents.errors import FailureKind
from fishjam_agents.testing import Scripted
from fishjam_agents.testing.conformance import BackendConformance, FakeService, InProcess, Received
from tests.testing.scripted_service import ScriptedService

HALF_OPEN = "a_half_open_connection_is_noticed_and_what_was_said_into_it_arrives_once"
FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


class TestParrot(BackendConformance):
    def fake_service(self) -> FakeService:
        return InProcess(Parrot(speed=1.0, chunk=0.05), echoes=True)


class TestFastParrot(BackendConformance):
    def fake_service(self) -> FakeService:
        return InProcess(Parrot(), echoes=True)


class TestWav(BackendConformance):
    def fake_service(self) -> FakeService:
        return InProcess(Wav(FIXTURES / "alice_yes.wav"))


class TestScripted(BackendConformance):
    def fake_service(self) -> FakeService:
        return ScriptedService()


class Reusing(ScriptedService):
    """Calls every reply the same."""

    def _say(self, reply: str, seconds: float, sample: int) -> None:
        super()._say("r1" if reply.startswith("r") else reply, seconds, sample)


class Mixing(ScriptedService):
    """Gives late audio of a dead reply to the next one."""

    async def late_audio(self) -> None:
        self.model.answer(p.ReplyAudio(f"r{self._replies}", np.full(24000, 2000, np.int16)))


class Forgetful(ScriptedService):
    """Loses text."""

    def received(self) -> Sequence[Received]:
        return [item for item in super().received() if item.kind != "text"]


class Repeating(ScriptedService):
    """Answers a tool twice."""

    def received(self) -> Sequence[Received]:
        found = super().received()
        return [*found, *(item for item in found if item.kind == "tool_result")]


class Littering(ScriptedService):
    """Leaves a task behind in every session."""

    async def reply(self, seconds: float, sample: int) -> None:
        await super().reply(seconds, sample)
        asyncio.create_task(asyncio.sleep(100))  # noqa: RUF006 - that is what is caught


class Babbling(ScriptedService):
    """Emits after its session was left."""

    async def reply(self, seconds: float, sample: int) -> None:
        await super().reply(seconds, sample)
        emit = self.model.connections[-1].emit
        asyncio.get_running_loop().call_later(0.1, emit, p.Interrupted())


class Leaking(ScriptedService):
    """Has its key in its settings' repr."""

    secret = "Capabilities"


class Chatty(ScriptedService):
    """Answers what is only to be known."""

    def received(self) -> Sequence[Received]:
        for entry in self.model.entries[self._answered :]:
            if isinstance(entry, p.TextInput) and entry.note:
                self._say("r0", 0.2, 3000)
        return super().received()


class Indiscreet(ScriptedService):
    """Says aloud what was asked beside the conversation."""

    async def answer_question(self, text: str) -> None:
        await super().answer_question(text)
        self._say("r0", 0.2, 3000)


class Twofold(ScriptedService):
    """Says again what was said into a dead connection, and had arrived."""

    def received(self) -> Sequence[Received]:
        found = super().received()
        return [*found, *(item for item in found if item.value == "is anybody there")]


class SetInItsWays(ScriptedService):
    """Takes no new instructions."""

    def received(self) -> Sequence[Received]:
        return [item for item in super().received() if item.kind != "instructions"]


class Stubborn(ScriptedService):
    """Tries again with a key that was rejected."""

    async def refuse(self, kind: FailureKind | None) -> None:
        await super().refuse(kind and "network")


@pytest.mark.parametrize(
    ("liar", "test", "message"),
    [
        (Reusing, "test_every_reply_has_an_id_of_its_own", "no audio of a reply within"),
        (Mixing, "test_an_interrupted_reply_ends_and_its_late_audio_is_in_no_other", "dead reply"),
        (Forgetful, "test_what_is_sent_arrives_in_order", "text"),
        (Repeating, "test_a_tool_is_called_with_its_arguments_and_answered_once", "answered 2 times"),
        (Littering, "test_leaving_in_the_middle_of_a_reply_is_clean", "tasks left behind"),
        (Babbling, "test_leaving_in_the_middle_of_a_reply_is_clean", "emitted after the session was left"),
        (Chatty, "test_a_note_is_known_and_not_answered", "a note was answered"),
        (Indiscreet, "test_a_question_is_answered_in_writing_and_the_conversation_goes_on", "was spoken"),
        (Twofold, f"test_{HALF_OPEN}", "text arrived 2 times"),
        (SetInItsWays, "test_new_instructions_and_tools_hold_from_then_on", "no new instructions within"),
        (Leaking, "test_its_settings_show_no_secret", "shows its secret"),
    ],
)
def test_a_backend_that_breaks_a_rule_is_found_out(
    liar: type[ScriptedService], test: str, message: str
) -> None:
    class Suspect(BackendConformance):
        def fake_service(self) -> FakeService:
            return liar()

    with pytest.raises((AssertionError, ValueError), match=message):
        getattr(Suspect(), test)()


def test_a_rejected_key_that_is_tried_again_is_found_out() -> None:
    class Suspect(BackendConformance):
        def fake_service(self) -> FakeService:
            return Stubborn()

    with pytest.raises(AssertionError, match=r"auth was told as network|did not fail within"):
        Suspect().test_what_only_the_user_can_mend_ends_with_a_sentence("auth")


@dataclass(frozen=True)
class Claims(Scripted):
    """Claims tools and never calls one."""

    capabilities: ClassVar[p.Capabilities] = p.Capabilities(tools=True, output_rate=0)  # type: ignore[misc]


def test_a_claimed_capability_whose_far_side_is_not_written_fails() -> None:
    class Unwritten(BackendConformance):
        def fake_service(self) -> FakeService:
            return InProcess(Claims())

    with pytest.raises(
        AssertionError, match=r"InProcess has no call_tool\(\), which the tests of this backend need"
    ):
        Unwritten().test_a_tool_is_called_with_its_arguments_and_answered_once()

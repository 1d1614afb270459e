"""The kit against the backends of this package, and against backends that lie."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from fishjam_agents.backends import Parrot, Wav
from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError, FailureKind
from fishjam_agents.testing import Scripted
from fishjam_agents.testing.conformance import BackendConformance, FarSide, InProcess, Received, as_received

HALF_OPEN = "a_half_open_connection_is_noticed_and_what_was_said_into_it_arrives_once"
FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


class TestParrot(BackendConformance):
    def far_side(self) -> FarSide:
        return InProcess(Parrot(speed=1.0, chunk=0.05), echoes=True)


class TestFastParrot(BackendConformance):
    def far_side(self) -> FarSide:
        return InProcess(Parrot(), echoes=True)


class TestWav(BackendConformance):
    def far_side(self) -> FarSide:
        return InProcess(Wav(FIXTURES / "alice_yes.wav"))


class Service(Scripted):
    """A scripted model behind a door that may be shut."""

    door: FailureKind | None = None
    silent: bool = False
    lines: Sequence[Line] = ()

    @asynccontextmanager
    async def connect(self, conversation: p.Conversation) -> AsyncIterator[p.BackendSession]:
        if self.silent:
            await asyncio.Event().wait()
        if self.door is not None:
            network = self.door in ("network", "quota")
            raise BackendError("the door is shut: open it", retryable=network, failure=self.door)
        async with super().connect(conversation) as session:
            line = Line(session)
            object.__setattr__(self, "lines", (*self.lines, line))
            try:
                yield line
            finally:
                object.__setattr__(self, "lines", tuple(other for other in self.lines if other is not line))


class Line(p.BackendSession):
    """A connection that may go half-open."""

    def __init__(self, session: p.BackendSession) -> None:
        self.session = session
        self.stalled = False

    async def send(self, entry: p.Entry) -> None:
        if self.stalled:
            await asyncio.Event().wait()
        await self.session.send(entry)

    async def read(self) -> None:
        await self.session.read()


class ScriptedService(FarSide):
    """Drives a `Scripted` backend as an emulator would."""

    resumes = True
    messages = False
    refusals = frozenset({"network", "auth", "config", "quota"})
    secret = "sk-none"
    claims = p.Capabilities(
        own_turn_detection=True,
        truncate=True,
        cancel=True,
        images=True,
        tools=True,
        background_tools=True,
        text=True,
        verbatim_say=True,
        replies_wait=True,
        control=True,
        asks=True,
    )

    def __init__(self) -> None:
        self.model = Service(offers=self.claims)
        self._replies = 0
        self._next: tuple[float, int] | None = None
        self._answered = 0
        self._facts: deque[str] = deque()
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> FarSide:
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._watcher is not None
        self._watcher.cancel()

    def backend(self) -> p.Backend:
        return self.model

    def received(self) -> Sequence[Received]:
        found = (as_received(entry, 16000) for entry in self.model.entries)
        return [item for item in found if item is not None]

    async def reply(self, seconds: float, sample: int) -> None:
        self._next = (seconds, sample)

    async def interrupt(self) -> None:
        self.model.answer(p.Interrupted())

    async def late_audio(self) -> None:
        self.model.answer(p.ReplyAudio("r1", np.full(2400, 2000, np.int16)))

    async def call_tool(self, call: str, name: str, arguments: Mapping[str, Any]) -> None:
        self.model.answer(p.ToolCall(call, name, arguments))

    async def cancel_tool(self, call: str) -> None:
        self.model.answer(p.ToolCallCancelled(call))

    async def answer_question(self, text: str) -> None:
        self._facts.append(text)

    async def stall(self) -> None:
        for line in self.model.lines:
            line.stalled = True

    async def drop(self) -> None:
        if self.model.sessions:
            self.model.answer(BackendError("the line is dead", retryable=True))

    async def refuse(self, kind: FailureKind | None) -> None:
        object.__setattr__(self.model, "door", kind)
        object.__setattr__(self.model, "silent", False)

    async def hold(self) -> None:
        object.__setattr__(self.model, "silent", True)

    def open_connections(self) -> int:
        return sum(not line.stalled for line in self.model.lines)

    async def _watch(self) -> None:
        """Answers turns with the reply that was asked for, and given words with themselves."""
        while True:
            await asyncio.sleep(0.01)
            entries = self.model.entries
            for entry in entries[self._answered :]:
                if isinstance(entry, p.TextEntry) and entry.reply:
                    self._say(entry.reply, 0.5, 3000)
                elif isinstance(entry, p.QuestionEntry) and self._facts:
                    self.model.answer(p.Answer(entry.question, self._facts.popleft()))
                elif isinstance(entry, p.TurnEndedEntry) and self._next:
                    self._replies += 1
                    self._say(f"r{self._replies}", *self._next)
                    self._next = None
            self._answered = len(entries)

    def _say(self, reply: str, seconds: float, sample: int) -> None:
        audio = np.full(round(seconds * 24000), sample, np.int16)
        self.model.answer(p.ReplyStarted(reply), p.ReplyAudio(reply, audio), p.ReplyEnded(reply))


class TestScripted(BackendConformance):
    def far_side(self) -> FarSide:
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
            if isinstance(entry, p.TextEntry) and entry.note:
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
        def far_side(self) -> FarSide:
            return liar()

    with pytest.raises((AssertionError, ValueError), match=message):
        getattr(Suspect(), test)()


def test_a_rejected_key_that_is_tried_again_is_found_out() -> None:
    class Suspect(BackendConformance):
        def far_side(self) -> FarSide:
            return Stubborn()

    with pytest.raises(AssertionError, match=r"auth was told as network|did not fail within"):
        Suspect().test_what_only_the_user_can_mend_ends_with_a_sentence("auth")


@dataclass(frozen=True)
class Claims(Scripted):
    """Claims tools and never calls one."""

    capabilities: ClassVar[p.Capabilities] = p.Capabilities(tools=True, output_rate=0)  # type: ignore[misc]


def test_a_claimed_capability_whose_far_side_is_not_written_fails() -> None:
    class Unwritten(BackendConformance):
        def far_side(self) -> FarSide:
            return InProcess(Claims())

    with pytest.raises(
        AssertionError, match=r"InProcess has no call_tool\(\), which the tests of this backend need"
    ):
        Unwritten().test_a_tool_is_called_with_its_arguments_and_answered_once()

"""Tools with a session for everybody: each call is answered to who made it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fishjam_agents import ToolContext, tool
from fishjam_agents.backends import Backend, BackendContext, Capabilities, InlineSession, port
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall
from tests.pipeline.conftest import speech


@dataclass(frozen=True, eq=False)
class Asks(Backend):
    """A model that calls a tool after every turn, and notes what each session is told."""

    capabilities = Capabilities(tools=True, wants_turn_audio=True, replies_wait=True)
    in_process = True

    offered: list[list[str]] = field(default_factory=list)
    answers: list[list[tuple[str, str]]] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self, conversation: BackendContext) -> AsyncIterator[InlineSession]:
        self.offered.append([offer.name for offer in conversation.tools])
        self.answers.append([])
        yield _AsksSession(conversation, self.answers[-1])


class _AsksSession(InlineSession):
    def __init__(self, conversation: BackendContext, answers: list[tuple[str, str]]) -> None:
        self.emit = conversation.emit
        self.answers = answers

    def handle(self, entry: port.BackendInput) -> None:
        if isinstance(entry, port.TurnEndedInput):
            self.emit(port.ToolCall("call-1", "who", {}))
        elif isinstance(entry, port.ToolResultInput):
            self.answers.append((entry.call, entry.result))


class Bot(AgentPipeline):
    hearing = HearingSettings(mode="per_peer")

    @tool
    async def who(self, context: ToolContext) -> str:
        """Tell who is speaking."""
        # Long enough that everybody has called it before the first answer.
        await asyncio.sleep(2)
        return str(context.peer)


def test_each_session_calls_tools_under_its_own_ids_for_its_own_peer(
    converse: Callable[..., MemoryCall],
) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        alice.say(speech("alice_question.wav"))
        await bob.speak(speech("bob_question.wav"))
        await call.wait_for("tool_called", 2)

    bot = Bot()
    bot.backend = Asks()
    converse(bot, script)
    assert bot.backend.offered == [["who"], ["who"]]
    assert bot.backend.answers == [[("call-1", "alice")], [("call-1", "bob")]]

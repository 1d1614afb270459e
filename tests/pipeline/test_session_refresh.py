"""What a backend may ask of its link beyond entries and events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, MemoryRoom, Scripted, Step, VirtualClock
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
APOLOGY = ["reply_started", "reply_first_audio", "reply_generated", "reply_ended"]
OWNING = p.Capabilities(own_turn_detection=True)


def bot_with(backend: p.Backend, turn_mode: str = "local") -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = backend
    bot.turns = TurnSettings(mode=turn_mode)  # type: ignore[arg-type]
    return bot


def reply(name: str, seconds: float) -> list[p.BackendEvent]:
    return [p.ReplyStarted(name), p.ReplyAudio(name, np.ones(round(seconds * 24000), np.int16))]


def test_a_planned_renewal_loses_nothing_and_is_no_failure(converse: Converse) -> None:
    backend = Scripted(
        [
            Step(p.TurnStartedInput, [6.0, p.SessionRefresh()]),
            Step(p.TurnEndedInput, [*reply("r", 0.5), p.ReplyAudioEnded("r")]),
        ]
    )

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for _ in range(3):
            alice.say(speech("alice_long.wav"))
        await call.wait_for("reply_ended")

    call = converse(bot_with(backend), script)
    backend.finish()
    assert len(backend.connections) == 2
    assert not call.of("backend_failure")
    assert not call.of("outage")
    audio = np.concatenate([e.samples for e in backend.entries if isinstance(e, p.AudioInput)])
    words = np.tile(speech("alice_long.wav"), 3)
    start = next(i for i in range(0, 16000) if np.array_equal(audio[i : i + 800], words[:800]))
    np.testing.assert_array_equal(audio[start : start + len(words)], words)


def test_renewals_without_end_end_the_call(virtual_clock: VirtualClock) -> None:
    class Going(p.BackendSession):
        async def send(self, entry: p.BackendInput) -> None:
            raise AssertionError(entry)

        async def read(self) -> None:
            raise p.SessionRefresh("the service goes away")

    class Goes(p.Backend):
        @asynccontextmanager
        async def connect(self, conversation: p.BackendContext) -> AsyncIterator[p.BackendSession]:
            yield Going()

    async def main() -> None:
        async with MemoryRoom() as room:
            await bot_with(Goes()).run(room.session)

    with pytest.raises(BackendError, match="wants a new connection at once"):
        virtual_clock.run(main())


def test_a_backend_remembers_over_connections_and_knows_who_rules_turns(converse: Converse) -> None:
    backend = Scripted([Step(None, [6.0, p.SessionRefresh()]), Step(None, [])], OWNING)

    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(1)
        backend.connections[0].memory["handle"] = "h1"
        await asyncio.sleep(9)

    converse(bot_with(backend, "backend"), script)
    first, second = backend.connections
    assert first.memory is second.memory
    assert second.memory["handle"] == "h1"
    assert (first.turn_mode, second.attempt) == ("backend", 1)


def test_a_model_that_owns_turns_is_told_that_a_speaker_left(converse: Converse) -> None:
    backend = Scripted([Step(p.AudioEndedInput)], OWNING)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        alice.say(speech("alice_long.wav"))
        await asyncio.sleep(1)
        call.room.leave("alice")
        await asyncio.sleep(1)

    converse(bot_with(backend, "backend"), script)
    backend.finish()


def test_a_verdict_on_a_reply_that_is_over_cuts_no_other(converse: Converse) -> None:
    events = [*reply("r1", 0.5), p.ReplyAudioEnded("r1"), 1.0, *reply("r2", 2.0), 0.2, p.Interrupted("r1")]
    backend = Scripted([Step(None, [*events, p.ReplyAudioEnded("r2")])])

    async def script(call: MemoryCall) -> None:
        await call.wait_for("reply_ended", 2)

    call = converse(bot_with(backend), script)
    assert not call.of("reply_interrupted")


def test_what_a_turn_cost_is_an_event(converse: Converse) -> None:
    backend = Scripted([Step(None, [p.BackendUsage({"output_audio": 25.0}, 0.5, 1.5)])])

    async def script(call: MemoryCall) -> None:
        await call.wait_for("backend_usage")

    (usage,) = converse(bot_with(backend), script).of("backend_usage")
    assert usage.as_dict()["amounts"] == {"output_audio": 25.0}
    assert usage.total_cost == 1.5


def test_a_bot_whose_backend_fails_apologises_before_it_goes(converse: Converse) -> None:
    apology = np.full(24000, 5000, np.int16)
    backend = Scripted(
        [Step(None, [2.0, BackendError("the key was refused: make a new one", failure="auth")])]
    )
    bot = bot_with(backend)
    bot.apology = apology
    seen: list[str] = []
    bot.observers.append(lambda event: seen.append(event.kind))

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await asyncio.sleep(30)

    with pytest.raises(BackendError, match="the key was refused"):
        converse(bot, script)
    assert seen == ["call_started", "peer_joined", "backend_failure", *APOLOGY, "call_ended"]


def test_a_room_without_anybody_is_not_apologised_to(virtual_clock: VirtualClock) -> None:
    bot = bot_with(Scripted([Step(None, [BackendError("the key was refused: make a new one")])]))
    bot.apology = np.full(24000, 5000, np.int16)
    seen: list[str] = []
    bot.observers.append(lambda event: seen.append(event.kind))

    async def main() -> None:
        async with MemoryRoom() as room:
            await bot.run(room.session, room=room)

    with pytest.raises(BackendError, match="the key was refused"):
        virtual_clock.run(main())
    assert seen == ["call_started", "backend_failure", "call_ended"]

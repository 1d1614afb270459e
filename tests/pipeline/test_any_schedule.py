"""Whatever people do in a room: events alternate, turns end, nobody who is gone holds the floor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fishjam_agents.backends import Backend, BackendContext, Capabilities, InlineSession, port
from fishjam_agents.backends.port import BackendInput, TurnEndedInput, TurnStartedInput
from fishjam_agents.events import Event
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.call import Call
from fishjam_agents.pipeline.turn_taking.controller import FloorTurnController
from fishjam_agents.pipeline.turn_taking.per_peer import PerPeerTurnController
from fishjam_agents.protocol.messages import TrackData
from fishjam_agents.testing import MemoryRoom, VirtualClock
from tests.pipeline.conftest import speech

NAMES = ("alice", "bob", "carol")
LINES = tuple(
    speech(name)
    for name in (
        "alice_yes.wav",
        "bob_question.wav",
        "alice_long.wav",
        "bob_numbers.wav",
        "grunt.wav",
        "mhm.wav",
    )
)
ACTIONS = (
    "say",
    "say",
    "say",
    "stop_speaking",
    "mute",
    "unmute",
    "stall",
    "republish",
    "leave",
    "join",
    "broken",
    "outage",
)


@dataclass(frozen=True)
class Step:
    """One thing somebody does, `after` seconds after the one before."""

    after: float
    who: int
    action: str
    line: int


PAUSES = (port.TurnPausedInput, port.TurnResumedInput)

STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from((0.05, 0.3, 0.7, 1.3)),
        st.integers(0, 2),
        st.sampled_from(ACTIONS),
        st.integers(0, len(LINES) - 1),
    ),
    min_size=4,
    max_size=14,
)


@dataclass(frozen=True, eq=False)
class Attentive(Backend):
    """Answers every turn with a tone, and notes the order of what it is told in each session."""

    in_process = True
    whole: bool = True
    sessions: list[list[BackendInput]] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        return Capabilities(
            wants_turn_audio=self.whole, wants_pauses=True, truncate=True, cancel=True, replies_wait=True
        )

    @asynccontextmanager
    async def connect(self, conversation: BackendContext) -> AsyncIterator[InlineSession]:
        entries: list[BackendInput] = []
        self.sessions.append(entries)
        yield _AttentiveSession(conversation, entries)


class _AttentiveSession(InlineSession):
    def __init__(self, conversation: BackendContext, entries: list[BackendInput]) -> None:
        self.emit = conversation.emit
        self.entries = entries
        self.count = 0

    def handle(self, entry: BackendInput) -> None:
        if isinstance(entry, (TurnStartedInput, *PAUSES, TurnEndedInput)):
            self.entries.append(entry)
        if isinstance(entry, TurnEndedInput):
            asyncio.get_running_loop().call_later(0.3, self.answer)

    def answer(self) -> None:
        self.count += 1
        reply = f"r{self.count}"
        self.emit(port.ReplyStarted(reply))
        self.emit(port.ReplyAudio(reply, np.full(36000, 2000, np.int16)))
        self.emit(port.ReplyAudioEnded(reply))


class Watch:
    """Looks at a running call again and again: what must hold at every moment."""

    def __init__(self, bot: AgentPipeline, room: MemoryRoom) -> None:
        self._bot = bot
        self._room = room
        self._media: dict[int, tuple[Any, float]] = {}

    async def __call__(self) -> None:
        # Between the steps: the room tells of what happened in a later turn of the loop.
        await asyncio.sleep(0.01)
        while True:
            await asyncio.sleep(0.05)
            call = self._bot._call
            if call is None:
                return
            assert isinstance(call, Call)
            turns = call.turns
            controllers = turns.controllers if isinstance(turns, PerPeerTurnController) else [turns]
            for each in controllers:
                assert isinstance(each, FloorTurnController)
                holder = each._floor.holder
                assert (
                    holder is None
                    or holder.peer is None
                    or holder.peer in self._room.peers
                    or (holder.track == "mix")
                ), f"{holder.peer} is gone and holds the floor"
            for microphone in call.audio.microphones:
                _, before = self._media.get(id(microphone), (microphone, 0.0))
                assert before <= microphone.media <= call._context.now() + 1e-6
                self._media[id(microphone)] = (microphone, microphone.media)


async def act(room: MemoryRoom, step: Step) -> None:
    name = NAMES[step.who]
    if step.action == "outage":
        room.session.deliver(SimpleNamespace(outage=0.4))
        return
    peer = room.members.get(name)
    if peer is None:
        if step.action in ("join", "say"):
            room.join(name)
        return
    if step.action == "say":
        peer.say(LINES[step.line])
    elif step.action == "stop_speaking":
        peer.stop_speaking()
    elif step.action in ("mute", "unmute"):
        peer.muted = step.action == "mute"
    elif step.action == "republish":
        peer.republish(f"{peer.track.id}+")
    elif step.action == "leave":
        room.leave(name)
    elif step.action == "broken":
        room.session.deliver(TrackData(name, peer.track, b"\0"))
    elif step.action == "stall":
        peer.stall(0.1 * (step.line + 1))


async def play(bot: AgentPipeline, steps: Sequence[Step]) -> list[Event]:
    """Play the steps, let the room come to rest, and have a newcomer speak to the bot."""
    seen: list[Event] = []
    bot.observers.append(seen.append)
    async with MemoryRoom() as room:
        running = asyncio.create_task(bot.run(room.session, room=room))
        watching = asyncio.create_task(Watch(bot, room)())
        room.join("alice")
        room.join("bob")
        for step in steps:
            await asyncio.sleep(step.after)
            await act(room, step)
        for peer in room.members.values():
            peer.stop_speaking()
        await asyncio.sleep(12)
        rested = len(seen)
        dora = room.join("dora")
        await asyncio.sleep(0.5)
        await dora.speak(speech("bob_question.wav"))
        await asyncio.sleep(5)
        bot.stop()
        await running
        await watching
    kinds = [event.kind for event in seen[rested:]]
    assert "user_turn_ended" in kinds, f"nobody hears the newcomer: {kinds}"
    assert kinds.count("reply_ended") == 1, f"nobody answers the newcomer: {kinds}"
    return seen


def check_alternation(seen: Sequence[Event], mode: str) -> None:
    """Start and stop, suspicion and verdict, in turns; a turn ends after speech, and media time goes on."""
    speaking: dict[str, bool] = {}
    spoke: dict[str, bool] = {}
    media: dict[str, float] = {}
    suspected: dict[str, bool] = {}
    for event in seen:
        kind = event.kind
        assert kind not in ("backend_failure", "backend_warning"), event
        assert kind != "error" or event.where == "input", event  # type: ignore[attr-defined]
        if not hasattr(event, "media_at"):
            continue
        who = str(event.peer) if mode != "mix" else "mix"
        if kind.startswith("barge_in"):
            floor = who if mode == "per_peer" else "room"
            if kind == "barge_in_suspected":
                assert not suspected.get(floor), f"suspected twice: {event}"
            elif kind == "barge_in_withdrawn":
                assert suspected.get(floor), f"withdrawn and never suspected: {event}"
            suspected[floor] = kind == "barge_in_suspected"
            continue
        assert media.get(who, 0.0) <= event.media_at + 1e-6, f"media time ran back: {event}"
        assert event.media_at <= event.at + 1e-6
        media[who] = event.media_at
        if kind == "user_started_speaking":
            assert not speaking.get(who), event
            speaking[who] = spoke[who] = True
        elif kind == "user_stopped_speaking":
            assert speaking.get(who), event
            speaking[who] = False
        elif kind == "user_turn_ended":
            assert spoke.get(who), event
            assert not speaking.get(who), event
            assert event.start <= event.media_at  # type: ignore[attr-defined]
            spoke[who] = False
    assert not any(speaking.values())
    assert not any(suspected.values())


def check_turns(sessions: Sequence[Sequence[BackendInput]]) -> None:
    """Every turn that a model is told of ends, and no two overlap."""
    for entries in sessions:
        turns = [entry for entry in entries if not isinstance(entry, PAUSES)]
        started = turns[::2]
        ended = turns[1::2]
        assert len(started) == len(ended), "a turn has not ended"
        for start, end in zip(started, ended, strict=True):
            assert isinstance(start, TurnStartedInput)
            assert isinstance(end, TurnEndedInput)


def check_pauses(sessions: Sequence[Sequence[BackendInput]]) -> None:
    """Pauses are inside turns, each ends before the next begins, and nobody is told of more than three."""
    for entries in sessions:
        pauses = 0
        paused = opened = False
        for entry in entries:
            if isinstance(entry, port.TurnPausedInput):
                assert opened, "a pause outside a turn"
                assert not paused, "a pause in a pause"
                pauses += 1
                paused = True
                assert pauses <= 3
            elif isinstance(entry, port.TurnResumedInput):
                assert paused, "the end of a pause that nobody was told of"
                paused = False
            else:
                opened = isinstance(entry, TurnStartedInput)
                paused, pauses = False, 0


@pytest.mark.parametrize("mode", ["active_speaker", "mix", "per_peer"])
@settings(max_examples=12, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, whole=st.booleans())
def test_whatever_people_do_turns_are_whole_and_the_bot_stays_there_to_be_spoken_to(
    mode: Any, steps: list[Step], whole: bool
) -> None:
    bot = AgentPipeline()
    backend = Attentive(whole)
    bot.backend = backend
    bot.hearing = HearingSettings(mode=mode, max_sessions=8)
    seen = VirtualClock().run(play(bot, steps))
    check_alternation(seen, mode)
    check_turns(backend.sessions)
    check_pauses(backend.sessions)

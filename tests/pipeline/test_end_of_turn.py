"""Policies that hear how a turn sounds, in whole calls: when they are asked, and what comes of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import Parrot
from fishjam_agents.errors import ConfigError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.preload import preload
from fishjam_agents.testing import MemoryCall, MemoryRoom
from fishjam_agents.turns.endpointing import EndOfTurn, Pause
from fishjam_agents.turns.settings import TurnSettings
from fishjam_agents.turns.smart_turn import SmartTurn
from tests.audio.test_smart_turn import NEEDED
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
QUESTION = speech("alice_question.wav")


@dataclass(frozen=True, slots=True)
class Hears(EndOfTurn):
    """Ends at 0.4 s what it is told is complete, else at 0.9 s."""

    hears: ClassVar[bool] = True

    answer: Any = 1.0
    sounds: list[Samples] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    takes: float = 0.0

    def load(self) -> str:
        self.loaded.append(threading.current_thread().name)
        return "an ear"

    def predict(self, sound: Samples) -> float | None:
        self.sounds.append(sound)
        self.threads.append(threading.current_thread().name)
        time.sleep(self.takes)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]

    def silence(self, pause: Pause) -> float:
        self.pauses.append(pause)
        return 0.4 if pause.probability is not None and pause.probability > 0.5 else 0.9


def bot(policy: EndOfTurn) -> AgentPipeline:
    made = AgentPipeline()
    made.backend = Parrot(delay=0.0)
    made.turns = TurnSettings(end_of_turn=policy)
    return made


async def ask(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    await alice.speak(QUESTION)
    await call.wait_for("user_turn_ended")


def delay(call: MemoryCall) -> float:
    (ended,) = call.of("user_turn_ended")
    return float(ended.at - ended.media_at)


def test_it_is_asked_once_at_a_pause_of_a_fifth_of_a_second(converse: Converse) -> None:
    policy = Hears()
    call = converse(bot(policy), ask)
    (sound,), (predicted,), (ended,) = (
        policy.sounds,
        call.of("end_of_turn_predicted"),
        call.of("user_turn_ended"),
    )
    assert policy.loaded
    assert predicted.at - predicted.media_at == pytest.approx(0.2, abs=0.021)
    assert predicted.media_at == ended.media_at
    assert (predicted.probability, ended.probability, ended.rule) == (1.0, 1.0, None)
    assert delay(call) == pytest.approx(0.4, abs=0.021)
    # The pre-roll, the turn and its 0.2 s of quiet.
    assert len(sound) / 16000 == pytest.approx(0.3 + ended.media_at - ended.start + 0.2, abs=0.05)
    assert np.abs(sound[-2400:]).max() < np.abs(sound).max() / 10


@pytest.mark.parametrize("answer", [0.2, None])
def test_it_decides_by_what_it_was_told(converse: Converse, answer: float | None) -> None:
    policy = Hears(answer)
    call = converse(bot(policy), ask)
    assert delay(call) == pytest.approx(0.9, abs=0.021)
    assert len(policy.sounds) == 1
    assert [event.probability for event in call.of("end_of_turn_predicted")] == [0.2] * (answer is not None)


def test_each_pause_has_a_prediction_of_its_own(converse: Converse) -> None:
    policy = Hears(0.1)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(QUESTION)
        await asyncio.sleep(0.5)
        await alice.speak(QUESTION)
        await call.wait_for("user_turn_ended")

    call = converse(bot(policy), script)
    assert len(call.of("user_turn_ended")) == 1
    first, second = policy.sounds
    assert len(second) > len(first)
    # What was predicted of the first pause is gone when the second one begins.
    onset = call.of("end_of_turn_predicted")[1].media_at - call.of("user_turn_ended")[0].start
    later = [pause for pause in policy.pauses if pause.spoken == pytest.approx(onset)]
    assert [pause.probability for pause in later if pause.quiet < 0.19] == [None] * 9
    assert len({pause.onset for pause in policy.pauses}) == 1


def test_a_long_turn_is_heard_by_its_last_eight_seconds(converse: Converse) -> None:
    policy = Hears(0.9)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(np.tile(QUESTION[3000:30000], 8))
        await call.wait_for("user_turn_ended")

    converse(bot(policy), script)
    assert len(policy.sounds[-1]) == 8 * 16000


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ZeroDivisionError("oops"), "oops"),
        (7, "must return a probability from 0 to 1, or None"),
        ("yes", "'yes'"),
    ],
)
def test_a_policy_that_fails_is_told_of_once_and_left_out(converse: Converse, answer: Any, told: str) -> None:
    policy = Hears(answer)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for number in (1, 2):
            await alice.speak(QUESTION)
            await call.wait_for("user_turn_ended", number)
            await asyncio.sleep(4.0)

    call = converse(bot(policy), script)
    (error,) = call.of("error")
    assert error.where == "end_of_turn"
    assert "Hears.predict" in error.message
    assert told in error.message
    assert len(policy.sounds) == 1
    assert len(call.of("user_turn_ended")) == 2


def test_nobody_is_asked_who_does_not_hear(converse: Converse) -> None:
    @dataclass(frozen=True, slots=True)
    class Deaf(Hears):
        hears: ClassVar[bool] = False

    policy = Deaf()
    call = converse(bot(policy), ask)
    assert not policy.sounds
    assert not policy.loaded
    assert delay(call) == pytest.approx(0.9, abs=0.021)


async def in_real_time(pipeline: AgentPipeline, scene: Callable[[MemoryRoom, list[Any]], Any]) -> list[Any]:
    events: list[Any] = []
    pipeline.observers.append(events.append)
    async with asyncio.timeout(20), MemoryRoom(16000) as room, asyncio.TaskGroup() as tasks:
        tasks.create_task(pipeline.run(room.session, room=room))
        await asyncio.sleep(0.2)
        await scene(room, events)
        pipeline.stop()
    return events


async def until(events: list[Any], kind: str) -> None:
    while not any(event.kind == kind for event in events):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def test_in_real_time_it_is_asked_in_a_thread_and_the_loop_goes_on() -> None:
    policy = Hears(takes=0.05)

    async def scene(room: MemoryRoom, events: list[Any]) -> None:
        await room.join("alice").speak(QUESTION)
        await until(events, "user_turn_ended")

    events = asyncio.run(in_real_time(bot(policy), scene))
    assert set(policy.threads) == {"end-of-turn"}
    assert threading.main_thread().name not in policy.loaded
    (predicted,) = [event for event in events if event.kind == "end_of_turn_predicted"]
    assert predicted.took >= 0.05


def test_an_answer_that_comes_too_late_comes_to_nothing() -> None:
    policy = Hears(takes=1.5)

    async def scene(room: MemoryRoom, events: list[Any]) -> None:
        await room.join("alice").speak(QUESTION)
        await until(events, "user_turn_ended")
        await asyncio.sleep(1.5)

    events = asyncio.run(in_real_time(bot(policy), scene))
    assert policy.sounds
    assert not [event for event in events if event.kind == "end_of_turn_predicted"]
    (ended,) = [event for event in events if event.kind == "user_turn_ended"]
    assert ended.probability is None


def test_a_call_that_ends_while_it_is_asked_ends() -> None:
    policy = Hears(takes=0.6)

    async def scene(room: MemoryRoom, events: list[Any]) -> None:
        await room.join("alice").speak(QUESTION)
        while not policy.sounds:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    events = asyncio.run(in_real_time(bot(policy), scene))
    assert not [event for event in events if event.kind in ("error", "end_of_turn_predicted")]


def test_a_model_that_is_not_there_is_known_before_a_call(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(ConfigError, match="there is no file"):
        bot(SmartTurn(model=tmp_path / "missing.onnx")).verify()


def test_a_model_that_is_damaged_is_known_before_a_call(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "damaged.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ConfigError, match="cannot be loaded, it may be damaged"):
        preload(bot(SmartTurn(model=path)))

    async def scene(room: MemoryRoom, events: list[Any]) -> None:
        await asyncio.sleep(1.0)

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(in_real_time(bot(SmartTurn(model=path)), scene))
    assert raised.group_contains(ConfigError, match="cannot be loaded")


@NEEDED
def test_smart_turn_in_virtual_time_gives_the_same_turns_again(converse: Converse) -> None:
    def run() -> list[tuple[Any, ...]]:
        call = converse(bot(SmartTurn()), ask)
        kinds = ("end_of_turn_predicted", "user_turn_ended")
        return [
            (kind, event.at, event.media_at, event.probability) for kind in kinds for event in call.of(kind)
        ]

    first = run()
    assert [row[0] for row in first] == ["end_of_turn_predicted", "user_turn_ended"]
    assert run() == first

"""Words that are there while a turn is open: the policy that ends it has them in time. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port as p
from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.backends.fallback import Fallback
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.observe.replay import read_recording, recorded, replayed
from fishjam_agents.observe.replay.recorder import MemoryRecorder
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.turns.endpointing import EndOfTurn, Pause, Punctuation
from fishjam_agents.turns.settings import TurnSettings
from fishjam_agents.turns.smart_turn import SmartTurn
from tests.cascade.calls import asks, bot
from tests.cascade.components import Answers, Speaks, Streams, Understands
from tests.pipeline.conftest import converse, speech

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]
FRAME = 0.021
QUESTION = len(speech("alice_question.wav")) / 16000


@dataclass(frozen=True, slots=True)
class Told(SmartTurn):
    """Smart Turn whose network says what it is told to."""

    probability: float = 0.95

    def verify(self) -> None:
        pass

    def load(self) -> str:
        return "an ear"

    def predict(self, sound: Samples) -> float:
        return self.probability


@dataclass(frozen=True, slots=True)
class Punctuated(Told):
    """The same, of somebody whose words are known to come with punctuation."""

    def fresh(self) -> EndOfTurn:
        policy = super(Punctuated, self).fresh()
        policy.silence(Pause(0.3, 20.0, 1.0, "Well."))
        return policy


@dataclass(frozen=True, slots=True)
class Watched(EndOfTurn):
    """Waits a second, and keeps what it is told of the pauses."""

    pauses: list[Pause] = field(default_factory=list)

    def silence(self, pause: Pause) -> float:
        self.pauses.append(pause)
        return 1.0


def clerk(policy: EndOfTurn, *words: list[Any], **settings: Any) -> AgentPipeline:
    answers = Answers([["Hello. "]])
    made = bot(Understands(words), answers, Speaks(), **{"preemptive": True, **settings})
    made.turns = TurnSettings(end_of_turn=policy)
    return made


def waits(call: MemoryCall) -> list[float]:
    return [event.at - event.media_at for event in call.of("user_turn_ended")]


async def asks_twice(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    for number in (1, 2):
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended", number)
        await asyncio.sleep(0.5)


async def pauses_in_the_middle(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    await alice.speak(speech("alice_question.wav"))
    await asyncio.sleep(0.6)
    await alice.speak(speech("bob_question.wav"))
    await call.wait_for("user_turn_ended")


@pytest.mark.parametrize(
    ("words", "wait"), [("How are you?", 0.4), ("How are you and", 1.0)], ids=["sentence", "half of one"]
)
def test_the_words_of_a_pause_end_its_turn(converse: Converse, words: str, wait: float) -> None:
    call = converse(clerk(Punctuation(), [0.1, words]), asks)
    assert waits(call) == [pytest.approx(wait, abs=FRAME)]


@pytest.mark.parametrize(
    ("probability", "words", "rule"),
    [
        (0.95, "How are you?", "complete"),
        (0.1, "How are you?", "sounds unfinished"),
        (0.95, "How are you and", "reads unfinished"),
        (0.1, "How are you and", "unfinished"),
    ],
)
def test_smart_turn_decides_by_sound_and_words(
    converse: Converse, probability: float, words: str, rule: str
) -> None:
    # By its first sentence the recogniser shows that it writes punctuation.
    policy = Told(probability=probability)
    call = converse(clerk(policy, [0.1, "Well."], [0.1, words]), asks_twice)
    _, ended = call.of("user_turn_ended")
    assert ended.rule == rule


def test_words_that_come_late_end_a_turn_at_the_next_frame(converse: Converse) -> None:
    call = converse(clerk(Punctuation(complete=0.3, incomplete=1.0), [0.25, "How are you?"]), asks)
    assert waits(call) == [pytest.approx(0.46, abs=FRAME)]


def test_the_words_of_one_pause_are_not_those_of_the_next(converse: Converse) -> None:
    policy = Watched()
    call = converse(clerk(policy, [0.1, "How are you?"], [0.3, "How are you? Fine!"]), pauses_in_the_middle)
    assert len(call.of("user_turn_ended")) == 1
    after = policy.pauses[-1].spoken
    first = [pause for pause in policy.pauses if pause.spoken != after and pause.words]
    assert {pause.words for pause in first} == {"How are you?"}
    told = [pause for pause in policy.pauses if pause.spoken == after]
    early = [pause.words for pause in told if pause.quiet < 0.45]
    late = [pause.words for pause in told if pause.quiet > 0.55]
    assert early
    assert set(early) == {""}
    assert late
    assert set(late) == {"How are you? Fine!"}


def test_words_that_come_when_the_speaker_has_gone_on_come_to_nothing(converse: Converse) -> None:
    policy = Watched()
    converse(clerk(policy, [0.8, "How are you?"], [5.0, "All of it."]), pauses_in_the_middle)
    assert {pause.words for pause in policy.pauses} == {""}


@pytest.mark.parametrize("script", [[0.1, "\n"], [0.1, "[BLANK_AUDIO]"], [OSError("oops")]])
def test_a_recogniser_without_words_leaves_it_to_the_sound(converse: Converse, script: list[Any]) -> None:
    policy = Watched()
    call = converse(clerk(policy, script, [0.1, "Hello."]), asks_and_waits)
    assert {pause.words for pause in policy.pauses} == {""}
    assert waits(call) == [pytest.approx(1.0, abs=FRAME)]


async def asks_and_waits(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    await alice.speak(speech("alice_question.wav"))
    await call.wait_for("user_turn_ended")


def test_nobody_else_is_told_of_them(converse: Converse) -> None:
    heard: list[str] = []

    class Clerk(AgentPipeline):
        async def on_transcript(self, text: str, final: bool, peer: str | None) -> None:
            heard.append(text)

    made = clerk(Watched(), [0.1, "How are you?"], [0.1, "All of it."], kind=Clerk)
    call = converse(made, pauses_in_the_middle)
    before = call.kinds[: call.kinds.index("user_turn_ended")]
    assert "user_transcript" not in before
    assert "How are you?" not in heard


def test_without_preemptive_nobody_is_asked_at_a_pause(converse: Converse) -> None:
    policy = Watched()
    converse(clerk(policy, [0.1, "How are you?"], preemptive=False), asks_and_waits)
    assert {pause.words for pause in policy.pauses} == {""}


@pytest.mark.parametrize("mode", ["per_peer", "mix", "active_speaker"])
def test_everybody_has_words_of_their_own(converse: Converse, mode: Any) -> None:
    made = clerk(Punctuation(complete=0.4, incomplete=1.0), [0.1, "How are you?"])
    made.hearing = HearingSettings(mode=mode)
    call = converse(made, asks_twice)
    assert waits(call) == [pytest.approx(0.4, abs=FRAME)] * 2


def test_words_go_through_a_backend_that_stands_in(converse: Converse) -> None:
    made = clerk(Punctuation(), [0.1, "How are you?"])
    made.backend = Fallback([made.backend])
    assert made.backend.capabilities.pause_transcripts
    call = converse(made, asks)
    assert waits(call) == [pytest.approx(0.4, abs=FRAME)]


@pytest.mark.parametrize(
    ("last", "rule", "wait"), [("you?", "complete", 0.4), ("and", "reads unfinished", 1.5)]
)
def test_a_recogniser_that_hears_people_while_they_speak_settles_the_words_of_a_pause(
    converse: Converse, last: str, rule: str, wait: float
) -> None:
    recogniser = Streams([[(0.3, "How"), (1.0, "are"), (2.0, last)]], lag=0.1)
    made = AgentPipeline()
    made.backend = Cascade([recogniser], [Answers([["Hello. "]])], [Speaks()])
    made.turns = TurnSettings(end_of_turn=Punctuated())
    call = converse(made, asks_and_waits)
    assert [event.rule for event in call.of("user_turn_ended")] == [rule]
    assert waits(call) == [pytest.approx(wait, abs=FRAME)]


@pytest.mark.parametrize(
    ("partials", "rule", "wait"),
    [
        (["How are you", 0.3, "How are you?"], "complete", 0.4),
        # What comes later than the pause is long counts as soon as it is there.
        (["Well. How are", QUESTION + 0.6, "Well. How are you?"], "complete", 0.6),
        (["Well. How are"], "reads unfinished", 1.0),
    ],
)
def test_partial_transcripts_of_a_realtime_model_are_words_in_time(
    converse: Converse, partials: list[Any], rule: str, wait: float
) -> None:
    made = AgentPipeline()
    told = [step if isinstance(step, float) else p.UserTranscript(step) for step in partials]
    script = [Step(p.TurnStartedInput, told), Step(p.TurnEndedInput)]
    made.backend = Scripted(offers=p.Capabilities(transcripts=True), script=script)
    made.turns = TurnSettings(end_of_turn=Punctuated())
    call = converse(made, asks_and_waits)
    (ended,) = call.of("user_turn_ended")
    assert ended.rule == rule
    assert waits(call) == [pytest.approx(wait, abs=0.3 if wait == 0.6 else FRAME)]


def test_a_replay_gives_the_same_turns(converse: Converse, tmp_path: Path) -> None:
    def run() -> tuple[list[Any], Path]:
        made = clerk(Told(probability=0.2), [0.1, "Well."], [0.1, "How are you and"])
        made.recorder = recorder = MemoryRecorder()
        call = converse(made, asks_twice)
        path = tmp_path / "call.jsonl"
        path.write_text(recorder.text())
        ended = [(event.at, event.media_at, event.rule) for event in call.of("user_turn_ended")]
        return ended, path

    first, path = run()
    assert [rule for _, _, rule in first] == ["sounds unfinished", "unfinished"]
    recording = read_recording(path)
    # The record names the policy by its type in a file, which this one has none of.
    assert replayed(recording, recording.turns({"end_of_turn": SmartTurn()})) == recorded(recording)
    assert run()[0] == first

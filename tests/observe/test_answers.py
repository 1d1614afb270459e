"""Answers found while a call runs are those that its report finds afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishjam_agents import events
from fishjam_agents.cli.scenario_run import ScenarioRunner
from fishjam_agents.config.scenario import load_scenario
from fishjam_agents.events import Event
from fishjam_agents.observe.answers import Answer, AnswerTracker
from fishjam_agents.observe.report.latency import response
from fishjam_agents.observe.report.reading import read_call
from fishjam_agents.simulation import simulate_fast

ROOT = Path(__file__).parents[2]
SCENARIOS = ("two-turns", "two-callers", "interruption", "cough", "long-pause", "push-to-talk", "per-peer")


def found(*stream: Event) -> list[Answer]:
    tracker = AnswerTracker()
    return [answer for event in stream if (answer := tracker.take(event)) is not None]


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_finds_the_latencies_of_the_report(name: str) -> None:
    runner = ScenarioRunner(ROOT / "examples/parrot/config.yaml", fast=True, seconds=None)
    file = load_scenario(ROOT / f"examples/scenarios/{name}.yaml")
    bot = runner.set_up(file, None).bot.make()
    tracker = AnswerTracker()
    live: list[tuple[str, bool, float]] = []

    def observe(event: Event) -> None:
        answer = tracker.take(event)
        if answer is not None:
            live.append((answer.turn, answer.waited, answer.seconds))

    bot.observers.append(observe)
    call = read_call(simulate_fast(bot, file.scenario).timeline)
    afterwards = [
        (turn.id, turn.waited, seconds)
        for turn in call.turns
        if (seconds := response(turn, call.reply(turn.reply))) is not None
    ]
    assert afterwards, "the scenario has no answer to compare"
    assert [answer[:2] for answer in sorted(live)] == [answer[:2] for answer in sorted(afterwards)]
    # The timeline has milliseconds.
    latencies = [seconds for _, _, seconds in sorted(afterwards)]
    assert [seconds for _, _, seconds in sorted(live)] == pytest.approx(latencies, abs=0.0025)


def turn(name: str, peer: str, start: float, end: float, decided: float) -> Event:
    return events.UserTurnEnded(decided, end, peer, f"mic-{peer}", start, name)


def test_an_answer_that_waits_for_somebody_else_says_so() -> None:
    (answer,) = found(
        turn("t1", "ann", 0.0, 2.0, 2.6),
        events.UserStartedSpeaking(2.8, 2.5, "bob", "mic-bob"),
        events.ReplyStarted("r1", at=3.0),
        events.UserStoppedSpeaking(5.0, 4.8, "bob", "mic-bob"),
        events.ReplyFirstAudio(5.1, "r1"),
    )
    assert answer.waited
    assert (answer.turn, answer.peer, answer.seconds) == ("t1", "ann", pytest.approx(3.1))


def test_a_model_that_is_sooner_than_our_detection_answers_the_turn_all_the_same() -> None:
    (answer,) = found(
        events.ReplyStarted("r1", at=2.3),
        events.ReplyFirstAudio(2.4, "r1"),
        turn("t1", "ann", 0.0, 2.0, 2.6),
    )
    assert (answer.seconds, answer.decided) == (pytest.approx(0.4), 2.6)


def test_a_reply_to_nobody_is_no_answer() -> None:
    assert found(events.ReplyStarted("play-1", at=0.1), events.ReplyFirstAudio(0.2, "play-1")) == []


def test_a_thousand_turns_without_an_answer_are_not_kept() -> None:
    tracker = AnswerTracker()
    for number in range(1000):
        tracker.take(turn(f"t{number}", "ann", number, number + 0.5, number + 0.6))
        tracker.take(events.UserStartedSpeaking(number, number, "ann", f"mic-{number}"))
        tracker.take(events.ReplyStarted(f"r{number}", "nobody", at=number))
        tracker.take(events.ReplyFirstAudio(number, f"r{number}"))
    sizes = [len(value) for value in vars(tracker).values()]
    assert max(sizes) <= 64

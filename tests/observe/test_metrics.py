"""Metrics of calls: real calls in virtual time, read as Prometheus reads them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fishjam_agents import events
from fishjam_agents.backends import port as p
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.errors import BackendError
from fishjam_agents.events import Event
from fishjam_agents.fishjam import Reconnected
from fishjam_agents.observe.answers import Answer
from fishjam_agents.observe.metrics import CallMetrics, merged, parts_of, text_of
from fishjam_agents.observe.metrics.definitions import METRICS
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.pipeline.conftest import converse, speech, tone  # noqa: F401 - a fixture

Converse = Callable[..., MemoryCall]


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and values of the labels but `bot`, without buckets."""
    return {
        (sample.name.removeprefix("fishjam_agents_"), *(v for k, v in sample.labels.items() if k != "bot")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


class Forgetful(Scripted):
    audio_kept = 0.5


def measured(bot: AgentPipeline) -> CallMetrics:
    metrics = CallMetrics()
    metrics.observe(bot, "clerk")
    return metrics


def parrot() -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = Parrot()
    return bot


def play(*stream: Event, backend: Any = None) -> dict[tuple[str, ...], float]:
    """What is counted of events that a call could have."""
    bot = AgentPipeline()
    bot.backend = backend or Parrot()
    metrics = measured(bot)
    for event in stream:
        bot.observers[0](event)
    return samples(text_of(metrics.registry))


def test_a_call_with_an_answer_and_an_interruption(converse: Converse) -> None:  # noqa: F811
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        alice.say(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(0.3)
        alice.say(speech("alice_question.wav"))
        await call.wait_for("reply_ended")

    bot = parrot()
    metrics = measured(bot)
    call = converse(bot, script)
    found = samples(text_of(metrics.registry))
    (first, second) = call.of("user_turn_ended")
    sounded = [event.at for event in call.of("reply_first_audio")]
    latencies = [at - turn.media_at for at, turn in zip(sounded, (first, second), strict=True)]
    assert found["turns_total",] == 2
    assert found["replies_total", "interrupted"] == found["replies_total", "played"] == 1
    assert found["response_seconds_count", "Parrot"] == 2
    assert found["response_seconds_sum", "Parrot"] == pytest.approx(sum(latencies))
    # The parts add up to the whole.
    parts = [value for key, value in found.items() if key[0] == "response_part_seconds_sum"]
    assert sum(parts) == pytest.approx(sum(latencies))
    (suspected,) = call.of("barge_in_suspected")
    assert found["barge_in_seconds_sum",] == pytest.approx(suspected.at - suspected.media_at)
    assert found["barge_ins_total", "confirmed"] == 1
    assert ("barge_ins_total", "withdrawn") not in found
    (ended,) = call.of("call_ended")
    assert found["call_seconds_sum", "stopped"] == pytest.approx(ended.at)
    assert found["bots",] == 0


def test_the_delay_of_words_runs_from_where_they_ended() -> None:
    found = play(
        events.UserTranscript("one", False, "ann", 1.0, 1.4, at=1.6),
        events.UserTranscript("one two", True, "ann", 1.0, 2.0, at=2.7),
        events.UserTranscript("whenever", True, "ann", at=2.8),
    )
    assert found["transcript_delay_seconds_sum", "Parrot", "partial"] == pytest.approx(0.2)
    assert found["transcript_delay_seconds_sum", "Parrot", "final"] == pytest.approx(0.7)
    assert found["transcript_delay_seconds_count", "Parrot", "final"] == 1


def test_gaps_and_losses_of_a_reply_are_counted(converse: Converse) -> None:  # noqa: F811
    late = [
        p.ReplyStarted("r1"),
        p.ReplyAudio("r1", tone(0.5)),
        0.8,
        p.ReplyAudio("r1", tone(0.5)),
        p.ReplyAudio("r1", tone(400)),
        p.ReplyAudioEnded("r1"),
    ]
    bot = AgentPipeline()
    bot.backend = Scripted([Step(None, late)])
    metrics = measured(bot)

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await call.wait_for("reply_ended")
        await asyncio.sleep(1.5)

    call = converse(bot, script)
    (underrun,) = call.of("audio_underrun")
    assert underrun.times == 1
    (dropped,) = call.of("audio_dropped")
    assert (dropped.direction, dropped.seconds) == ("output", 400)
    found = samples(text_of(metrics.registry))
    assert found["underruns_total",] == 1
    assert found["dropped_audio_seconds_total", "output"] == 400


def test_what_a_backend_does_not_take_is_counted_to_the_last_frame(converse: Converse) -> None:  # noqa: F811
    bot = AgentPipeline()
    # It is lost while somebody speaks, and comes back after more than is kept.
    bot.backend = Forgetful([Step(p.TurnStartedInput, [BackendError("gone", retryable=True)])], refuse=4)
    metrics = measured(bot)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for _ in range(6):
            alice.say(speech("alice_question.wav"))
            await asyncio.sleep(3.0)

    call = converse(bot, script)
    lost = call.of("audio_dropped")
    assert {event.direction for event in lost} == {"input"}
    times = [event.at for event in lost]
    assert all(after - before >= 0.99 for before, after in pairwise(times))
    found = samples(text_of(metrics.registry))
    total = sum(event.seconds for event in lost)
    assert found["dropped_audio_seconds_total", "input"] == pytest.approx(total)
    assert total > 0
    failures = call.of("backend_failure")
    counted = {key: value for key, value in found.items() if key[0] == "backend_failures_total"}
    (kind,) = {event.failure for event in failures}
    assert counted == {("backend_failures_total", "Forgetful", kind): len(failures)}


def test_an_outage_of_the_room_is_a_reconnect(converse: Converse) -> None:  # noqa: F811
    bot = parrot()
    metrics = measured(bot)

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.room.session.deliver(Reconnected(3.0, 2))
        await asyncio.sleep(0.1)

    converse(bot, script)
    found = samples(text_of(metrics.registry))
    assert found["outage_seconds_sum", "agent_socket"] == 3.0
    assert found["lost_connections_total", "agent_socket"] == 1
    assert found["away_seconds_total", "agent_socket"] == 3.0
    assert found["connections_away", "agent_socket"] == 0


def test_a_connection_counts_as_lost_from_the_moment_it_is(converse: Converse) -> None:  # noqa: F811
    class Lost(Parrot):
        first = True

        @asynccontextmanager
        async def connect(self, context: p.BackendContext) -> AsyncIterator[p.BackendSession]:
            if not self.first:
                # Longer than the call.
                await asyncio.sleep(30.0)
            self.__dict__["first"] = False
            async with super().connect(context):
                await asyncio.sleep(1.0)
                raise BackendError("gone", retryable=True)
            yield

    bot = parrot()
    bot.backend = Lost()
    metrics = measured(bot)
    during: dict[tuple[str, ...], float] = {}

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await asyncio.sleep(3.0)
        during.update(samples(text_of(metrics.registry)))

    converse(bot, script)
    assert during["lost_connections_total", "backend"] == 1
    assert during["connections_away", "backend"] == 1
    assert ("away_seconds_total", "backend") not in during
    after = samples(text_of(metrics.registry))
    assert after["connections_away", "backend"] == 0
    assert after["away_seconds_total", "backend"] > 1.9


def test_tokens_and_their_price_belong_to_the_backend_that_used_them() -> None:
    found = play(
        events.BackendUsage({"input_audio": 100.0, "output_audio": 50.0}, 0.01, 0.01, at=1),
        events.BackendUsage({"input_audio": 100.0}, 0.02, 0.03, "Gemini", at=2),
        events.BackendUsage({"input_audio": float("nan"), "odd": -1.0}, at=3),
    )
    assert found["usage_total", "Parrot", "input_audio"] == 100
    assert found["usage_total", "Gemini", "input_audio"] == 100
    assert found["cost_total", "Parrot"] == 0.01
    assert found["cost_total", "Gemini"] == 0.02


def test_no_name_that_a_service_or_a_peer_makes_up_becomes_a_label_without_end() -> None:
    made_up = [
        event
        for number in range(500)
        for event in (
            events.BackendUsage({f"unit {number}": 1.0}, backend=f"backend {number}", at=1),
            events.Outage(1, f"thing {number}", 1.0),
            events.ToolCalled(1, f"tool {number}", f"c{number}", f"outcome {number}"),
            events.ErrorRaised(1, "it failed", f"hook {number}", f"peer {number}"),
            events.UserTurnEnded(2, 1, f"peer {number}", f"track {number}", 0, f"turn {number}"),
        )
    ]
    found = play(*made_up)
    assert found["usage_total", "other", "other"] > 400
    assert found["outage_seconds_count", "other"] == 500
    assert found["tool_seconds_count", "other"] == 500
    assert found["turns_total",] == found["errors_total",] == 500
    assert len(found) < 400


def answer(spoken: float, decided: float, sounded: float) -> Answer:
    return Answer("r1", "t1", "ann", spoken, decided, decided, sounded, waited=False)


@pytest.mark.parametrize(
    ("told", "parts"),
    [
        ({}, {"end_of_turn": 0.5, "model": 1.5}),
        (
            {"stt": 0.2, "waited": 0.1, "llm": 0.4, "sentence": 0.2, "tts": 0.3},
            {"end_of_turn": 0.5, "transcript": 0.2, "model": 0.7, "voice": 0.3, "playout": 0.3},
        ),
        # Begun at a pause: the transcript and most of the model were done before the turn had ended.
        (
            {"stt": 0.2, "waited": 0.0, "llm": 0.4, "sentence": 0.2, "tts": 0.3, "ahead": -0.5},
            {"end_of_turn": 0.5, "transcript": 0.0, "model": 0.3, "voice": 0.3, "playout": 0.9},
        ),
    ],
)
def test_parts_of_an_answer(told: dict[str, float], parts: dict[str, float]) -> None:
    found = parts_of(answer(1.0, 1.5, 3.0), told)
    assert found == pytest.approx(parts)
    assert sum(found.values()) == pytest.approx(2.0)


def test_parts_of_a_cascade_are_taken_as_it_tells_them() -> None:
    found = play(
        events.CallStarted(0.0),
        events.UserTurnEnded(2.5, 2.0, "ann", "mic", 0.0, "t1"),
        events.ReplyStarted("r1", at=2.6),
        events.ReplyFirstAudio(3.5, "r1"),
        events.ReplyEnded(5.0, "r1", events.Heard("r1", 1.5)),
        events.ReplyLatency("r1", {"stt": 0.3, "llm": 0.4, "tts": 0.2}, at=5.1),
        events.UserTurnEnded(7.5, 7.0, "ann", "mic", 6.0, "t2"),
    )
    parts = {key[2]: value for key, value in found.items() if key[0] == "response_part_seconds_sum"}
    assert parts == pytest.approx(
        {"end_of_turn": 0.5, "transcript": 0.3, "model": 0.4, "voice": 0.2, "playout": 0.1}
    )


def test_metrics_of_several_processes_are_told_apart_by_their_process() -> None:
    one = CallMetrics()
    one.count("turns", 3, "clerk")
    one.time("late_seconds", 0.25, "clerk")
    text = merged({"w0": text_of(one.registry), "w1": text_of(CallMetrics().registry)})
    (turns,) = [line for line in text.splitlines() if line.startswith("fishjam_agents_turns_total")]
    assert turns == 'fishjam_agents_turns_total{bot="clerk",process="w0"} 3.0'
    assert 'fishjam_agents_late_seconds_bucket{bot="clerk",le="0.2",process="w0"} 0.0' in text
    assert 'fishjam_agents_late_seconds_bucket{bot="clerk",le="0.3",process="w0"} 1.0' in text


def test_every_metric_is_exposed_with_its_help_and_kind() -> None:
    families = {
        family.name: family for family in text_string_to_metric_families(text_of(CallMetrics().registry))
    }
    assert families.keys() == {f"fishjam_agents_{metric.name}" for metric in METRICS}
    for metric in METRICS:
        family = families[f"fishjam_agents_{metric.name}"]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert not {"room", "peer", "call", "track"} & set(metric.labels)

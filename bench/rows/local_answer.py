"""A conversation on this machine: from the end of a question to the first sound of its answer in the room.

The bot is `examples/offline_assistant`, in a real call of the embedded server; the questions are spoken by
Kokoro, which is not the bot's voice.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fishjam_agents_local.kokoro import Kokoro

from bench.table import Row, percentile, skipped
from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import Clip
from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.simulation import SimulationResult, simulate
from fishjam_agents.turns.smart_turn import SmartTurn

CONFIG = Path(__file__).parents[2] / "examples" / "offline_assistant" / "config.yaml"
_RATE = 16_000
_QUESTIONS = (
    "What time is it?",
    "Hello, how are you?",
    "What day is it today?",
    "Thank you very much.",
    "When do you open in the morning?",
    "Who are you?",
    "Do you have a table outside?",
    "Can you tell me a joke, please?",
)
_VOICES = ("jf_alpha", "jm_kumo", "jf_nezumi", "jf_gongitsune")
_EVERY = 9.0
"""Seconds from a question to the next: by then its answer is over."""
_BEFORE = 0.5
_QUIET = 10 ** (-40 / 20) * 32768
_PARTS = ("stt", "waited", "llm", "sentence", "tts", "ahead")
_FIXED_S, _SMART_S = 0.85, 0.65


async def measure(quick: bool) -> list[Row]:
    """With the default end of turn, and with Smart Turn and answers begun at the pause."""
    what = "local answer: end of speech to first sound"
    try:
        settings = load_config(CONFIG)
        make = pipeline_factory(settings)
        bots = {"adaptive": make(), "smart_turn, preemptive": make()}
        _hear_meaning(bots["smart_turn, preemptive"])
        questions = await _questions(1 if quick else len(_QUESTIONS))
    except FishjamAgentsError as error:
        return [skipped(what, "", str(error))]
    rows = []
    for (name, bot), budget in zip(bots.items(), (_FIXED_S, _SMART_S), strict=True):
        bot.greeting = None
        bot.verify()
        rows.append(await _row(f"{what}, {name}", budget, bot, questions))
    return rows


def _hear_meaning(bot: AgentPipeline) -> None:
    assert isinstance(bot.backend, Cascade)
    bot.turns = replace(bot.turns, end_of_turn=SmartTurn())
    bot.backend = replace(bot.backend, preemptive=True)


async def _questions(count: int) -> list[Samples]:
    """Questions at 16 kHz, each of which ends where its sound does."""
    spoken = []
    for number, text in enumerate(_QUESTIONS[:count]):
        part = Kokoro(voice=_VOICES[number % len(_VOICES)])
        part.check()
        async with part.connect() as voice, aclosing(voice.speak(text)) as pieces:  # type: ignore[type-var]
            sound = b"".join([piece async for piece in pieces])
        samples = resample(np.frombuffer(sound, "<i2").astype(np.int16), voice.sample_rate, _RATE)
        spoken.append(samples[: int(np.flatnonzero(np.abs(samples) > _QUIET)[-1]) + 1])
    return spoken


async def _row(what: str, budget: float, bot: AgentPipeline, questions: Sequence[Samples]) -> Row:
    track = np.zeros(round((_BEFORE + len(questions) * _EVERY) * _RATE), np.int16)
    ends = []
    for number, question in enumerate(questions):
        begin = round((_BEFORE + number * _EVERY) * _RATE)
        track[begin : begin + len(question)] = question
        ends.append((begin + len(question)) / _RATE)
    result = await simulate(bot, [Clip(track, _RATE)], seconds=len(track) / _RATE)
    if result.failure is not None:
        raise RuntimeError(f"{what}: {result.failure}")
    delays = [delay for end in ends if (delay := _first_sound(result, end)) is not None]
    if not delays:
        raise RuntimeError(f"{what}: no question was answered")
    median = statistics.median(delays)
    return Row(
        what,
        f"median {budget:g} s",
        f"median {median:.2f}, p95 {percentile(delays, 95):.2f} s "
        f"({len(delays)} of {len(questions)} answered)",
        _shares(result, ends),
        median <= budget,
    )


def _first_sound(result: SimulationResult, end: float) -> float | None:
    """Seconds from the end of a question to the first sound of the bot's."""
    begin = round(end * _RATE)
    bot = np.abs(result.room[begin : begin + round((_EVERY - 3) * _RATE), 1].astype(np.int32))
    loud = np.flatnonzero(bot > _QUIET)
    return float(loud[0]) / _RATE if len(loud) else None


def _shares(result: SimulationResult, ends: Sequence[float]) -> str:
    """Return the medians of what it is made of: the turn's end, then each part of the cascade."""
    events: Sequence[Mapping[str, Any]] = result.timeline["events"]
    turns = []
    for end in ends:
        ended = [event["at"] for event in events if event["kind"] == "user_turn_ended" and event["at"] > end]
        turns += [ended[0] - end] if ended else []
    parts = [event["parts"] for event in events if event["kind"] == "reply_latency"]
    shown = [f"turn's end {1000 * statistics.median(turns):.0f}"] if turns else []
    values = {name: [part[name] for part in parts if name in part] for name in _PARTS}
    shown += [f"{name} {1000 * statistics.median(took):.0f}" for name, took in values.items() if took]
    return ", ".join(shown) + " ms"

"""A conversation on this machine: from the end of a question to the first sound of its answer in the room.

The bot is `examples/offline_assistant`, in a real call of the embedded server. What it is told is spoken by
Kokoro, which is not the bot's voice, and by people, where their recordings are installed (Debian's
asterisk-core-sounds-en-wav and pocketsphinx-testdata): a prompt is answered as well, and ends as people end.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
from fishjam_agents_local.kokoro import Kokoro

from bench.table import Row, percentile, skipped
from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import Clip, read_wav
from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.simulation import SimulationResult, simulate

_EXAMPLE = Path(__file__).parents[2] / "examples" / "offline_assistant"
CONFIGS = {
    "adaptive": _EXAMPLE / "config.yaml",
    "smart_turn, preemptive": _EXAMPLE / "smart_turn.yaml",
}
_RATE = 16_000
_QUESTIONS = (
    "What time is it?",
    "Hello, how are you?",
    "When do you open in the morning?",
    "Thank you very much.",
    "Do you have a table outside?",
    "Can you tell me a joke, please?",
)
_PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
_PLAYERS = Path("/usr/share/pocketsphinx/test/data/cards")
_PEOPLE = (
    *(_PROMPTS / f"{name}.wav" for name in ("hello-world", "please-try-again", "tt-somethingwrong")),
    *(_PLAYERS / f"00{number}.wav" for number in (1, 2, 3)),
)
_VOICES = ("jf_alpha", "jm_kumo", "jf_nezumi", "jf_gongitsune")
_EVERY = 8.0
"""Seconds from a question to the next: by then its answer is over."""
_BEFORE = 0.5
_QUIET = 10 ** (-40 / 20) * 32768
_PARTS = ("stt", "waited", "llm", "sentence", "tts", "ahead")
_FIXED_S, _SMART_S = 0.85, 0.65


async def measure(quick: bool) -> list[Row]:
    """With the default end of turn, and with Smart Turn and answers begun at the pause."""
    what = "local answer: end of speech to first sound"
    try:
        # Where the figures mean nothing, one of them shows that it works.
        configs = list(CONFIGS.items())[: 1 if quick else None]
        bots = {name: pipeline_factory(load_config(config))() for name, config in configs}
        groups = {"computed": await _computed(1 if quick else len(_QUESTIONS))}
        if not quick:
            groups["people"] = [_trimmed(read_wav(file)) for file in _PEOPLE if file.exists()]
    except FishjamAgentsError as error:
        return [skipped(what, "", str(error))]
    rows = []
    for (name, bot), budget in zip(bots.items(), (_FIXED_S, _SMART_S), strict=False):
        bot.greeting = None
        bot.verify()
        rows.append(await _row(f"{what}, {name}", budget, bot, groups))
    return rows


async def _computed(count: int) -> list[Samples]:
    """Questions of a computed voice."""
    spoken = []
    for number, text in enumerate(_QUESTIONS[:count]):
        part = Kokoro(voice=_VOICES[number % len(_VOICES)])
        part.check()
        async with part.connect() as voice, aclosing(voice.speak(text)) as pieces:  # type: ignore[type-var]
            sound = b"".join([piece async for piece in pieces])
        spoken.append(_trimmed(Clip(np.frombuffer(sound, "<i2").astype(np.int16), voice.sample_rate)))
    return spoken


def _trimmed(clip: Clip) -> Samples:
    """Return speech at 16 kHz that ends where its sound does."""
    samples = resample(clip.samples, clip.sample_rate, _RATE)
    return samples[: int(np.flatnonzero(np.abs(samples.astype(np.int32)) > _QUIET)[-1]) + 1]


async def _row(what: str, budget: float, bot: AgentPipeline, groups: Mapping[str, Sequence[Samples]]) -> Row:
    asked = [(name, question) for name, questions in groups.items() for question in questions]
    track = np.zeros(round((_BEFORE + len(asked) * _EVERY) * _RATE), np.int16)
    ends = []
    for number, (_, question) in enumerate(asked):
        begin = round((_BEFORE + number * _EVERY) * _RATE)
        track[begin : begin + len(question)] = question
        ends.append((begin + len(question)) / _RATE)
    result = await simulate(bot, [Clip(track, _RATE)], seconds=len(track) / _RATE)
    if result.failure is not None:
        raise RuntimeError(f"{what}: {result.failure}")
    delays: dict[str, list[float]] = {name: [] for name in groups}
    for (name, _), end in zip(asked, ends, strict=True):
        if (delay := _first_sound(result, end)) is not None:
            delays[name].append(delay)
    every = [delay for values in delays.values() for delay in values]
    if not every:
        raise RuntimeError(f"{what}: no question was answered")
    shown = [
        f"{name} {statistics.median(values):.2f} ({len(values)} of {len(groups[name])})"
        for name, values in delays.items()
        if values
    ]
    median = statistics.median(every)
    return Row(
        what,
        f"median {budget:g} s",
        f"median {median:.2f}, p95 {percentile(every, 95):.2f} s; voices {', '.join(shown)}",
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

"""Models on this machine: how long they take, how soon they stop, and how late they make a loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

from bench.table import Row, percentile, skipped
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends.cascade import Message, Speech, SpeechToText, TextToSpeech, Transcript
from fishjam_agents.backends.cascade.components import STT_RATE, Component, LanguageModel
from fishjam_agents.backends.registry import find
from fishjam_agents.errors import FishjamAgentsError

_FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
_SENTENCE = "The restaurant is open from nine in the morning until ten in the evening."
_STORY = [Message("system", "Be brief."), Message("user", "Tell me a story about a fish.")]
_TICK = 0.02
_LAG_MS = 5.0
_STOP_MS = 50.0
_WAIT = 300.0
_KINDS: Sequence[tuple[str, type[Component], Mapping[str, Any]]] = (
    ("whisper", SpeechToText, {}),
    ("llama_cpp", LanguageModel, {"max_tokens": 100}),
    ("piper", TextToSpeech, {}),
    ("kokoro", TextToSpeech, {}),
)
_Work = Callable[[], AsyncIterator[object]]


async def measure(quick: bool) -> list[Row]:
    """With the default model of each part, as far as they are installed."""
    rows = []
    async with asyncio.timeout(_WAIT), AsyncExitStack() as calls:
        works: dict[str, _Work] = {}
        for name, kind, settings in _KINDS:
            try:
                part: Any = find(name, kind)(**settings)
                await asyncio.to_thread(part.preload)
                connected = await calls.enter_async_context(part.connect())
            except FishjamAgentsError as error:
                rows.append(skipped(f"local: {name}", "", str(error)))
                continue
            works[name] = _work(connected)
            rows += await _own_row(name, connected, 1 if quick else 30)
        if not quick:
            for name, work in works.items():
                rows.append(await _lag_row(name, {name: work}, 10.0))
        rows.append(await _lag_row("all of them", works, 0.5 if quick else 10.0))
    return rows


# --- what each takes ---


async def _own_row(name: str, part: Any, times: int) -> list[Row]:
    match name:
        case "whisper":
            return [await _transcript_row(part, times), await _pause_row(part, times)]
        case "llama_cpp":
            return [await _answer_row(part, times)]
        case _:
            return []


async def _transcript_row(part: Any, times: int) -> Row:
    """A turn that is over, until its words are there."""
    shown = []
    for file in ("alice_yes", "alice_question", "alice_long"):
        sound = read_wav(_FIXTURES / f"{file}.wav").samples
        took = []
        for _ in range(times):
            begun = time.perf_counter()
            async for _ in part.transcribe(sound):
                pass
            took.append(1000 * (time.perf_counter() - begun))
        shown.append(f"{len(sound) / STT_RATE:.1f} s: {_of(took)}")
    return Row("local: whisper, a whole turn to its words", "", "; ".join(shown))


async def _pause_row(part: Any, times: int) -> Row:
    """A turn whose transcript was begun at its last pause."""
    sound = read_wav(_FIXTURES / "alice_question.wav").samples
    begun_at_pause, left = [], []
    for _ in range(times):
        speech = Speech("ann")
        speech.append(sound)
        async with aclosing(part.hear(speech)) as pieces:
            paused = time.perf_counter()
            speech.pause(speech.seconds)
            async for piece in pieces:
                if isinstance(piece, Transcript) and piece.stable:
                    ended = time.perf_counter()
                    begun_at_pause.append(1000 * (ended - paused))
                    speech.end()
            left.append(1000 * (time.perf_counter() - ended))
    return Row(
        "local: whisper, end of a turn to its final words, which were begun at the pause",
        "",
        _of(left),
        f"pause to stable words: {_of(begun_at_pause)}",
    )


async def _answer_row(part: Any, times: int) -> Row:
    """An answer that is interrupted: its first word, and when the model is free again."""
    first, free = [], []
    for _ in range(times):
        begun = time.perf_counter()
        async with aclosing(part.reply(_STORY, [])) as pieces:
            while not isinstance(await anext(pieces), str):
                pass
            first.append(1000 * (time.perf_counter() - begun))
            await asyncio.sleep(0.1)
            closed = time.perf_counter()
        # Its thread takes the next job.
        await part._call.run(lambda _: None)
        free.append(1000 * (time.perf_counter() - closed))
    return Row(
        "local: llama_cpp, barge-in to the model at rest",
        f"{_STOP_MS:g} ms",
        f"{_of(free)}, worst {max(free):.1f} ms",
        f"first word of an answer, system prompt read before: {_of(first)}",
        percentile(free, 95) <= _STOP_MS,
    )


def _of(took: Sequence[float]) -> str:
    return f"median {statistics.median(took):.1f}, p95 {percentile(took, 95):.1f} ms"


# --- how late they make the loop ---


async def _lag_row(name: str, works: Mapping[str, _Work], seconds: float) -> Row:
    """Models hold up the interpreter, which is theirs, and the cores, which others of the machine do as well.

    At real-time priority the loop waits for the interpreter alone: that is what is judged. It takes the right
    to that (root); without it, the figures are those of the machine.
    """
    with _at_once() as alone:
        lags = await _lags(works, seconds)
        nothing = await _lags({}, seconds / 2)
    what = f"local: loop late by, while these work without a pause: {name}"
    if not alone:
        return Row(what, "", _late(lags), f"without them: {_late(nothing)}")
    ordinary = await _lags(works, seconds)
    reference = f"without them: {_late(nothing)}; at ordinary priority with them: {_late(ordinary)}"
    within = percentile(lags, 99) <= _LAG_MS
    return Row(what, f"p99 {_LAG_MS:g} ms", f"{_late(lags)}, at real-time priority", reference, within)


def _late(lags: Sequence[float]) -> str:
    return f"median {statistics.median(lags):.2f}, p99 {percentile(lags, 99):.1f}, worst {max(lags):.1f} ms"


@contextlib.contextmanager
def _at_once() -> Iterator[bool]:
    """Have this thread run whenever it can, if that is allowed; not those that it starts."""
    if not hasattr(os, "sched_setscheduler"):
        yield False
        return
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


async def _lags(works: Mapping[str, _Work], seconds: float) -> list[float]:
    """Milliseconds by which ticks of 20 ms are late."""
    working = [asyncio.create_task(_without_a_pause(work)) for work in works.values()]
    loop = asyncio.get_running_loop()
    lags = []
    try:
        await asyncio.sleep(0.2)
        due = loop.time()
        for _ in range(round(seconds / _TICK)):
            due = max(due + _TICK, loop.time())
            await asyncio.sleep(due - loop.time())
            lags.append(1000 * (loop.time() - due))
        for task in working:
            if task.done():
                task.result()
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    return lags


async def _without_a_pause(work: _Work) -> None:
    while True:
        with contextlib.suppress(StopAsyncIteration):
            async for _ in work():
                pass


def _work(part: Any) -> _Work:
    if isinstance(part, SpeechToText):
        sound = read_wav(_FIXTURES / "alice_question.wav").samples
        return lambda: part.transcribe(sound)
    if isinstance(part, LanguageModel):
        return lambda: part.reply(_STORY, [])
    return lambda: part.speak(_SENTENCE)

"""An hour of a busy call through all that observes it grows files, and nothing else."""

from __future__ import annotations

import asyncio
import gc
import logging
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.sdk.trace import TracerProvider

from fishjam_agents import events
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.event_base import Heard
from fishjam_agents.events import Event
from fishjam_agents.observe import EventLog, LogSettings, setup_logging
from fishjam_agents.observe.metrics import CallMetrics
from fishjam_agents.observe.recording import SoundRecorder
from fishjam_agents.observe.recording.writer import WRITER
from fishjam_agents.observe.replay import CallRecorder
from fishjam_agents.observe.tracing import CallTracing
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.event_stream import EventStream
from fishjam_agents.pipeline.redaction import EventRedaction
from fishjam_agents.testing import VirtualClock

RATE = 16000
PACKET = np.ones(RATE // 10, np.int16)
GROWTH = 256 * 1024
"""Bytes that half an hour may grow by: caches of the interpreter fill up, and a list of events would be ten
times as long."""


def exchange(number: int, at: float) -> Iterator[Event]:
    """Five seconds of a call: a turn, its answer, a tool, an interruption, a cough, and some trouble."""
    track, turn, reply = f"mic-{number}", f"turn-{number}", f"r{number}"
    words = f"these are the words of turn {number}"
    yield events.UserStartedSpeaking(at, at, "ann", track)
    yield events.UserStoppedSpeaking(at + 0.5, at + 0.5, "ann", track)
    yield events.UserTurnEnded(at + 1.0, at + 0.5, "ann", track, at, turn)
    yield events.UserTranscript(words, True, "ann", at=at + 1.0)
    yield events.ToolStarted(at + 1.1, "weather", f"call-{number}")
    yield events.ToolCalled(at + 1.2, "weather", f"call-{number}", "ok", 0.1)
    yield events.ReplyStarted(reply, at=at + 1.3)
    for _ in range(20):
        yield events.ReplyText(at + 1.3, reply, "word ")
    yield events.ReplyFirstAudio(at + 1.4, reply)
    yield events.BargeInSuspected(at + 2.0, at + 1.9, "ann", track, reply)
    yield events.BargeInWithdrawn(at + 2.3, at + 1.9, "ann", track, reply)
    yield events.BackendUsage({"input": 10.0, "output": 20.0}, 0.001, 0.001 * number, at=at + 2.4)
    yield events.AudioUnderrun(at + 2.5, 1)
    heard = Heard(reply, 2.0, words)
    if number % 3:
        yield events.ReplyEnded(at + 4.0, reply, heard)
        yield events.ReplyLatency(reply, {"stt": 0.1, "llm": 0.2, "tts": 0.1}, at=at + 4.1)
    else:
        yield events.ReplyInterrupted(at + 4.0, reply, heard)
    yield events.PeerLeft(at + 4.5, f"peer-{number}")


@contextmanager
def only_our_log(path: Path) -> Iterator[None]:
    """The log of a program; pytest's own handlers would keep every record."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    for handler in before:
        root.removeHandler(handler)
    setup_logging(LogSettings(format="json", file=path))
    try:
        yield
    finally:
        for handler in list(root.handlers):
            root.removeHandler(handler)
            handler.close()
        for handler in before:
            root.addHandler(handler)
        root.setLevel(level)
        logging.captureWarnings(False)


@pytest.mark.timeout(300)
def test_an_hour_grows_nothing_but_files(tmp_path: Path) -> None:
    log = tmp_path / "bot.log"

    async def hour() -> int:
        bot = AgentPipeline()
        bot.backend = Parrot()
        bot.observers.append(EventLog("c1", "room-1", bot="agent"))
        CallMetrics().observe(bot)
        CallTracing(TracerProvider(shutdown_on_exit=False)).observe(bot, "room-1")
        # What begins a trace.
        bot.observers[-1](events.CallStarted(0.0))
        record = CallRecorder(tmp_path / "records").open("c1", bot.turns, bot.hearing)
        recording = SoundRecorder(tmp_path / "calls").open("c1", RATE, RATE)
        stream = EventStream(bot.observers)
        stream.redaction = EventRedaction(lambda text: text)
        stream.observe(recording.event)
        loop = asyncio.get_running_loop()
        sizes = []
        for number in range(2 * 360):
            begun = loop.time()
            told = exchange(number, begun)
            for _ in range(50):
                await asyncio.sleep(0.1)
                now = loop.time()
                recording.heard(f"mic-{number // 50}", PACKET.tobytes(), now)
                recording.sent(PACKET, now + 0.2)
                recording.tick(now)
                if (event := next(told, None)) is not None:
                    stream.emit(event)
            for event in told:
                stream.emit(event)
            if number in (359, 719):
                # The disk has all there is, and not the memory.
                assert WRITER.wait(30)
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        await recording.finish(loop.time())
        record.close(loop.time())
        return sizes[1] - sizes[0]

    tracemalloc.start(1)
    try:
        with only_our_log(log):
            growth = VirtualClock(2 * 3600.0).run(hour())
    finally:
        tracemalloc.stop()
    assert growth < GROWTH
    (sound,) = (tmp_path / "calls").glob("*.wav")
    assert read_wav(sound).seconds > 3590
    (lines,) = (tmp_path / "calls").glob("*.transcript.jsonl")
    assert len(lines.read_text().splitlines()) == 2 * 720
    assert len(log.read_text().splitlines()) > 5 * 720

"""Samples of a process are added up by the stage that the innermost frame with one is in."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from bench.profile import sampling, shares, stage

RUN = "<module> (bench/subject.py:126);run (uvloop/__init__.py:92)"
READ = f"{RUN};data_received (fishjam_agents/fishjam/direct.py:98)"
FED = f"{READ};_hear (fishjam_agents/pipeline/room_audio.py:259)"
TICKED = f"{RUN};_tick (fishjam_agents/playout/ticker.py:9)"


@pytest.mark.parametrize(
    ("stack", "name"),
    [
        (RUN, "event loop: waiting, reading and writing sockets"),
        (f"{RUN};_received (fishjam_agents/fishjam/direct.py:110)", "reading"),
        (f"{RUN};data_received (websockets/asyncio/connection.py:9)", "reading"),
        (FED, "hearing: microphones and their batches"),
        (f"{FED};take (fishjam_agents/audio/vad.py:9);is_speech (webrtcvad.py:31)", "voice detection"),
        (f"{FED};expect (fishjam_agents/audio/echo.py:9)", "echo guard"),
        (f"{FED};handle (bench/bots.py:70)", "bench: the backend itself"),
        (
            f"{FED};send (fishjam_agents/playout/sender.py:9);post (fishjam_agents/fishjam/direct.py:9)",
            "sending",
        ),
        (f"{FED};pump (fishjam_agents/playout/schedule.py:9)", "playout"),
        (f"{TICKED};tick (fishjam_agents/pipeline/room_audio.py:9)", "ticks"),
        (f"{RUN};_dispatch (fishjam_agents/pipeline/call.py:9)", "the rest of the pipeline"),
    ],
)
def test_a_sample_belongs_to_the_innermost_stage(stack: str, name: str) -> None:
    assert stage(stack) == name


def test_shares_are_of_all_samples_and_the_largest_comes_first() -> None:
    lines = [f"{RUN} 1", f"{FED} 2", f"{FED};x (numpy/fft.py:1) 1"]
    assert shares(lines) == [
        ("hearing: microphones and their batches", 0.75),
        ("event loop: waiting, reading and writing sockets", 0.25),
    ]
    assert shares([]) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands in for py-spy")
def test_the_sampler_is_gone_where_the_measurement_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "py-spy"
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    async def scenario() -> int | None:
        with pytest.raises(RuntimeError, match="the subject is gone"):
            async with asyncio.timeout(60), sampling(os.getpid(), tmp_path / "stacks") as sampler:
                raise RuntimeError("the subject is gone")
        return sampler.returncode

    assert asyncio.run(scenario()) is not None

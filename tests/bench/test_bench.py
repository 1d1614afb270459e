"""The bench runs and its table has its rows. What the figures are is none of the tests' business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.__main__ import ROWS
from bench.table import Row, markdown, percentile, spread
from bench.wire import binary_frame, unmasked

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300
"""Seconds; a minute on an idle machine of two cores, where the models of `local` are installed."""

EXPECTED = (
    "decode 20 ms of audio",
    "encode 20 ms of audio",
    "a frame without sockets",
    "20 ms of a room with 8 voices, mixed",
    "CPU per 20 ms in + out, VAD on, 10 calls",
    "calls on one core",
    "20 ms of a call, 2 calls",
    "a stall of 300 ms, 5 calls",
    "first audible frame to `interrupt`",
    "a pause under end_of_turn: smart_turn",
    "keeping 20 ms for it",
    "20 ms of a call under second_opinion",
    "reply gone from heard.wav",
    "cough over the reply",
    "first model audio at the socket",
    "Gemini: CPU per 20 ms",
    "Gemini: first audio from the service",
    "cascade: barge-in to closed",
    "cascade: turn ended to first audio",
    "streaming transcript: sent by the service",
    "local: loop late by, while these work without a pause: all of them",
    "voices: piper",
    "voices: espeak",
    "local answer: end of speech to first sound",
    "memory of a further session, idle",
    "memory of a further session, talking",
    "`import fishjam_agents`",
    "`run examples/parrot/config.yaml` to ready",
    "installed, core",
    "WebRTC peers in one server",
)


@pytest.mark.timeout(2 * PATIENCE)
def test_quick_bench_prints_a_row_for_every_budget():
    # Those with a browser are tested where browsers are, and one at a time: tests/browser.
    rows = [f"--row={row}" for row in ROWS if not row.startswith("browser_")]
    command = [sys.executable, "-m", "bench", "--quick", *rows]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 0, run.stdout + run.stderr
    missing = [row for row in EXPECTED if row not in run.stdout]
    assert not missing, run.stdout + run.stderr
    assert "python 3." in run.stdout
    assert "websockets" in run.stdout


def test_an_unknown_row_is_refused_with_the_names_there_are():
    run = subprocess.run(
        [sys.executable, "-m", "bench", "--row", "speed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert run.returncode == 2
    assert "first_audio" in run.stderr


def test_percentile_is_a_value_that_was_measured():
    values = list(np.random.default_rng(1).permutation(100) + 1)
    assert percentile(values, 99) == 99
    assert percentile(values, 50) == 50
    assert percentile([7.0], 99) == 7.0


def test_table_says_which_budgets_are_broken():
    text = markdown(
        [Row("a", "1 us", spread([1, 3, 2], 1, "us"), within=False), Row("b", "", "4", within=None)]
    )
    assert "| 2.0 (1.0-3.0) us |" in text
    assert text.splitlines()[2].rstrip(" |").endswith("NO")
    assert "NO" not in text.splitlines()[3]


def test_masked_bytes_are_read_from_any_offset():
    payload = bytes(range(40))
    mask = b"\x11\x22\x33\x44"
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    for start in range(8):
        assert unmasked(mask, masked, start, 8) == int.from_bytes(payload[start : start + 8])


def test_frames_of_the_generator_carry_their_length():
    assert binary_frame(b"x" * 5)[:2] == b"\x82\x05"
    assert binary_frame(b"x" * 300)[:4] == b"\x82\x7e\x01\x2c"

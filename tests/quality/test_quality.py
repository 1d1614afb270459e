"""The bench runs, and says the same again. What the figures are is none of the tests' business."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import quality.cost
from quality.__main__ import main
from quality.figures import Figure, Part, Table, median_p95, per_cent, within
from quality.report import document, figures

ROOT = Path(__file__).resolve().parents[2]
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@needs_espeak
def test_a_seed_gives_the_same_report_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--quick", "--category", "turn_taking"]
    printed = []
    for seed in ("5", "5", "6"):
        assert main([*words, "--seed", seed, "--out", str(tmp_path / "quality.md")]) == 0
        printed.append(capsys.readouterr().out.replace("eed 6", "eed 5"))
    assert printed[0] == printed[1]
    assert printed[0] != printed[2]
    assert "said to a silent bot" in printed[0]
    assert "What these figures do not show" in (tmp_path / "quality.md").read_text()


def test_an_unknown_category_is_refused_with_those_there_are() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "quality", "--category", "music"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert run.returncode == 2
    assert "backchannel" in run.stderr


def test_without_espeak_the_bench_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--quick", "--category", "pause", "--seed", "987654"]) == 1
    assert capsys.readouterr().err.strip() == "espeak-ng not found: apt-get install -y espeak-ng"


def part(measured: str, kept: bool | None) -> Part:
    return Part([Figure("a", "1", measured, kept)], [Table("Of a", ("x",), [("y",)], "A note.")])


def test_a_figure_is_kept_when_every_seed_keeps_it() -> None:
    both = figures({1: {"pause": part("0", True)}, 2: {"pause": part("2", False)}})
    assert both.splitlines()[2].split("|")[1:-1] == [
        cell.ljust(width)
        for cell, width in zip((" pause", " a", " 1", " 0", " 2", " NO"), (10, 6, 8, 8, 8, 6), strict=True)
    ]
    assert figures({1: {"pause": part("0", True)}}).rstrip(" |").endswith("yes")
    assert figures({1: {"pause": part("0", None)}}).splitlines()[2].rstrip(" |").endswith("0")


def test_the_page_holds_figures_tables_and_command() -> None:
    page = document({4: {"pause": part("0", True)}}, "noisy", "python -m quality --seed 4")
    for piece in ("`python -m quality --seed 4`", "detector `noisy`", "## Seed 4", "A note.", "espeak-ng"):
        assert piece in page


def test_of_nothing_no_target_is_kept() -> None:
    assert per_cent(0, 0) == "none tried"
    assert median_p95([]) == "-"
    assert not within([], 1, 1)
    assert median_p95([0.1, 0.2, 0.3]) == "200/300"
    assert within([0.1, 0.2], 0.1, 0.2)


def test_the_cost_of_every_detector_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("_FRAMES", "_ROUNDS"):
        monkeypatch.setattr(quality.cost, name, 2)
    assert quality.cost.main() == 0
    table = capsys.readouterr().out
    assert all(f"| {name} " in table for name in ("default", "silero", "webrtc", "energy", "the guard alone"))

"""The bench's rows of browsers run. What the figures are is none of the tests' business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import ROWS
from tests.browser.conftest import Browse

ROOT = Path(__file__).parents[2]
EXPECTED = {
    "browser_join": "browser: page load to joined",
    "browser_echo": "browser: a page's sound back in the page",
    "browser_barge_in": "browser: onset of a word to the bot inaudible",
    "browser_cpu": "browser: CPU of the server for each page",
    "browser_cycles": "browser: left behind by",
}


@pytest.mark.timeout(150, func_only=True)
def test_a_quick_bench_measures_every_row_of_browsers(browse: Browse, pages: str) -> None:
    """The fixtures say where there is no browser, and that one more may run now."""
    rows = [row for row in ROWS if row.startswith("browser_")]
    assert sorted(rows) == sorted(EXPECTED)
    command = [sys.executable, "-m", "bench", "--quick", *(f"--row={row}" for row in rows)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=140)
    assert run.returncode == 0, run.stdout + run.stderr
    for row in EXPECTED.values():
        (line,) = [line for line in run.stdout.splitlines() if row in line]
        assert "skipped" not in line


def test_without_a_browser_the_bench_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    command = [sys.executable, "-m", "bench", "--quick", "--row=browser_join"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("skipped: there is no Chromium here") == 2

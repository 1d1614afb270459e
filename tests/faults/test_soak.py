"""The short form of `make soak-calls`: whatever happens to their connections, nothing is lost or doubled."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("fishjam_agents_gemini")

from bench.soak.__main__ import main

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(400),
]


def test_calls_under_random_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"calls": 9, "minutes": 0.7, "faults": 30, "restarts": 1, "period": 5, "out": tmp_path}
    code = main([part for name, value in options.items() for part in (f"--{name}", str(value))])
    shown = capsys.readouterr().out
    assert code == 0, shown
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["problems"] == []
    assert report["utterances"]["said"] > 20
    # How many, is up to how busy the machine is.
    assert report["utterances"]["arrived"] > 5
    assert report["faults"]["the server is killed"] == 1
    assert "0 lost, 0 doubled" in shown

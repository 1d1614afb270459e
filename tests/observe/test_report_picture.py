"""`report.png`, with matplotlib and without it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fishjam_agents.errors import MissingExtraError, install_extra
from fishjam_agents.observe.report import write_picture

from .report_kit import RATE, TIMELINE, recording


def test_without_matplotlib_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError) as raised:
        write_picture(tmp_path, room=recording(8), sample_rate=RATE, timeline=TIMELINE)
    assert str(raised.value) == "report.png needs the extra 'report': " + install_extra("report")


def test_a_call_becomes_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="report.png needs matplotlib, the extra 'report'")
    path = write_picture(tmp_path, room=recording(8), sample_rate=RATE, timeline=TIMELINE)
    assert path == tmp_path / "report.png"
    assert path.read_bytes().startswith(b"\x89PNG")

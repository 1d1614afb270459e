from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import Parrot
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.simulation import simulate_fast

from .command import command

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


class Bot(AgentPipeline):
    backend = Parrot()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    simulate_fast(Bot(), [read_wav(FIXTURES / "alice_yes.wav")]).write(tmp_path)
    return tmp_path


def test_the_page_of_a_call_is_written_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "report", folder)
    assert (code, out) == (0, f"{folder / 'report.html'}\n")
    assert "parrot-0-1" in (folder / "report.html").read_text()


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib: the extra report")
def test_a_picture_of_it_comes_on_demand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "report", folder, "--png")
    assert code == 0
    assert out.splitlines()[-1] == str(folder / "report.png")
    assert (folder / "report.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        ("{", "is damaged"),
        ("[]", "is no timeline: give the folder that simulate wrote"),
        (json.dumps({"events": [{"kind": "peer_joined"}]}), "is no timeline of this version"),
        (json.dumps({"duration": 1, "events": [{"kind": "error"}]}), "is no timeline of this version"),
    ],
)
def test_a_folder_without_a_call_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    timeline = folder / "timeline.json"
    timeline.unlink()
    if content is not None:
        timeline.write_text(content)
    code, out, err = command(capsys, "report", folder)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1

"""Files that a new section of an agent, or a new setting of one, touches: made in a copy, and used there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fishjam_agents

PACKAGE = Path(fishjam_agents.__file__).parent

CAPTIONS = '''\
"""Settings of captions."""

from __future__ import annotations

from dataclasses import dataclass

from fishjam_agents.errors import SettingError


@dataclass(frozen=True, slots=True)
class CaptionSettings:
    """Settings of captions.

    Attributes:
        size: Of the letters, 1 is normal.
    """

    size: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.size <= 4:
            raise SettingError("size", f"must be at most 4, not {self.size:g}", section="captions")
'''

SECTION = """
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.config.document import read_document
from fishjam_agents.config.problems import Problems
from fishjam_agents.errors import ConfigError, FishjamAgentsError

def refused(text):
    path.write_text(text)
    try:
        load_config(path, {})
    except ConfigError as error:
        return str(error)

config = load_config(path, {})
pipeline = pipeline_factory(config)()
assert pipeline.captions.size == 2.5
assert "captions  size 2.5" in describe(config, pipeline)
pipeline.captions = 2.5
try:
    pipeline.verify()
    raise SystemExit("captions that are none were taken")
except FishjamAgentsError as error:
    assert "captions is a float: make it an object" in str(error)
top = Path("top.yaml")
top.write_text("agent: {captions: {size: 3}}")
over = read_document(top, {}, Problems("top.yaml"))
assert pipeline_factory(load_config(path, {}, over=over))().captions.size == 3
assert refused("agent:\\n  backend: {type: parrot}\\n  captions: {size: 9, sze: 1}").splitlines() == [
    "config.yaml:3: agent.captions.sze is not a setting: did you mean size?"
]
assert refused("agent:\\n  backend: {type: parrot}\\n  captions: {size: 9}") == (
    "config.yaml:3: agent.captions.size must be at most 4, not 9"
)
assert refused("agent: {backend: {type: parrot}}\\ncaptions: {}") == (
    "config.yaml:2: captions is not a setting: did you mean agent.captions?"
)
"""

FIELD = """
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.observe.replay.settings import plain_settings, settings_of

config = load_config(path, {})
pipeline = pipeline_factory(config)()
assert pipeline.turns.patience == 0.7
assert any("patience 0.7" in line for line in describe(config, pipeline))
assert settings_of(plain_settings(pipeline.turns)) == pipeline.turns
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, and a file that the code run beside it reads."""
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / PACKAGE.name


def insert(file: Path, before: str, line: str) -> None:
    text = file.read_text()
    assert text.count(before) == 1, f"{file.name} has other lines now: {before!r}"
    file.write_text(text.replace(before, f"{line}\n{before}"))


def touched(copy: Path) -> set[str]:
    """The files that differ from those of the package, or are new."""
    files = (file.relative_to(copy) for file in copy.rglob("*.py"))
    return {
        str(file)
        for file in files
        if not (PACKAGE / file).exists() or (PACKAGE / file).read_bytes() != (copy / file).read_bytes()
    }


def run(copy: Path, config: str, code: str) -> None:
    """Run code with the copy, in a folder that holds a config.yaml."""
    folder = copy.parent
    (folder / "config.yaml").write_text(config)
    start = "from pathlib import Path\nimport fishjam_agents\npath = Path('config.yaml')\n"
    here = "assert Path(fishjam_agents.__file__).is_relative_to(Path.cwd())\n"
    done = subprocess.run(
        [sys.executable, "-c", start + here + code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_new_section_of_an_agent_touches_two_files(copy: Path) -> None:
    (copy / "playout" / "captions.py").write_text(CAPTIONS)
    pipeline = copy / "pipeline" / "agent.py"
    imported = "from fishjam_agents.playout.settings import "
    insert(pipeline, imported, "from fishjam_agents.playout.captions import CaptionSettings")
    insert(pipeline, "    input_stages: Sequence", "    captions: CaptionSettings = CaptionSettings()")
    run(copy, "agent: {backend: {type: parrot}, captions: {size: 2.5}}", SECTION)
    assert touched(copy) == {"playout/captions.py", "pipeline/agent.py"}


def test_a_new_setting_of_a_section_touches_one_file(copy: Path) -> None:
    settings = copy / "turns" / "settings.py"
    insert(settings, "    release_delay: Seconds", "    patience: Seconds = 0.2")
    run(copy, "agent: {backend: {type: parrot}, turns: {patience: 0.7}}", FIELD)
    assert touched(copy) == {"turns/settings.py"}

"""The commands, files and programs that the pages show, run as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.config import describe, load_config, pipeline_factory

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "vapi_receptionist"
PAGE = (ROOT / "integrations" / "vapi" / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    return [shlex.split(line) for line in re.findall(r"^    (python .*)$", text, re.MULTILINE)]


def run(words: list[str], out: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    given = [sys.executable if word == "python" else word for word in words]
    given[given.index("--out") + 1] = str(out)
    # No proxy of the environment and no key: the emulator gives both addresses and keys.
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(out.parent), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        given, cwd=cwd, env=environ, capture_output=True, text=True, timeout=55, check=False
    )


def kinds(out: Path) -> list[str]:
    return [event["kind"] for event in json.loads((out / "timeline.json").read_text())["events"]]


@dataclass(frozen=True, slots=True)
class Played:
    """A command that has run, and its folder of results."""

    process: subprocess.CompletedProcess[str]
    out: Path


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    """Every command of the pages, by the name of its configuration; they run beside one another."""
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "config.yaml").write_text(blocks(PAGE, "yaml")[0])
    (recipe,) = commands(PAGE)
    recipe[recipe.index("--caller") + 1] = str(ROOT / recipe[recipe.index("--caller") + 1])
    modes = {
        words[words.index("simulate") + 1]: words for words in commands((EXAMPLE / "README.md").read_text())
    }
    jobs = {"recipe": (recipe, folder), **{Path(file).name: (words, ROOT) for file, words in modes.items()}}

    def play(name: str) -> Played:
        words, cwd = jobs[name]
        out = folder / f"out-{name}"
        return Played(run(words, out, cwd), out)

    with ThreadPoolExecutor() as threads:
        return dict(zip(jobs, threads.map(play, jobs), strict=True))


@pytest.mark.parametrize("mode", ["config.yaml", "peer.yaml"])
def test_the_example_runs_in_both_modes_without_an_account(mode: str, played: dict[str, Played]) -> None:
    process, out = played[mode].process, played[mode].out
    assert process.returncode == 0, process.stderr
    assert "WARNING" not in process.stdout + process.stderr
    heard = read_wav(out / "heard.wav").mono()
    assert np.abs(heard).max() > 3000
    assert (out / "report.html").exists()
    if mode == "config.yaml":
        assert {"reply_first_audio", "user_transcript"} <= set(kinds(out))
    else:
        assert "peer_joined" in kinds(out)
    assert "emulated-private-key" not in process.stdout + process.stderr


def test_the_recipe_runs_as_it_stands(played: dict[str, Played]) -> None:
    recipe = played["recipe"]
    assert recipe.process.returncode == 0, recipe.process.stderr
    assert "reply_first_audio" in kinds(recipe.out)


def test_every_setting_of_the_page_is_one(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    for text in blocks(PAGE, "yaml"):
        config.write_text(text)
        pipeline_factory(load_config(config, {"VAPI_API_KEY": "key"}))


def test_the_pipeline_of_the_page_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAPI_API_KEY", "key")
    names: dict[str, object] = {}
    (program,) = blocks(PAGE, "python")
    exec(program, names)
    names["Receptionist"]().verify()  # type: ignore[operator]


def test_check_says_that_no_audio_passes_here() -> None:
    config = load_config(EXAMPLE / "peer.yaml", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAPI_API_KEY", "key")
        lines = describe(config, pipeline_factory(config)())
    said = "Fishjam connects the model itself: no audio passes through this process"
    assert {f"{name:<9} {said}" for name in ("hears", "speaks")} <= set(lines)

"""The recipe is run as it stands in the README."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import GeminiEmulator

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import response_watchdog
from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.simulation import simulate
from integrations.gemini.tests.talk import talking

Run = Callable[..., None]
FOLDER = Path(__file__).parents[1]
README = (FOLDER / "README.md").read_text()
EXAMPLES = FOLDER.parents[1] / "examples"
YES = FOLDER.parents[1] / "audio_fixtures" / "alice_yes.wav"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_configuration_of_the_recipe_is_the_example_which_another_test_runs(run: Run) -> None:
    file = EXAMPLES / "gemini_assistant" / "config.yaml"
    assert yaml.safe_load(file.read_text())["agent"] == yaml.safe_load(blocks("yaml")[0])["agent"]

    async def test(emulator: GeminiEmulator) -> None:
        backend = pipeline_factory(load_config(file, {}))().backend
        assert isinstance(backend, Gemini)
        async with talking(backend):
            setup = (await emulator.connection(0)).setup
        assert setup["model"] == "models/gemini-3.8-live"
        assert setup["contextWindowCompression"] == {"sliding_window": {}}
        assert setup["generationConfig"]["speechConfig"] == {
            "voice_config": {"prebuilt_voice_config": {"voice_name": "Puck"}}
        }

    run(test)


def test_the_bot_of_the_recipe_hears_what_was_said(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    code = blocks("python")[0]
    assert len([line for line in code.splitlines() if line]) <= 10
    names: dict[str, Any] = {}
    exec(code, names)

    async def test(emulator: GeminiEmulator) -> None:
        result = await simulate(names["Bot"](), [read_wav(YES)], seconds=2.4)
        assert result.failure is None
        assert "reply_first_audio" in result.kinds

    run(test)
    assert re.search(r"said: \d\.\d seconds of speech", capsys.readouterr().out)


def test_every_setting_of_the_table_is_one() -> None:
    table = README.partition("## Settings")[2].partition("## Who decides")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    named = {name for cell in first_cells for name in re.findall(r"`(\w+)[`:]", cell)}
    settings = {item.name for item in fields(Gemini)}
    assert named <= settings
    assert settings - named == {"resumption", "transcription"}


def test_the_sentences_of_the_table_are_those_that_are_said() -> None:
    table = README.partition("## When something goes wrong")[2].partition("## Offline")[0]
    said = re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)
    files = [*(FOLDER / "fishjam_agents_gemini").glob("*.py"), Path(response_watchdog.__file__)]
    code = "".join(path.read_text() for path in files)
    assert len(said) == 16
    assert [sentence for sentence in said if sentence not in code] == []


def test_an_example_says_how_to_run_it() -> None:
    for folder in EXAMPLES.glob("gemini_*"):
        command = f"python -m fishjam_agents run examples/{folder.name}/config.yaml"
        for page in (EXAMPLES / "README.md", folder / "README.md"):
            assert command in page.read_text()


def test_a_program_runs_against_the_emulator(tmp_path: Path) -> None:
    """In another process, with nothing but variables."""
    program = tmp_path / "program.py"
    program.write_text(
        "import asyncio\n"
        "from google import genai\n"
        "async def main():\n"
        "    tools = [{'function_declarations': [{'name': 'left_alone'}]}]\n"
        "    live = genai.Client().aio.live.connect(model='gemini-3.8-live', config={'tools': tools})\n"
        "    async with live as session:\n"
        "        await session.send_realtime_input(text='hello')\n"
        "        async for message in session.receive():\n"
        "            last = message\n"
        "        print('complete' if last.server_content.turn_complete else last)\n"
        "asyncio.run(main())\n"
    )
    emulator = [sys.executable, "-m", "fishjam_agents_gemini.emulator", "--no-tools"]
    command = [*emulator, sys.executable, str(program)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=45, check=False, env=os.environ)
    assert result.stdout == "complete\n", result.stderr
    assert result.returncode == 0


def test_nothing_of_google_is_loaded_before_a_call_connects() -> None:
    code = (
        "import sys, fishjam_agents_gemini as g\n"
        "g.Gemini(api_key='k').check()\n"
        "assert not [name for name in sys.modules if name.startswith('google.genai')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=45)

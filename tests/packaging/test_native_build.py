"""The build hook: what a wheel holds with a compiler and without, and what an import takes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

import hatch_build
from fishjam_agents.audio import native_sources

ROOT = Path(__file__).parents[2]
# What the hook reads, and what an import of `compiled` does.
PARTS = ["pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "fishjam_agents/audio"]
PARTS += ["fishjam_agents/__init__.py", "fishjam_agents/_version.py", "fishjam_agents/_lazy.py"]
ASK = "from fishjam_agents.audio import compiled as c; print(c.native and c.native.SOURCES, c.describe())"

needs_compiler = pytest.mark.skipif(
    sys.platform != "win32" and shutil.which(sysconfig.get_config_var("CC").split()[0]) is None,
    reason="needs a C compiler",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the part of the checkout that matters here, in which nothing was compiled."""
    root = tmp_path / "project"
    for part in PARTS:
        source, target = ROOT / part, root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)
    return root


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != hatch_build.PURE_PYTHON}
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**kept, "PYTHONPATH": "", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def build(project: Path, **environment: str) -> tuple[Path, str]:
    """Build a wheel as any installer would; the wheel, and what the build said."""
    done = run("-m", "hatchling", "build", "-t", "wheel", "-d", "dist", cwd=project, **environment)
    assert done.returncode == 0, done.stderr
    [wheel] = (project / "dist").iterdir()
    return wheel, done.stderr


def ask(folder: Path, **environment: str) -> tuple[str, str]:
    """What a program says that imports the package from a folder; output and log."""
    done = run("-c", ASK, cwd=folder, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def unpack(wheel: Path) -> Path:
    folder = wheel.with_suffix("")
    ZipFile(wheel).extractall(folder)
    return folder


NOT_BUILT = "None no: what is installed has no compiled module; in a checkout `make native` makes it"


@needs_compiler
@pytest.mark.timeout(300)
def test_a_wheel_with_the_compiled_module_serves_every_later_python_of_its_platform(project: Path) -> None:
    # What was compiled in the checkout for this machine is no part of it.
    (project / hatch_build.PACKAGE / "_native.abi3.so").write_bytes(b"of a checkout")
    wheel, _ = build(project)
    assert wheel.name.endswith(f"-cp311-abi3-{hatch_build.platform_tag()}.whl")
    names = ZipFile(wheel).namelist()
    assert len([name for name in names if name.endswith((".so", ".pyd"))]) == 1
    assert not [name for name in names if name.endswith((".c", ".h"))]
    folder = unpack(wheel)
    assert ask(folder) == (f"{native_sources.digest()} yes", "")
    chosen = f"None no: {hatch_build.PURE_PYTHON} is set"
    assert ask(folder, FISHJAM_AGENTS_PURE_PYTHON="1") == (chosen, "")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", ["no compiler", "an error in a source", "asked for"])
def test_a_build_that_compiles_nothing_is_pure_python_and_says_why(project: Path, fault: str) -> None:
    environment = {}
    match fault:
        case "no compiler":
            environment = {"CC": "/nowhere/cc"}
        case "an error in a source":
            (project / hatch_build.PACKAGE / "native" / "broken.c").write_text("no C\n")
        case _:
            environment = {hatch_build.PURE_PYTHON: "1"}
    wheel, said = build(project, **environment)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in ZipFile(wheel).namelist() if name.endswith((".so", ".pyd"))]
    assert ("without its compiled part, in pure Python: " in said) == (fault != "asked for")
    assert ask(unpack(wheel)) == (NOT_BUILT, "")


@needs_compiler
@pytest.mark.timeout(300)
def test_what_was_compiled_of_other_sources_is_refused_until_it_is_compiled_again(project: Path) -> None:
    assert ask(project) == (NOT_BUILT, "")
    made = run("hatch_build.py", cwd=project)
    assert made.returncode == 0, made.stderr
    assert ask(project) == (f"{native_sources.digest()} yes", "")
    with (project / hatch_build.PACKAGE / "native" / "module.c").open("a") as source:
        source.write("/* Changed. */\n")
    said, log = ask(project)
    assert said.startswith("None no: the compiled module is of other sources than those beside it")
    assert log.count("\n") == 1
    assert "make native" in log
    assert run("hatch_build.py", cwd=project).returncode == 0
    said, log = ask(project)
    assert said.endswith(" yes")
    assert log == ""


@needs_compiler
@pytest.mark.timeout(300)
def test_an_editable_installation_compiles_into_the_checkout(project: Path) -> None:
    made = run("-c", "from hatchling.build import build_editable; build_editable('.')", cwd=project)
    assert made.returncode == 0, made.stderr
    assert ask(project) == (f"{native_sources.digest()} yes", "")


@pytest.mark.skipif(sys.platform == "win32", reason="a module has another name there")
def test_a_module_that_does_not_load_is_named_in_the_log(project: Path) -> None:
    (project / hatch_build.PACKAGE / "_native.abi3.so").write_bytes(b"of another machine")
    said, log = ask(project)
    assert said.startswith("None no: the compiled module does not load: ")
    assert log.count("\n") == 1


def test_a_checkout_that_compiles_by_hand_is_told_what_is_missing(project: Path) -> None:
    done = run("hatch_build.py", cwd=project, CC="/nowhere/cc")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("not compiled: ")


def test_every_module_that_mypyc_compiles_is_there() -> None:
    assert [name for name in hatch_build.HOT if not (ROOT / name).is_file()] == []


@needs_compiler
@pytest.mark.timeout(300)
def test_a_build_that_was_asked_for_mypyc_ends_without_it(project: Path) -> None:
    words = ("-m", "hatchling", "build", "-t", "wheel", "-d", "dist")
    done = run(*words, cwd=project, FISHJAM_AGENTS_MYPYC="1")  # Most of the modules are not in this copy.
    assert done.returncode != 0
    assert "mypyc" in done.stderr
    assert not list(project.glob("dist/*.whl"))
    # Nor may it shadow the modules of a checkout, where each of them is edited.
    made = run(
        "-c",
        "from hatchling.build import build_editable; build_editable('.')",
        cwd=project,
        FISHJAM_AGENTS_MYPYC="1",
    )
    assert made.returncode == 0, made.stderr
    assert len([file for file in project.rglob("*") if file.suffix in (".so", ".pyd")]) == 1

"""Smoke test of one installed distribution for `.ci/distributions`; run where only it is installed."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import distribution, entry_points, version


def main(package: str) -> None:
    import_module(package)
    found = distribution(package.replace("_", "-"))
    assert found.version == version("fishjam-agents"), f"{package} {found.version} beside another core"
    files = found.files or []
    assert any(str(file) == f"{package}/py.typed" for file in files), "py.typed is not installed"
    assert not any(str(file).startswith("tests/") for file in files), "tests are installed"
    if package == "fishjam_agents":
        page = {file.name for file in files if "playground/static" in file.as_posix()}
        assert {"index.html", "main.js", "style.css"} <= page, "the page of the playground is not installed"
    backends = [
        p for p in entry_points(group="fishjam_agents.backends") if p.dist and p.dist.name == found.name
    ]
    for point in backends:
        backend = point.load()
        assert backend.capabilities, point
    said = subprocess.run(
        [sys.executable, "-I", "-m", "fishjam_agents", "--version"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert said.split() == ["fishjam-agents", found.version], said
    help_text = subprocess.run(
        [sys.executable, "-I", "-m", "fishjam_agents", "--help"], check=True, capture_output=True, text=True
    ).stdout
    for point in entry_points(group="fishjam_agents.commands"):
        assert point.name in help_text, f"{point.name} is no command"


main(sys.argv[1])

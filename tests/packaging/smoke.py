"""Smoke test of one installed distribution for `.ci/distributions`; run where only it is installed.

Arguments: the name of the package, and `yes` or `no`, whether it has to run compiled.
"""

import re
import subprocess
import sys
from importlib import import_module, resources
from importlib.metadata import distribution, entry_points, version


def main(package: str, compiled: str) -> None:
    import_module(package)
    found = distribution(package.replace("_", "-"))
    assert found.version == version("fishjam-agents"), f"{package} {found.version} beside another core"
    files = found.files or []
    assert any(str(file) == f"{package}/py.typed" for file in files), "py.typed is not installed"
    assert not any(str(file).startswith("tests/") for file in files), "tests are installed"
    if package == "fishjam_agents":
        check_page()
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
    version_line, compiled_line = said.splitlines()
    assert version_line == f"fishjam-agents {found.version}", said
    assert compiled_line.startswith(f"compiled: {compiled}"), said
    help_text = subprocess.run(
        [sys.executable, "-I", "-m", "fishjam_agents", "--help"], check=True, capture_output=True, text=True
    ).stdout
    for point in entry_points(group="fishjam_agents.commands"):
        assert point.name in help_text, f"{point.name} is no command"


def check_page() -> None:
    """The playground's page has come along, with everything that it names."""
    static = resources.files("fishjam_agents.server") / "playground" / "static"
    named = re.findall(r'(?:href|src)="playground/([^"]+)"', (static / "index.html").read_text())
    assert "main.js" in named, named
    assert [name for name in named if not (static / name).is_file()] == []


main(sys.argv[1], sys.argv[2])

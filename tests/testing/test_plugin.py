from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import fishjam_agents.testing as kit


def test_pytest_finds_the_plugin_by_itself() -> None:
    (entry,) = [
        point for point in importlib.metadata.entry_points(group="pytest11") if point.name == "fishjam_agents"
    ]
    assert entry.value == "fishjam_agents.testing.plugin"


def test_the_plugin_costs_a_run_that_does_not_need_it_nothing() -> None:
    """Whoever installs the package has the plugin in every pytest run."""
    program = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import fishjam_agents.testing.plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.stdout.split() == [
        "fishjam_agents",
        "fishjam_agents._lazy",
        "fishjam_agents._version",
        "fishjam_agents.testing",
        "fishjam_agents.testing.plugin",
    ], result.stderr


def test_every_name_of_the_kit_is_there_and_documented() -> None:
    for name in kit.__all__:
        assert getattr(kit, name).__doc__, name
    assert set(kit.__all__) <= set(dir(kit))

"""What the distributions say of themselves."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents import __version__
from fishjam_agents.backends.registry import INTEGRATIONS

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(file.parent for file in (ROOT / "integrations").glob("*/pyproject.toml"))


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_distribution_has_the_one_version_and_wants_the_core_of_it(folder: Path) -> None:
    found = project(folder)
    assert found["version"] == __version__
    if folder.name != "template":  # It is copied, and then released when its owner likes.
        assert any(need.endswith(f"=={__version__}") for need in found["dependencies"])


def test_install_hints_name_folders_that_exist() -> None:
    assert set(INTEGRATIONS.values()) <= {folder.name for folder in FOLDERS}


def test_no_extra_names_a_distribution_of_ours() -> None:
    extras = project(ROOT)["optional-dependencies"]
    assert not [need for needs in extras.values() for need in needs if need.startswith("fishjam-agents")]

"""The files of deploy/, as data."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fishjam_agents.config import Config, load_config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SECRETS = {"FISHJAM_ID": "http://127.0.0.1:1", "FISHJAM_MANAGEMENT_TOKEN": "management", "API_TOKEN": "api"}
"""Variables that the operator gives."""


def config(environ: Mapping[str, str]) -> Config:
    """`config.yaml` as a program sees it that is given these variables beside the secret ones."""
    return load_config(DEPLOY / "config.yaml", {**SECRETS, **environ})


def manifests() -> dict[str, dict[str, Any]]:
    """The objects of `statefulset.yaml`, by their kind."""
    return {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "statefulset.yaml").read_text())}


def unit() -> dict[str, list[str]]:
    """The settings of the systemd unit, each with its values."""
    settings: dict[str, list[str]] = {}
    for name, value in re.findall(
        r"^(\w+)=(.*)$", (DEPLOY / "fishjam-agents.service").read_text(), re.MULTILINE
    ):
        settings.setdefault(name, []).append(value)
    return settings


def instructions(stage: int) -> list[tuple[str, str]]:
    """The instructions of a stage of the Dockerfile, as names and values."""
    import pytest

    parser = pytest.importorskip("dockerfile_parse", reason="uv sync --group deploy brings it")
    parsed = parser.DockerfileParser(fileobj=io.BytesIO((DEPLOY / "Dockerfile").read_bytes())).structure
    stages: list[list[tuple[str, str]]] = []
    for step in parsed:
        if step["instruction"] == "FROM":
            stages.append([])
        elif stages and step["instruction"] != "COMMENT":
            stages[-1].append((step["instruction"], step["value"]))
    return stages[stage]


def image_environ() -> dict[str, str]:
    """The variables that the image sets, but the path of its programs."""
    text = " ".join(value for name, value in instructions(-1) if name == "ENV")
    return {name: value for name, value in re.findall(r"(\w+)=(\S+)", text) if name != "PATH"}


def program_environ(**more: str) -> dict[str, str]:
    """The environment of a program that is started as a container, or a unit, would start it."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **more}

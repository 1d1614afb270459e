"""The README is the recipe: its configurations are right and its Python runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fishjam_agents_openai.realtime import Realtime

from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.config import load_config, pipeline_factory

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("config", blocks("yaml"))
def test_each_configuration_makes_a_bot(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    # The voice that needs a program is checked elsewhere.
    monkeypatch.setattr("fishjam_agents.backends.cascade.espeak.Espeak.check", lambda self: None)
    path = tmp_path / "config.yaml"
    path.write_text(config)
    bot = pipeline_factory(load_config(path))()
    assert isinstance(bot.backend, Cascade | Realtime)


def test_the_python_of_the_recipe_makes_a_bot() -> None:
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    host = names["Host"]
    assert isinstance(host, type)
    backend = host().backend
    assert isinstance(backend, Cascade)
    assert backend.filler == "One moment."

"""The README is the recipe: its configurations are right and its Python runs."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from fishjam_agents_openai import Chat
from fishjam_agents_openai.emulator import Answer, Emulator
from fishjam_agents_openai.realtime import Realtime

from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.errors import BackendError, ConfigError
from integrations.openai.tests.asking import HELLO, ask, run, speak

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("config", blocks("yaml"))
def test_each_configuration_makes_a_bot(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    # The voice that needs a program is checked elsewhere.
    monkeypatch.setattr("fishjam_agents.backends.cascade.espeak.Espeak.check", lambda self: None)
    path = tmp_path / "config.yaml"
    path.write_text(config)
    bot = pipeline_factory(load_config(path))()
    assert isinstance(bot.backend, Cascade | Realtime)


def test_the_python_of_the_recipe_makes_a_bot() -> None:
    _, code = blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    host = names["Host"]
    assert isinstance(host, type)
    backend = host().backend
    assert isinstance(backend, Cascade)
    assert backend.filler == "One moment."


def test_each_message_of_the_troubleshooting_table_is_one_that_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    table = README.partition("## When it does not work")[2].partition("\n## ")[0]
    promised = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(promised) >= 8
    given: list[str] = []

    async def gives(request: Awaitable[Any]) -> None:
        with pytest.raises(BackendError) as caught:
            await request
        given.append(str(caught.value))

    async def scenario(server: Emulator) -> None:
        for status in (401, 429, 404):
            server.chats.append(Answer(["No."], status))
            await gives(ask(server))
        server.chats.append(Answer(["<html>"], kind="text/html"))
        await gives(ask(server))
        server.chats.append(Answer([9.0]))
        await gives(ask(server, timeout=0.2))
        server.speeches.append(Answer(["ID3"], kind="audio/mpeg"))
        await gives(speak(server))
        await server.stop()
        await gives(_of_nobody())

    run(scenario)
    with pytest.raises(ConfigError) as caught:
        Chat(model="m").check()
    given.append(str(caught.value))
    assert [text for text in promised if not any(text in message for message in given)] == []


async def _of_nobody() -> None:
    async with Chat(base_url="http://127.0.0.1:9/v1", model="m").connect() as chat:
        [piece async for piece in chat.reply(HELLO, ())]

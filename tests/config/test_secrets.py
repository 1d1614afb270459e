"""What a variable holds is in no message."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishjam_agents.config import load_config
from fishjam_agents.config.document import read_document
from fishjam_agents.config.factory import pipeline_factory
from fishjam_agents.config.problems import Problems
from fishjam_agents.errors import ConfigError

SECRET = "sk-sesame-4711"

LEAKS = (
    "agent: {pipeline: 'bot${SECRET}'}",
    "agent: {pipeline: '${SECRET}'}",
    "agent: {pipeline: '${SECRET}:Bot'}",
    "agent: {pipeline: 'm_${NAME}:Bot'}",
    "agent: {backend: {type: parrot}, tools: ['${SECRET}']}",
    "agent: {backend: {type: parrot}, tools: ['${NAME}:f']}",
    "agent: {backend: {type: '${SECRET}'}}",
    "agent: {backend: {type: parrot, delay: '${SECRET}'}}",
    "agent: {backend: {type: parrot}, greeting: {wav: '${SECRET}.wav'}}",
    "agent: {backend: {type: wav, file: '${SECRET}.wav'}}",
    "agent: {backend: {type: parrot}, hearing: '${SECRET}'}",
    "agent: {backend: {type: parrot}, turns: {mode: '${SECRET}'}}",
    "agent: {backend: {type: parrot}, mcp: [{command: '${SECRET}', timeout: -1}]}",
    "agent: {backend: {type: parrot}, mcp: [{url: '${SECRET}'}]}",
    "agent: {backend: {type: parrot}, mcp: '${SECRET}'}",
    "agent: {backend: {type: parrot}}\nlog: {file: '${SECRET}/x/log.txt'}",
    "agent: {backend: {type: parrot}}\nlog: {level: '${SECRET}'}",
    "agent: {backend: {type: parrot}}\nobserve: {record: '${SECRET}', timeline: '${SECRET}'}\nx: 1",
    "agent: {backend: {type: parrot}}\nfishjam: {id: 'http://u:${SECRET}@127.0.0.1:1'}",
    "agent: {backend: {type: parrot}}\nfishjam: {id: '${SECRET} with blanks', management_token: x}",
    "agent: {backend: {type: parrot}}\nfishjam: {management_token: '${SECRET}\u00e9\n\n '}",
    "agent: {backend: {type: parrot}}\nfishjam: {host: '${SECRET}'}",
    "agent: {backend: {type: parrot}}\nrooms: every\njournal: {url: 'redis://u:${SECRET}@h'}",
    "agent: {backend: {type: parrot}}\nrooms: every\njournal: {type: redis, url: '${SECRET}'}",
    "agent: {backend: {type: parrot}}\nlimits: {max_call: '${SECRET}'}",
)


@pytest.mark.parametrize("text", LEAKS)
def test_no_sentence_says_what_a_variable_holds(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        pipeline_factory(load_config(tmp_path / "config.yaml", {"SECRET": SECRET, "NAME": "sesame_4711"}))()
    assert "sesame" not in str(raised.value)


def test_no_sentence_says_what_a_variable_of_an_overlay_holds(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("agent: {backend: {type: parrot}}")
    (tmp_path / "top.yaml").write_text("agent: {pipeline: '${SECRET}'}")
    environ = {"SECRET": SECRET}
    top = read_document(tmp_path / "top.yaml", environ, Problems("top.yaml"))
    with pytest.raises(ConfigError, match="not 'SECRET'".replace("SECRET", r"\$\{SECRET\}")) as raised:
        load_config(tmp_path / "config.yaml", environ, over=top)
    assert SECRET not in str(raised.value)


def test_defaults_are_no_secrets(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("agent: {pipeline: '${NOBODY:-no pipeline}'}")
    with pytest.raises(ConfigError, match="not 'no pipeline'"):
        load_config(tmp_path / "config.yaml", {})

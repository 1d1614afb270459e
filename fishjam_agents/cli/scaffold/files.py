"""The files of a new bot, from templates."""

from __future__ import annotations

import json
import re
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as resources
from io import BytesIO
from types import MappingProxyType

from fishjam_agents import install
from fishjam_agents.cli.scaffold.project import Project
from fishjam_agents.config import config_schema


@dataclass(frozen=True, slots=True)
class _Kind:
    """A backend that a bot may begin with.

    Attributes:
        settings: Lines of config.yaml, below `agent`.
        integration: The folder of `integrations/` that brings it, "" for none.
        key: Variable of the environment that holds its key, "" where it needs none.
        note: What else has to be there.
    """

    settings: str
    integration: str = ""
    key: str = ""
    note: str = ""


BACKENDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "parrot": _Kind(
            "  # It says again what it hears: no model, no key. A model calls the tools, the parrot none.\n"
            "  backend: {type: parrot, ignore_tools: true}"
        ),
        "gemini": _Kind("  backend: {type: gemini, voice: Puck}", "gemini", "GEMINI_API_KEY"),
        "openai_realtime": _Kind(
            "  backend: {type: openai_realtime, voice: marin}", "openai", "OPENAI_API_KEY"
        ),
        "cascade": _Kind(
            "  backend:\n"
            "    type: cascade\n"
            "    stt: {type: openai, model: gpt-transcribe}\n"
            "    llm: {type: openai, model: gpt-5-mini}\n"
            "    tts: {type: espeak, voice: en-gb}",
            "openai",
            "OPENAI_API_KEY",
            "The voice is that of espeak-ng: `apt install espeak-ng`, or name another one in config.yaml.",
        ),
    }
)
"""By the `type` in config.yaml."""

_WORD = re.compile("@@([A-Z]+)@@")
_ONE_ROOM = """room:
  create: true         # a room of its own, deleted at the end; or {id: ...}
"""
_MANY_ROOMS = """rooms: every           # each room gets a bot while somebody is in it
workers:
  max_calls: 20        # at once, in this process
api:
  port: 8081           # GET /readyz, POST /calls: this machine only, unless it has a token
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """Request for a new bot.

    Attributes:
        name: Of the bot, and of its folder.
        backend: A key of `BACKENDS`.
        tools: Names of functions that the model may call.
        many_rooms: Whether it serves all rooms, and not one.
        project: The project it becomes part of; None for one of its own.
    """

    name: str
    backend: str = "parrot"
    tools: tuple[str, ...] = ()
    many_rooms: bool = False
    project: Project | None = None

    @property
    def requirements(self) -> list[str]:
        """Its dependencies (PEP 508)."""
        integration = BACKENDS[self.backend].integration
        needed = [install.requirement("webrtc")]
        return [*needed, install.requirement(integration=integration)] if integration else needed


def files(plan: Plan) -> dict[str, bytes]:
    """The files, by their names. A project that was there has its own pyproject.toml."""
    kind = BACKENDS[plan.backend]
    checkout = install.checkout()
    words = {
        "NAME": plan.name,
        "BACKEND": kind.settings,
        "ROOMS": _MANY_ROOMS if plan.many_rooms else _ONE_ROOM,
        "RUN": plan.project.prefix if plan.project else "",
        "IMPORTS": ", tool" if plan.tools else "",
        "TOOLS": "".join(_form("tool.txt", {"TOOL": name}) for name in plan.tools).rstrip("\n"),
        "PYTEST": "import pytest\n" if plan.tools else "",
        "BACKENDS": "from fishjam_agents.backends import Parrot" + (", port" if plan.tools else ""),
        "KIT": "Scripted, Step, " if plan.tools else "",
        "TESTS": _tool_tests(plan.tools),
        "REQUIREMENTS": "\n".join(f"    {json.dumps(one)}," for one in plan.requirements),
        "CHECKOUT": "CHECKOUT" if checkout is None else str(checkout),
        # An image is healthy while its API answers, and one bot in one room has none.
        "HEALTH": "" if plan.many_rooms else "HEALTHCHECK NONE\n",
    }
    named = ["bot.py", "config.yaml", "scenario.yaml", "test_bot.py", "README.md", "Dockerfile"]
    if plan.project is None:
        named.append("pyproject.toml")
    made = {}
    for name in named:
        key = f", and {kind.key}" if name == "Dockerfile" and kind.key else ""
        if name == "README.md":
            key = before_it_runs(plan)
            key = f"{key}\n\n" if key else ""
        text = _form(f"{name}.txt", {**words, "KEY": key})
        made[name] = f"{text.rstrip()}\n".encode()
    schema = json.dumps(config_schema(), ensure_ascii=False)
    return {**made, "config.schema.json": f"{schema}\n".encode(), "caller.wav": _caller()}


def before_it_runs(plan: Plan) -> str:
    """Return a sentence on what its model needs before anybody can talk to it, "" for nothing."""
    kind = BACKENDS[plan.backend]
    if not kind.key:
        return ""
    note = f" {kind.note}" if kind.note else ""
    return (
        f"Before it runs, its model needs a key: export {kind.key}=... "
        f"(tests and the simulated call need none).{note}"
    )


def _tool_tests(tools: tuple[str, ...]) -> str:
    return _form("test_tools.txt", {"CALLS": ", ".join(map(json.dumps, tools))}) if tools else ""


def _form(name: str, words: Mapping[str, str]) -> str:
    text = resources(__package__).joinpath("templates", name).read_text(encoding="utf-8")
    return _WORD.sub(lambda word: words[word[1]], text)


def _caller() -> bytes:
    """Somebody who speaks for three seconds: to voice detection it is speech, and the same every time."""
    from fishjam_agents.testing import speech

    written = BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(speech(3.0).tobytes())
    return written.getvalue()

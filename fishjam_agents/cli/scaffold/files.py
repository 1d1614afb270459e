"""The files of a new bot, from templates."""

from __future__ import annotations

import json
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType

from fishjam_agents import install
from fishjam_agents.cli.scaffold import offline
from fishjam_agents.cli.scaffold.forms import fill, form
from fishjam_agents.cli.scaffold.project import Project
from fishjam_agents.config import config_schema


@dataclass(frozen=True, slots=True)
class _Kind:
    """A backend that a bot may begin with.

    Attributes:
        settings: Lines of config.yaml, below `agent`; "" where it has an `agent` section of its own.
        integration: The folder of `integrations/` that brings it, "" for none.
        extras: Extras of that.
        packages: What else it needs (PEP 508).
        key: Variable of the environment that holds its key, "" where it needs none.
        note: What else has to be there.
    """

    settings: str
    integration: str = ""
    extras: str = ""
    packages: tuple[str, ...] = ()
    key: str = ""
    note: str = ""


OFFLINE = "offline"
BACKENDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "parrot": _Kind(
            "  # It says again what it hears: no model, no key. A model calls the tools, the parrot none.\n"
            "  backend: {type: parrot, ignore_tools: true}"
        ),
        "gemini": _Kind("  backend: {type: gemini, voice: Puck}", integration="gemini", key="GEMINI_API_KEY"),
        "openai_realtime": _Kind(
            "  backend: {type: openai_realtime, voice: marin}", integration="openai", key="OPENAI_API_KEY"
        ),
        "cascade": _Kind(
            "  backend:\n"
            "    type: cascade\n"
            "    stt: {type: openai, model: gpt-transcribe}\n"
            "    llm: {type: openai, model: gpt-5-mini}\n"
            "    tts: {type: espeak, voice: en-gb}",
            integration="openai",
            key="OPENAI_API_KEY",
            note="The voice is that of espeak-ng: `apt install espeak-ng`, or name another one in "
            "config.yaml.",
        ),
        OFFLINE: _Kind(
            "",
            integration="local",
            extras=offline.ENGINES,
            packages=offline.MODELS,
            note="Callers of its scenarios speak with espeak-ng (`apt install espeak-ng`); without it they "
            "are skipped.",
        ),
    }
)
"""By the `type` in config.yaml; `offline` is a cascade whose parts run on this machine."""

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
        uv: Whether uv runs the commands of one of its own, and installs what that needs.
    """

    name: str
    backend: str = "parrot"
    tools: tuple[str, ...] = ()
    many_rooms: bool = False
    project: Project | None = None
    uv: bool = False

    @property
    def prefix(self) -> str:
        """Words before a command that runs in its environment."""
        if self.project is not None:
            return self.project.prefix
        return "uv run " if self.uv else ""

    @property
    def scenarios(self) -> str:
        """Arguments of `simulate` after config.yaml: calls to try it with."""
        return "scenarios" if self.backend == OFFLINE else "scenario.yaml --fast"

    @property
    def requirements(self) -> list[str]:
        """Its dependencies (PEP 508)."""
        kind = BACKENDS[self.backend]
        needed = [install.requirement("webrtc")]
        if kind.integration:
            needed.append(install.requirement(kind.extras, kind.integration))
        return [*needed, *kind.packages]


def files(plan: Plan) -> dict[str, bytes]:
    """The files, by their names. A project that was there has its own pyproject.toml."""
    kind = BACKENDS[plan.backend]
    before = before_it_runs(plan)
    words = {
        "NAME": plan.name,
        "AGENT": fill(form("agent.txt"), {"BACKEND": kind.settings}).rstrip(),
        "ROOMS": _MANY_ROOMS if plan.many_rooms else _ONE_ROOM,
        "RUN": plan.prefix,
        "REQUIREMENTS": "\n".join(f"    {json.dumps(one)}," for one in plan.requirements),
        "BEFORE": f"{before}\n\n" if before else "",
    }
    texts = _receptionist(plan, words) if plan.backend == OFFLINE else _bot(plan, words)
    if plan.project is None:
        texts["pyproject.toml"] = fill(form("pyproject.toml.txt"), words)
    made = {name: f"{text.rstrip()}\n".encode() for name, text in texts.items()}
    schema = json.dumps(config_schema(), ensure_ascii=False)
    made["config.schema.json"] = f"{schema}\n".encode()
    return made if plan.backend == OFFLINE else {**made, "caller.wav": _caller()}


def before_it_runs(plan: Plan) -> str:
    """Return a sentence on what it needs before anybody can talk to it, "" for nothing."""
    kind = BACKENDS[plan.backend]
    key = (
        f"Before it runs, its model needs a key: export {kind.key}=... "
        "(tests and the simulated call need none)."
    )
    return " ".join(part for part in (key if kind.key else "", kind.note) if part)


def _bot(plan: Plan, words: Mapping[str, str]) -> dict[str, str]:
    """The files of a bot that is still to be written."""
    tools, key = plan.tools, BACKENDS[plan.backend].key
    checkout = install.checkout()
    words = {
        **words,
        "IMPORTS": ", tool" if tools else "",
        "TOOLS": _methods(tools).rstrip("\n"),
        "PYTEST": "import pytest\n" if tools else "",
        "BACKENDS": "from fishjam_agents.backends import Parrot" + (", port" if tools else ""),
        "KIT": "Scripted, Step, " if tools else "",
        "TESTS": _tool_tests(tools, "Bot"),
        "CHECKOUT": "CHECKOUT" if checkout is None else str(checkout),
        "KEY": f", and {key}" if key else "",
        # An image is healthy while its API answers, and one bot in one room has none.
        "HEALTH": "" if plan.many_rooms else "HEALTHCHECK NONE\n",
    }
    named = ("bot.py", "config.yaml", "scenario.yaml", "test_bot.py", "README.md", "Dockerfile")
    return {name: fill(form(f"{name}.txt"), words) for name in named}


def _receptionist(plan: Plan, words: Mapping[str, str]) -> dict[str, str]:
    """The files of the bot of examples/offline_assistant."""
    texts = offline.files(plan.tools, _methods(plan.tools))
    texts["config.yaml"] = fill(form("config.yaml.txt"), {**words, "AGENT": offline.agent_section()})
    texts["README.md"] = fill(form("offline/README.md.txt"), words)
    if plan.tools:
        texts["test_tools.py"] = form("offline/test_tools.py.txt") + _tool_tests(plan.tools, "Receptionist")
    return texts


def _methods(tools: Sequence[str]) -> str:
    return "".join(fill(form("tool.txt"), {"TOOL": name}) for name in tools)


def _tool_tests(tools: Sequence[str], bot: str) -> str:
    names = ", ".join(map(json.dumps, tools))
    return fill(form("test_tools.txt"), {"CALLS": names, "BOT": bot}) if tools else ""


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

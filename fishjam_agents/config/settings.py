"""Contents of a file, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fishjam_agents.backends.port import Backend
from fishjam_agents.config.problems import SourceLocation
from fishjam_agents.errors import SettingError
from fishjam_agents.journal.settings import JournalSettings
from fishjam_agents.observe.settings import LogSettings, ObserveSettings
from fishjam_agents.pipeline.agent import SECTIONS
from fishjam_agents.secrecy import password_in
from fishjam_agents.tools.mcp_server import McpServer
from fishjam_agents.worker.ray_settings import RaySettings
from fishjam_agents.worker.room_rules import RoomRule
from fishjam_agents.worker.settings import (
    ApiSettings,
    FishjamSettings,
    LimitSettings,
    RoomSettings,
    WorkersSettings,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    SettingsT = TypeVar("SettingsT", bound=DataclassInstance)
else:
    SettingsT = TypeVar("SettingsT")


@dataclass(frozen=True, slots=True)
class PartialSettings(Generic[SettingsT]):
    """Settings of which a file gives some; the others stay what the pipeline's class says.

    Attributes:
        settings: What the file gives, over the defaults.
        keys: The keys it gives.
    """

    settings: SettingsT
    keys: frozenset[str]

    def over(self, base: SettingsT) -> SettingsT:
        """`base` with what the file gives.

        Raises:
            ValueError: The two do not go together.
        """
        changes: dict[str, Any] = {key: getattr(self.settings, key) for key in self.keys}
        return dataclasses.replace(base, **changes)


@dataclass(frozen=True, slots=True)
class GreetingSettings:
    """Words that the bot says first, to the first peer who joins.

    Attributes:
        wav: A 16-bit WAV of any rate, mono or stereo.
        text: The words, for a backend that speaks given ones.
        instructions: What the model is to say in its own words: `Greet the caller and ask for the order`.
    """

    wav: Path | None = None
    text: str | None = None
    instructions: str | None = None

    def __post_init__(self) -> None:
        given = [self.wav is not None, bool(self.text), bool(self.instructions)]
        if sum(given) != 1:
            fields = ["wav", "text", "instructions"]
            raise SettingError(None, "it needs wav, text or instructions", "give one of them", fields=fields)


@dataclass(frozen=True, slots=True)
class OwnWordsSettings:
    """Words that the bot says by itself: when its backend has failed, when the program ends.

    Attributes:
        wav: A 16-bit WAV of any rate, mono or stereo.
        text: The words, for a backend that speaks given ones.
    """

    wav: Path | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if (self.wav is None) == (not self.text):
            raise SettingError(None, "it needs wav or text", "give one of them", fields=["wav", "text"])


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The bot. None is what the file does not say.

    Attributes:
        pipeline: `module:Class` of an `AgentPipeline`.
        backend: The model, in place of the class's own.
        sections: Settings that the file gives, by their key (`pipeline.agent.SECTIONS`).
        greeting: What it says first.
        apology: What it says last when its backend has failed for good.
        farewell: What it says last when the program ends and its call has not.
        instructions: The system prompt.
        instructions_file: A text file that holds it, in place of `instructions`.
        tools: What the model may call, beside the class's own: `module:function`, or a tool of ours.
        mcp: MCP servers whose tools it may call.
        handoffs: Bots that it may hand a call over to, by their names: `pipeline`, `backend`, `instructions`,
            `instructions_file`, `tools` and `mcp` of each. One without a backend keeps the one there is.
    """

    pipeline: str | None = None
    backend: Backend | None = None
    sections: Mapping[str, PartialSettings[Any]] = field(default_factory=dict)
    greeting: GreetingSettings | None = None
    apology: OwnWordsSettings | None = None
    farewell: OwnWordsSettings | None = None
    instructions: str | None = None
    instructions_file: Path | None = None
    tools: tuple[str, ...] = ()
    mcp: tuple[McpServer, ...] = ()
    handoffs: Mapping[str, AgentSettings] = field(default_factory=dict)

    def __iter__(self) -> Iterator[AgentSettings]:
        """Give the bot itself and those that it may hand a call over to."""
        yield self
        yield from self.handoffs.values()


AGENT_KEYS = (
    *(item.name for item in dataclasses.fields(AgentSettings) if item.name != "sections"),
    *SECTIONS,
)
"""Keys of `agent`."""


@dataclass(frozen=True, slots=True)
class Config:
    """A whole config.yaml, checked.

    Attributes:
        source: The file as it was named.
        fishjam: The media server.
        room: The room.
        agent: The bot.
        limits: What bounds the bill.
        log: What is logged and where to.
        observe: What is kept of calls.
        bots: Kinds of bots by their names; empty where the file has one, `agent`.
        rooms: Which rooms get which bot; empty where the file is about one room.
        workers: The program that serves many rooms.
        api: Its HTTP interface, None where it has none.
        journal: Where calls are written down, so that they go on in another process; None nowhere.
        ray: The replicas of a service on Ray; None where the file says nothing of them.
        agent_key: The key that `agent` was read from: `bots.NAME` of one of several bots.
        lines: Where each key the file gives stands, by its path (`agent.turns.mode`).
        hidden: What its variables hold, with how they are written: never to stand in a message.
    """

    source: Path
    fishjam: FishjamSettings
    room: RoomSettings
    agent: AgentSettings
    limits: LimitSettings
    log: LogSettings
    observe: ObserveSettings
    bots: Mapping[str, AgentSettings] = field(default_factory=dict)
    rooms: tuple[RoomRule, ...] = ()
    workers: WorkersSettings = WorkersSettings()  # noqa: RUF009 - frozen
    api: ApiSettings | None = None
    journal: JournalSettings | None = None
    ray: RaySettings | None = None
    agent_key: str = "agent"
    lines: Mapping[str, SourceLocation] = field(default_factory=dict, repr=False)
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def secrets(self) -> Mapping[str, str]:
        """Values that never stand in a log, and the words in their place."""
        tokens = {
            "fishjam.management_token": self.fishjam.management_token,
            "api.token": None if self.api is None else self.api.token,
            "api.webhook_secret": None if self.api is None else self.api.webhook_secret,
            "journal.key": None if self.journal is None else self.journal.key,
            "workers.claims": None if self.workers.claims is None else password_in(self.workers.claims.url),
            "journal.url": None if self.journal is None else password_in(self.journal.url),
        }
        return {token: f"<{name}>" for name, token in tokens.items() if token} | dict(self.hidden)

    @property
    def is_multi_room(self) -> bool:
        """True if the file is about many rooms, or about calls that come by the API."""
        return bool(self.rooms) or self.api is not None

    def bot(self, name: str) -> Config:
        """The file as if this was its only bot.

        Args:
            name: A key of `bots`; `agent` of a file that has one bot.

        Raises:
            KeyError: The file has no such bot.
        """
        if not self.bots and name == "agent":
            return self
        return dataclasses.replace(self, agent=self.bots[name], bots={}, agent_key=f"bots.{name}")

    def bot_names(self) -> tuple[str, ...]:
        """Return the names of the bots, of which a file without `bots` has one: `agent`."""
        return tuple(self.bots) or ("agent",)

    def key(self, name: str) -> str:
        """The path of a key of the bot: `agent.tools`, or `bots.NAME.tools`."""
        return f"{self.agent_key}.{name}"

    def where(self, key: str) -> str:
        """`config.yaml:7`, where the file gives a key; the file alone where it does not."""
        line = self.lines.get(key)
        return str(self.source if line is None else line)

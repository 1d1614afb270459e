"""An MCP server whose tools are offered, as settings."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from fishjam_agents.errors import ConfigError, MissingExtraError, SettingError
from fishjam_agents.loopback import is_loopback_url
from fishjam_agents.tools.tool import MAX_RESULT, TIMEOUT
from fishjam_agents.units import Characters, Seconds
from fishjam_agents.urls import has_host


@dataclass(frozen=True, slots=True)
class McpServer:
    """A server of the Model Context Protocol: a program that is started for each call, or a URL.

    Attributes:
        command: The program, spoken to over its standard input and output. `python` is the bot's own.
        args: Its arguments.
        env: Environment variables for it, beside the few that are harmless.
        cwd: Its working directory.
        url: Of a server that is there already (streamable HTTP).
        headers: Sent with every request to the URL.
        name: What messages call it; by default the program's or the host's.
        only: The tools that are offered; None offers all.
        prefix: Put before the name of each tool, to tell servers apart.
        connect_timeout: Seconds until it must have told its tools; without them the call begins then.
        timeout: Seconds a tool may take.
        max_result: Characters beyond which an answer is cut.
        blocking: Whether the model waits for answers.
        cancellable: Whether a tool is cancelled when its answer is no longer wanted, and not run to its end.
    """

    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path | None = None
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str | None = None
    only: tuple[str, ...] | None = None
    prefix: str = ""
    connect_timeout: Seconds = 10.0
    timeout: Seconds = TIMEOUT
    max_result: Characters = MAX_RESULT
    blocking: bool = True
    cancellable: bool = False

    def __post_init__(self) -> None:
        if (self.command is None) == (self.url is None):
            raise SettingError(
                None,
                "an MCP server needs either command or url",
                "give one of them",
                fields=["command", "url"],
            )
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise SettingError("url", "must begin with http:// or https://")
        if self.url is not None and not has_host(self.url):
            raise SettingError(
                "url", "names no host, or a wrong port", "write it like http://127.0.0.1:8000/mcp"
            )
        if self.url is None and self.headers:
            raise SettingError("headers", "are for a url", "give env to a command")
        if not 0 < self.connect_timeout <= 60 or not 0 < self.timeout <= 3600:
            raise SettingError(
                "connect_timeout",
                "must be above 0 and at most 60 s, timeout at most 3600 s",
                fields=["timeout"],
            )

    @property
    def label(self) -> str:
        """Name in messages; holds no secret."""
        if self.name is not None:
            return self.name
        if self.url is not None:
            return urlsplit(self.url).hostname or "at its URL"
        scripts = [Path(word).name for word in self.args if word.endswith(".py")]
        return scripts[0] if scripts else Path(self.command or "").name

    @property
    def program(self) -> str:
        """The program as it is started."""
        return sys.executable if self.command == "python" else self.command or ""

    @property
    def is_local(self) -> bool:
        """True if its URL is of this machine."""
        return is_loopback_url(self.url or "")

    def check(self) -> None:
        """Verify what can be known without starting it.

        Raises:
            MissingExtraError: The package for it is not installed.
            ConfigError: There is no such program or folder.
        """
        if find_spec("mcp") is None:
            raise MissingExtraError("the tools of MCP servers", "mcp")
        if self.command is not None and shutil.which(self.program) is None:
            raise ConfigError(
                f"MCP server {self.label}: there is no program {self.command}: install it or give its path"
            )
        if self.cwd is not None and not self.cwd.is_dir():
            raise ConfigError(f"MCP server {self.label}: there is no folder {self.cwd}: correct cwd")

    def hide(self, text: str) -> str:
        """A message of a library without what must not be shown."""
        secrets = [self.url, *self.env.values(), *self.headers.values()]
        for secret in secrets:
            if secret and len(secret) > 3:
                text = text.replace(secret, "...")
        return text

"""A configuration that is read again while the program runs, for the calls to come."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from types import ModuleType

from fishjam_agents.backends.key_file import key_files
from fishjam_agents.config import Config, load_config
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.secrecy import learn

logger = logging.getLogger(__name__)

WATCH_INTERVAL = 1.0
"""Seconds between two looks at the files."""

_FIXED = ("fishjam", "workers", "api", "journal", "ray", "limits", "log")
"""Sections that count for the whole life of the program."""


class Reloader:
    """Watches a configuration and the modules it names, and reads it again when one changed.

    What cannot be used is reported, and everything stays as it was.

    Args:
        settings: The configuration, as it was read.
        load: Makes something of a configuration, in a thread; it may raise whatever user code raises.
        apply: Takes the configuration and what was made of it, on the loop.
    """

    def __init__(
        self,
        settings: Config,
        load: Callable[[Config], object],
        apply: Callable[[Config, object], None],
    ) -> None:
        self._settings = settings
        self._load = load
        self._apply = apply
        self._wanted = asyncio.Event()

    def reload(self) -> None:
        """Read it again now, also if nothing changed."""
        self._wanted.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        read = last = self._state()
        while True:
            try:
                async with asyncio.timeout(WATCH_INTERVAL):
                    await self._wanted.wait()
            except TimeoutError:
                # What is being written is read when it is whole: when it was the same twice.
                before, last = last, await asyncio.to_thread(self._state)
                if last == read or last != before:
                    continue
            self._wanted.clear()
            await self._read()
            read = last = await asyncio.to_thread(self._state)

    async def _read(self) -> None:
        source = self._settings.source
        try:
            settings, made = await asyncio.to_thread(self._make)
        except FishjamAgentsError as error:
            logger.error("%s is not taken, the program goes on with what it has:\n%s", source, error)
            return
        except Exception as error:
            logger.exception("%s is not taken, the program goes on with what it has: %r", source, error)
            return
        changed = [name for name in _FIXED if getattr(settings, name) != getattr(self._settings, name)]
        if changed:
            logger.warning("%s changed in %s: restart the program for that", ", ".join(changed), source)
        self._settings = settings
        for secret, shown in settings.secrets.items():
            learn(secret, shown)
        self._apply(settings, made)
        logger.info("%s was read again: new calls go by it", source)

    def _make(self) -> tuple[Config, object]:
        forgotten = _own_modules(self._settings)
        for name in forgotten:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        try:
            settings = load_config(self._settings.source)
            return settings, self._load(settings)
        except BaseException:
            sys.modules.update(forgotten)
            raise

    def _state(self) -> Mapping[str, tuple[int, int]]:
        files = [self._settings.source, *_key_files(self._settings), *_instructions(self._settings)]
        files += [
            Path(module.__file__) for module in _own_modules(self._settings).values() if module.__file__
        ]
        return {str(path): _stamp(path) for path in files}


def _own_modules(settings: Config) -> dict[str, ModuleType]:
    """Modules of the user's that lie beside the configuration, or below it."""
    folder = Path(settings.source).resolve().parent
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None or name == "__main__" or name.partition(".")[0].startswith("fishjam_agents"):
            continue
        path = Path(file)
        if path.is_relative_to(folder) and not {"site-packages", "dist-packages"} & set(path.parts):
            found[name] = module
    return found


def _key_files(settings: Config) -> Iterator[Path]:
    for agent in (*settings.agent, *chain.from_iterable(settings.bots.values())):
        if agent.backend is not None:
            yield from key_files(agent.backend)


def _instructions(settings: Config) -> Iterator[Path]:
    for agent in (*settings.agent, *chain.from_iterable(settings.bots.values())):
        if agent.instructions_file is not None:
            yield agent.instructions_file


def _stamp(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return (0, 0)
    return state.st_mtime_ns, state.st_size

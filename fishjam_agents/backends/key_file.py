"""Keys of vendors in files of their own, which may change while calls go on: Kubernetes mounts secrets so."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from fishjam_agents.backends.port import Registered
from fishjam_agents.errors import ConfigError
from fishjam_agents.secrecy import learn

SETTING = "api_key_file"
_ALONE = "write the key into it, and nothing else"
_MOST_BYTES = 16 * 1024
"""Longer files are no keys."""

_last: dict[Path, tuple[tuple[int, int, int], str]] = {}
"""Stamp and key of each file as it was read last."""


def read_key(path: Path) -> str | None:
    """The key in a file, as it is now; None if there is none.

    A file that is away for a moment, empty while it is written, or holds more than a key, has the one that
    it had. What was read stands in no log from then on (`secrecy.learn`).
    """
    known = _last.get(path)
    try:
        state = path.stat()
        stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
        if known is not None and known[0] == stamp:
            return known[1]
        with path.open("rb") as file:
            key = file.read(_MOST_BYTES + 1).decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        return None if known is None else known[1]
    if len(key.split()) != 1 or len(key) > _MOST_BYTES:
        return None if known is None else known[1]
    learn(key, f"<{path.name}>")
    _last[path] = (stamp, key)
    return key


def check_key_file(api_key: str | None, path: Path | None) -> None:
    """See that the file of a key can be used, and that there is no other key.

    Raises:
        ConfigError: It cannot, or there is.
    """
    if path is None:
        return
    if api_key is not None:
        raise ConfigError("api_key and api_key_file are two keys: keep one of them")
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"api_key_file {path} cannot be read ({error.strerror}): check it") from error
    if len(content) > _MOST_BYTES:
        # It may end within a character.
        raise ConfigError(f"api_key_file {path} holds more than a key: {_ALONE}")
    try:
        lines = content.decode("utf-8-sig").split()
    except UnicodeDecodeError as error:
        raise ConfigError(f"api_key_file {path} is not text: {_ALONE}") from error
    if len(lines) != 1:
        what = "is empty" if not lines else "holds more than a key"
        raise ConfigError(f"api_key_file {path} {what}: {_ALONE}")


def parts_of(part: Registered) -> Iterator[Registered]:
    """A backend, or a part of one, and all that it is made of."""
    yield part
    # Implementations are frozen dataclasses.
    settings: Mapping[str, object] = (
        {item.name: getattr(part, item.name) for item in dataclasses.fields(part)}
        if dataclasses.is_dataclass(part)
        else MappingProxyType({})
    )
    for value in settings.values():
        for entry in value if isinstance(value, Sequence) else (value,):
            if isinstance(entry, Registered):
                yield from parts_of(entry)


def key_files(backend: Registered) -> Iterator[Path]:
    """The files that a backend reads keys from."""
    for part in parts_of(backend):
        path = getattr(part, SETTING, None)
        if isinstance(path, Path):
            yield path

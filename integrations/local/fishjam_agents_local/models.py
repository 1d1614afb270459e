"""Weights on disk: files of the user's own, or those that an installed package carries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from fishjam_agents.errors import ConfigError
from fishjam_agents.install import command

PAGE = "docs/local.md"


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A package that carries weights. It is found and never imported: only its files are used.

    Attributes:
        distribution: Its name for installers.
        module: The name of its folder.
        within: The file or folder in it, "" for the folder itself.
        megabytes: Size of what an installer downloads.
        licence: Licence of the weights, with what is not certain of it.
        no_deps: Whether what it depends on is not wanted.
        title: The name of the model, where that of the file does not tell it.
    """

    distribution: str
    module: str
    within: str
    megabytes: int
    licence: str
    no_deps: bool = False
    title: str = ""

    @property
    def get_it(self) -> str:
        """The command that installs it, with its size and licence."""
        requirements = [*(["--no-deps"] if self.no_deps else []), self.distribution]
        return f"`{command(*requirements)}` ({self.megabytes} MB; {self.licence})"


@dataclass(frozen=True, slots=True)
class Model:
    """Weights that were found.

    Attributes:
        path: The file or folder.
        source: Where it comes from, with its licence where that is known.
        title: What it is called.
    """

    path: Path
    source: str
    title: str

    def __str__(self) -> str:
        return f"{self.title}, {size(self.path) / 1e6:.0f} MB, {self.source}"


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def find_model(
    path: Path | None, package: ModelPackage | None, *, setting: str, files: Sequence[str] = ()
) -> Model:
    """Find weights, without reading them.

    Args:
        path: A file or folder of the user's own; None for that of the package.
        package: Who carries such weights; None if no package is known to.
        setting: The setting that names the path, for messages: `whisper.model`.
        files: What has to be in a folder; empty where the weights are one file.

    Raises:
        ConfigError: There are none: the message names the command that gets them, its size and licence.
    """
    or_get = f"name one, or run {package.get_it}" if package is not None else f"name one ({PAGE})"
    if path is None:
        if package is None:
            raise ConfigError(f"no model is named: {or_get}", setting=setting)
        path = package_folder(package.module)
        if path is None:
            raise ConfigError(f"there is no model: {or_get}", setting=setting)
        path = path / package.within
        title = package.title or path.name
        source = f"{package.licence}, from {package.distribution}{_version(package.distribution)}"
    else:
        path = path.expanduser()
        title, source = path.name, "your own, under the licence it came with"
    with reading(path, setting):
        _verify(path, files, or_get, setting)
    return Model(path, source, title)


def _verify(path: Path, files: Sequence[str], or_get: str, setting: str) -> None:
    if not path.exists():
        raise ConfigError(f"there is no {path}: {or_get}", setting=setting)
    if not files and path.is_dir():
        raise ConfigError(f"{path} is a folder: name the file in it", setting=setting)
    if files and not path.is_dir():
        raise ConfigError(f"{path} is a file: name the folder with {' and '.join(files)}", setting=setting)
    lacking = [name for name in files if not (path / name).is_file()]
    if lacking:
        raise ConfigError(
            f"{path} has no {' and no '.join(lacking)}: it is no model of this kind; {or_get}",
            setting=setting,
        )


@contextmanager
def reading(path: Path, setting: str) -> Iterator[None]:
    """Have what the system says of a file told as an error of the setting that names it.

    Args:
        path: The file, or the folder that it is in.
        setting: The setting, for messages: `whisper.model`.

    Raises:
        ConfigError: Something cannot be read, or there is no memory for it.
    """
    try:
        yield
    except OSError as error:
        advice = (
            "let the user read it who runs the bot"
            if isinstance(error, PermissionError)
            else "name another one"
        )
        raise ConfigError(
            f"{error.filename or path} cannot be read ({error.strerror or error}): {advice}", setting=setting
        ) from error
    except MemoryError as error:
        raise ConfigError(
            f"{path} cannot be read, there is no memory left: give it more", setting=setting
        ) from error


def package_folder(module: str) -> Path | None:
    """The folder of an installed package, which is not imported; None if there is none."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    places = (spec and spec.submodule_search_locations) or ()
    return next((Path(place) for place in places), None)


def _version(distribution: str) -> str:
    try:
        return f" {version(distribution)}"
    except PackageNotFoundError:
        return ""


def require_engine(what: str, requirement: str) -> None:
    """Verify that the library a model runs with is installed, without importing it.

    Args:
        what: What needs it, as the file has it: "stt: {type: whisper}".
        requirement: The library, as an installer takes it: "ctranslate2>=4.8,<5".

    Raises:
        ConfigError: It is not: the message has the command.
    """
    name = re.split("[<>=!~]", requirement, maxsplit=1)[0]
    if find_spec(name.replace("-", "_")) is None:
        raise ConfigError(f"{what} needs {name}, which is not installed: run `{command(requirement)}`")

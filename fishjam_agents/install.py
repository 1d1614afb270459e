"""Commands that install more of this package, from where it was installed itself: they work as they stand."""

from __future__ import annotations

import re
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from json import loads
from pathlib import Path
from shutil import which
from urllib.parse import unquote, urlsplit

_NAME = "fishjam-agents"


def checkout() -> Path | None:
    """The folder that the package was installed from, None where it came from an index or as a file.

    Installers write it down (PEP 610).
    """
    try:
        written = distribution(_NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    address = urlsplit(loads(written)["url"] if written else "")
    folder = Path(unquote(address.path))
    return folder if address.scheme == "file" and folder.is_dir() else None


def requirement(extra: str = "", integration: str = "") -> str:
    """Return a dependency for a project (PEP 508): this package, or one of its integrations.

    Args:
        extra: An extra of what is wanted; several with commas between them.
        integration: A folder of `integrations/`, in place of the package itself.
    """
    name = f"{_NAME}-{integration}" if integration else _NAME
    name = f"{name}[{extra}]" if extra else name
    folder = checkout()
    if folder is None:
        return name
    return f"{name} @ {(folder / 'integrations' / integration if integration else folder).as_uri()}"


def is_installed(needed: str) -> bool:
    """Return whether the distribution of a dependency (PEP 508) is there, of whatever version.

    Args:
        needed: As `requirement` returns it.
    """
    name = re.match(r"[A-Za-z0-9._-]+", needed)
    assert name is not None
    try:
        distribution(name[0])
    except PackageNotFoundError:
        return False
    return True


def advice(*, extra: str = "", integration: str = "") -> str:
    """The command that adds an extra, or an integration, to what runs this; it works as it stands.

    In the environment of a checkout uv is told what to add to it; elsewhere it is installed from where this
    package came from.

    Args:
        extra: An extra of this package.
        integration: A folder of `integrations/`.
    """
    folder = checkout()
    if folder is not None and _is_own_environment(folder) and which("uv") is not None:
        where = [] if Path.cwd() == folder else ["--directory", str(folder)]
        what = ["--package", f"{_NAME}-{integration}"] if integration else ["--extra", extra]
        # What else is installed there stays.
        return shlex.join(["uv", "sync", "--inexact", *where, *what])
    return command(requirement(extra, integration))


def _is_own_environment(folder: Path) -> bool:
    """Return whether this runs in the environment that uv keeps in a checkout."""
    return Path(sys.prefix).resolve().is_relative_to(folder.resolve())


def command(*requirements: str) -> str:
    """The command that installs into the environment that runs this, for a shell."""
    has_pip = find_spec("pip") is not None
    installer = ["pip", "install"] if has_pip else ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*installer, *requirements])

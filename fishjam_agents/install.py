"""Commands that install more of this package, from where it was installed itself: they work as they stand."""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from json import loads
from pathlib import Path
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
        extra: An extra of this package.
        integration: A folder of `integrations/`, in place of the package itself.
    """
    name = f"{_NAME}-{integration}" if integration else f"{_NAME}[{extra}]" if extra else _NAME
    folder = checkout()
    if folder is None:
        return name
    return f"{name} @ {(folder / 'integrations' / integration if integration else folder).as_uri()}"


def command(*requirements: str) -> str:
    """The command that installs into the environment that runs this, for a shell."""
    has_pip = find_spec("pip") is not None
    installer = ["pip", "install"] if has_pip else ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*installer, *requirements])

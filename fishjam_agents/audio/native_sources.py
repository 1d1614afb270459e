"""The C sources of the compiled module, as its build and its import know them.

The build loads this file by itself, so that it imports nothing of the package.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).with_name("native")
"""Exists in a checkout and in an sdist; a wheel brings what was made of it."""


def digest(folder: Path = FOLDER) -> str:
    """Return what tells two versions of the sources apart, "" where there are none."""
    files = sorted(file for file in folder.glob("*.[ch]") if file.is_file())
    if not files:
        return ""
    found = sha256()
    for file in files:
        content = file.read_bytes()
        found.update(f"{file.name} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:16]

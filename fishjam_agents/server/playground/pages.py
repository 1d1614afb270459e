"""The files of the page, and the headers they are served with."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.responses import Response

HEADERS: Mapping[str, str] = {
    # No code and no style but our own files, no connection but to this server.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "media-src 'self' blob:; base-uri 'none'; form-action 'none'"
    ),
    "Cache-Control": "no-store",
    "Permissions-Policy": "microphone=(self), camera=(self), geolocation=(), payment=(), usb=()",
}
"""Headers of everything the playground serves, beside those of every answer (`server.access.HEADERS`)."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
"""Kinds of files that are served; a file of another kind in the folder is not."""


class Pages:
    """The files, read when first asked for: each is known by name, so that no path leads elsewhere."""

    def __init__(self) -> None:
        self._files = dict(_found(files(__package__) / "static", ""))
        self._read: dict[str, bytes] = {}

    def find(self, name: str) -> Response | None:
        """A file as a response; None where there is no such file."""
        file = self._files.get(name)
        if file is None:
            return None
        if name not in self._read:
            self._read[name] = file.read_bytes()
        kind = _TYPES[_suffix(name)]
        return Response(self._read[name], headers={**HEADERS, "Content-Type": kind})


def _found(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _found(entry, f"{prefix}{entry.name}/")
        elif _suffix(entry.name) in _TYPES:
            found.append((f"{prefix}{entry.name}", entry))
    return found


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]

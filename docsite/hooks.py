"""Hooks of MkDocs: pages made of code, pages from outside of docs/, and links that lead to either."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docsite.pages import GENERATED

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(?<=\]\()(?P<target>[^)#\s:]+)(?P<anchor>#[^)\s]*)?(?=\))")
_PLACES: dict[str, str] = {}
"""Places on the site of files of the repository, as pages link to them."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what does not lie in docs/."""
    _PLACES.clear()
    for file in files:
        _PLACES[f"docs/{file.src_uri}"] = file.src_uri
    for place, page in GENERATED.items():
        files.append(File.generated(config, place, content=page()))
    for path, place in _outside().items():
        _PLACES[path] = place
        files.append(File.generated(config, place, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links that leave docs/ lead to the page or the file on the site."""
    source = next((path for path, place in _PLACES.items() if place == page.file.src_uri), None)
    if source is None:
        return markdown

    def lead(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), match["target"]))
        place = _place(path, config, files)
        if place is None:
            return match[0]
        return posixpath.relpath(place, posixpath.dirname(page.file.src_uri) or ".") + (match["anchor"] or "")

    return _LINK.sub(lead, markdown)


def _outside() -> dict[str, str]:
    """Pages of the repository beside docs/, by where they stand on the site."""
    places = {"README.md": "readme.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changes.md"}
    places |= {"SECURITY.md": "security.md"}
    for folder in ("examples", "integrations"):
        for file in sorted((ROOT / folder).glob("*/README.md")):
            places[f"{folder}/{file.parent.name}/README.md"] = f"{folder}/{file.parent.name}.md"
        places[f"{folder}/README.md"] = f"{folder}/all.md"
    return places


def _place(path: str, config: MkDocsConfig, files: Files) -> str | None:
    """The place of a file on the site, which is copied there where nothing else brings it."""
    if path in _PLACES:
        return _PLACES[path]
    full = ROOT / path
    if full.is_dir():
        inner = f"{path}/README.md"
        return _PLACES.get(inner) or _place(_listing(path), config, files)
    if not full.is_file():
        return None
    # As text, so that a browser shows it and does not offer to keep it.
    place = f"files/{path}" if full.suffix in (".png", ".jpg", ".wav", ".html") else f"files/{path}.txt"
    if files.get_file_from_path(place) is None:
        added = File.generated(config, place, abs_src_path=os.fspath(full))
        files.append(added)
    _PLACES[path] = place
    return place


def _listing(path: str) -> str:
    """The first file of a folder that has no page: somewhere to look."""
    found = sorted(file for file in (ROOT / path).iterdir() if file.is_file())
    return f"{path}/{found[0].name}"


def on_config(config: MkDocsConfig, **_: Any) -> MkDocsConfig:
    """Search from disk with a script of our own: `offline` would load one from another place."""
    config.extra["polyfills"] = ["site/iframe-worker.js"]
    return config

"""What the tests of the playground page share: its files and its modules by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route

import fishjam_agents.server

STATIC = Path(fishjam_agents.server.__file__).parent / "playground" / "static"
NOWHERE = "http://127.0.0.1:9"
"""Where the files of `files_only` seem to come from: nothing listens there."""
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def answer_with_file(route: Route) -> None:
    """Answer a request of the browser with a file of the page."""
    name = route.request.url.removeprefix(f"{NOWHERE}/").removeprefix("playground/") or "index.html"
    file = STATIC / name
    if file.parent == STATIC and file.is_file():
        route.fulfill(body=file.read_bytes(), content_type=_TYPES[file.suffix])
    else:
        route.fulfill(status=404, body="")


@contextmanager
def modules(chromium: Browser) -> Iterator[Page]:
    """An empty page of the playground's origin that can import its modules, without any server."""
    context = chromium.new_context()
    try:
        context.route(f"{NOWHERE}/**", answer_with_file)
        context.route(f"{NOWHERE}/empty", lambda route: route.fulfill(body="<p>", content_type="text/html"))
        page = context.new_page()
        page.goto(f"{NOWHERE}/empty")
        yield page
    finally:
        context.close()


def run(page: Page, module: str, body: str, argument: Any = None) -> Any:
    """Run code with the names of a module (`m`) and an argument (`a`), and return what it returns."""
    code = f"async (a) => {{ const m = await import('/playground/{module}'); {body} }}"
    return page.evaluate(code, argument)

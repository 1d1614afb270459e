"""The examples of docs/sdk.md run, in order and in one namespace, against an embedded server.

Blocks marked `python` are examples; they find `fishjam_id` and `management_token`, and may use `await`.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents.server import EmbeddedServer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "sdk.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@contextmanager
def server_in_a_thread() -> Iterator[EmbeddedServer]:
    """A server beside the example, which may block its own thread."""
    started = threading.Event()
    servers: list[EmbeddedServer] = []
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        async with EmbeddedServer() as server:
            end = asyncio.Event()
            servers.append(server)
            ends.append((asyncio.get_running_loop(), end))
            started.set()
            await end.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(10)
    try:
        yield servers[0]
    finally:
        loop, end = ends[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(10)


def examples(page: Path) -> Iterator[tuple[int, str]]:
    """First line and code of every example."""
    text = page.read_text()
    for block in BLOCK.finditer(text):
        yield text.count("\n", 0, block.start(1)) + 1, block.group(1)


def run(code: str, line: int, namespace: dict[str, Any]) -> None:
    # Empty lines in front, so that a traceback names the line of the page.
    compiled = compile("\n" * (line - 1) + code, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(compiled, namespace)
    if inspect.iscoroutine(running):
        asyncio.run(asyncio.wait_for(running, 20))


def test_the_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    with server_in_a_thread() as server:
        namespace: dict[str, Any] = {
            "__name__": "example",
            "fishjam_id": server.url,
            "management_token": server.token,
        }
        blocks = list(examples(PAGE))
        assert len(blocks) > 8
        for line, code in blocks:
            run(code, line, namespace)
    assert "Traceback" not in capsys.readouterr().err


def test_links_to_files_and_headings_lead_somewhere() -> None:
    text = PAGE.read_text()
    headings = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif "://" not in target:
            assert (PAGE.parent / target.partition("#")[0]).exists(), target

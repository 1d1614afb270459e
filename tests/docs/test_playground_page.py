"""The page about the playground: its program runs, and what it lists is what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import yaml

from fishjam_agents.server.playground import Controls, socket
from fishjam_agents.server.playground.routes import PlaygroundApi

from .test_documents import blocks

PAGE = (Path(__file__).parents[2] / "docs" / "playground.md").read_text()


def test_the_program_of_the_page_shows_its_bot(tmp_path: Path) -> None:
    (program,) = blocks(PAGE, "python")
    (tmp_path / "program.py").write_text(f"{program}\n\nimport asyncio\nasyncio.run(main())\n")
    with subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url, _, token = process.stdout.readline().strip().partition("#call=")
            assert httpx.get(url).status_code == 200
            joined = httpx.post(f"{url}playground/join", headers={"authorization": f"Bearer {token}"})
            assert joined.json()["peer_token"]
        finally:
            process.kill()


def test_its_files_are_complete() -> None:
    for block in blocks(PAGE, "yaml"):
        assert {"fishjam", "agent"} <= yaml.safe_load(block).keys()


def test_it_lists_the_routes_and_controls_and_close_codes_there_are() -> None:
    # Which routes there are depends on none of them.
    routes = PlaygroundApi(None, None, None).public_routes()  # type: ignore[arg-type]
    for path in routes:
        assert path.replace("{file:path}", "FILE") + "`" in PAGE, path
    for control in Controls().as_json():
        assert f"| `{control}` |" in PAGE
    codes = {socket.REFUSED, socket.FULL, socket.SLOW, socket.GARBAGE, 1000}
    assert {int(code) for code in re.findall(r"^\| (\d{4}) \|", PAGE, re.MULTILINE)} == codes
    for bound in (socket.MAX_VIEWERS, socket.MAX_MESSAGES, socket.MAX_TEXT):
        assert str(bound) in PAGE

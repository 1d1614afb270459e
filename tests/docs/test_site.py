"""The documentation as a site: complete, without a link that leads nowhere, and readable from disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from fishjam_agents.cli.app import COMMANDS
from fishjam_agents.config.catalogue import settings_of
from fishjam_agents.config.settings import AgentSettings
from fishjam_agents.events import EVENTS
from fishjam_agents.pipeline.agent import SECTIONS
from fishjam_agents.pipeline.change_controls import ChangeControls
from fishjam_agents.pipeline.controls import CallControls
from fishjam_agents.pipeline.hooks import BotHooks
from fishjam_agents.pipeline.speech_controls import SpeechControls
from tests.config.test_schema import settings_classes

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    find_spec("material") is None, reason="needs the group docs: uv sync --group docs"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` makes it; a warning, or a link that leads nowhere, fails here."""
    folder = tmp_path_factory.mktemp("site")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def text(page: Path) -> str:
    return text_of(page.read_text())


def text_of(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html).strip()


@pytest.mark.timeout(320)
def test_every_settings_class_has_a_table_with_its_keys_on_the_page_of_config_yaml(site: Path) -> None:
    page = (site / "reference" / "configuration.html").read_text()
    tables = [
        {text_of(cell) for cell in re.findall(r"<tr>\s*<td[^>]*>(.*?)</td>", table, re.DOTALL)}
        for table in re.findall(r"<table>(.*?)</table>", page, re.DOTALL)
    ]
    inner = {"Config": {"source", "agent_key", "lines", "hidden"}, "AgentSettings": {"sections"}}
    for kind in settings_classes():
        keys = set(settings_of(kind)) - inner.get(kind.__name__, set())
        # The keys of `agent` stand beside its sections, in one table.
        own = keys | set(SECTIONS) if kind is AgentSettings else keys
        if own and own not in tables:
            nearest = max(tables, key=lambda table: len(table & own))
            raise AssertionError(
                f"{kind.__name__}: {sorted(own - nearest)} missing, {sorted(nearest - own)} not its own"
            )


@pytest.mark.timeout(320)
def test_hooks_actions_events_and_commands_are_all_in_the_reference(site: Path) -> None:
    hooks, actions = (text(site / "reference" / f"{name}.html") for name in ("hooks", "actions"))
    for name in vars(BotHooks):
        if not name.startswith("_"):
            assert f"{name}(" in hooks, name
    controls = (SpeechControls, ChangeControls, CallControls)
    for name, value in (item for kind in controls for item in vars(kind).items()):
        if callable(value) and not name.startswith("_"):
            assert f"{name}(" in actions, name
    events = (site / "reference" / "events.html").read_text()
    for kind in EVENTS:
        assert f'id="{kind}"' in events
    commands = (site / "reference" / "cli.html").read_text()
    for command in COMMANDS:
        assert f'id="{command}"' in commands


@pytest.mark.timeout(320)
def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loads = re.findall(
            r'<(?:script|img|iframe)[^>]+src="([^"]+)"|<link[^>]+href="([^"]+)"', page.read_text()
        )
        for found in loads:
            assert not re.match(r"(https?:)?//", "".join(found)), (page, found)


@pytest.mark.timeout(320)
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_reads_and_searches_the_site_from_disk(site: Path) -> None:
    from playwright.sync_api import sync_playwright

    from tests.browser.locks import locked

    with locked("chromium", slots=2), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        wrong: list[str] = []
        for scheme, width in (("light", 1280), ("dark", 390)):
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on(
                "request",
                lambda request: (
                    None if request.url.startswith(("file:", "data:")) else wrong.append(request.url)
                ),
            )
            for name in ("index.html", "reference/configuration.html", "turn-taking.html"):
                page.goto((site / name).as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto((site / "index.html").as_uri())
        search = page.locator(".md-search__input")
        search.click()
        deadline = time.monotonic() + 100
        while not page.locator(".md-search-result__item a").count() and time.monotonic() < deadline:
            # What is typed before the index is there is not searched for.
            search.fill("")
            search.press_sequentially("end_silence")
            page.wait_for_timeout(500)
        assert "end_silence" in page.locator(".md-search-result__list").inner_text()
        browser.close()
    assert not wrong

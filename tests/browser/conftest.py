"""A real Chromium for tests, with a microphone and a camera that are computed.

`browse` runs a coroutine with one on asyncio; `chromium` is one of playwright's blocking API. At most two run
at a time. Where Chromium or npm is missing tests skip with a reason; if `CI_REQUIRES_BROWSER=1`, they fail.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NoReturn, Protocol

import pytest
from playwright.async_api import Browser as AsyncBrowser
from playwright.sync_api import Browser, Error, sync_playwright

from tests.browser.bundle import BundleError, bundle
from tests.browser.chromium import chromium_path, flags_with, launched
from tests.browser.locks import locked
from tests.browser.site import serve

MICROPHONE = Path(__file__).parents[2] / "audio_fixtures" / "interrupter.wav"
"""What the microphone of the fixture `chromium` hears, once, from `getUserMedia` on."""

SILENCE = MICROPHONE.with_name("silence.wav")

_HERE = Path(__file__).parent
_AT_ONCE = 2
"""Chromiums that may run at the same time: each takes most of a core while a call goes on."""
_DEADLINE = 120.0
"""Seconds a scenario may take."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Waiting for a place for one more Chromium counts for no test's time."""
    for item in items:
        if _HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_DEADLINE + 15, func_only=True))


def missing_tool(what: str) -> NoReturn:
    """Skip the test for want of a tool; fail it where `CI_REQUIRES_BROWSER=1` promises that all are there."""
    if os.environ.get("CI_REQUIRES_BROWSER") == "1":
        pytest.fail(f"{what}, and CI_REQUIRES_BROWSER=1 promises that it is here", pytrace=False)
    pytest.skip(what)


def _require_chromium() -> str:
    path = chromium_path()
    if path is None:
        missing_tool("there is no Chromium here")
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium for a module of tests; make a context of your own in it.

    Not for the session: as long as this API of playwright is open, its thread has a running event loop, and
    the `asyncio.run` of any other test would fail.
    """
    path = _require_chromium()
    with locked("chromium", _AT_ONCE), sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=flags_with(MICROPHONE))
        except Error as error:
            missing_tool(f"Chromium does not start here: {error}")
        yield browser
        browser.close()


Scenario = Callable[[AsyncBrowser], Awaitable[None]]


class Browse(Protocol):
    """The fixture `browse`."""

    def __call__(
        self, scenario: Scenario, *, microphone: Path = SILENCE, flags: tuple[str, ...] = ()
    ) -> None: ...


@pytest.fixture
def browse() -> Iterator[Browse]:
    """Run a scenario with a Chromium of its own, as `tests.browser.chromium.launched` makes it."""

    def run(scenario: Scenario, *, microphone: Path = SILENCE, flags: tuple[str, ...] = ()) -> None:
        async def main() -> None:
            async with asyncio.timeout(_DEADLINE), launched(microphone=microphone, flags=flags) as browser:
                await scenario(browser)

        asyncio.run(main())

    _require_chromium()
    with locked("chromium", _AT_ONCE):
        yield run


@pytest.fixture(scope="session")
def pages() -> Iterator[str]:
    """Origin of the pages with the web clients (`clients/`): `<origin>/ts.html`, `<origin>/react.html`."""
    try:
        folder = bundle()
    except BundleError as error:
        missing_tool(str(error))
    with serve(folder) as origin:
        yield origin

"""A real Chromium with a microphone and a camera that are played from here; skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

MICROPHONE = Path(__file__).parents[2] / "audio_fixtures" / "interrupter.wav"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    f"--use-file-for-fake-audio-capture={MICROPHONE}%noloop",
    "--autoplay-policy=no-user-gesture-required",
)
"""Media without a device and without a question; the recording is played once, from `getUserMedia` on."""


def chromium_path() -> str | None:
    """Path of the Chromium of this machine, None without one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def missing_tool(what: str) -> None:
    """Skip the test for want of a tool; fail it where `CI_REQUIRES_BROWSER=1` promises that all are there."""
    if os.environ.get("CI_REQUIRES_BROWSER") == "1":
        pytest.fail(f"{what}, and CI_REQUIRES_BROWSER=1 promises that it is here")
    pytest.skip(what)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium for a module of tests; make a context of your own in it.

    Not for the session: as long as this API of playwright is open, its thread has a running event loop, and
    the `asyncio.run` of any other test would fail.
    """
    path = chromium_path()
    if path is None:
        missing_tool("there is no Chromium here")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        except Error as error:
            missing_tool(f"Chromium does not start here: {error}")
            raise
        yield browser
        browser.close()

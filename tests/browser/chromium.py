"""Chromium without a window, with a microphone and a camera that are computed.

It is the one of this machine (Debian's `chromium`), driven by `playwright`, which brings its driver and no
browser. Tests and the bench share this module, and the bench may run without playwright.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Browser

_EXECUTABLES = ("chromium", "chromium-browser", "google-chrome")

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
"""Media without a device and without a question."""


def chromium_path() -> str | None:
    """Path of the Chromium of this machine, None without one; `CHROMIUM` in the environment names another."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _EXECUTABLES)), None)


def flags_with(microphone: Path | None, more: Sequence[str] = ()) -> list[str]:
    """Flags of its command line.

    Args:
        microphone: WAV that every opening of the microphone plays once, from `getUserMedia` on; None beeps.
        more: More flags.
    """
    voice = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone is not None else []
    return [*_FLAGS, *voice, *more]


@asynccontextmanager
async def launched(*, microphone: Path | None = None, flags: Sequence[str] = ()) -> AsyncIterator[Browser]:
    """A running Chromium; it is gone when the context is left.

    Args:
        microphone: As in `flags_with`.
        flags: More flags of its command line.
    """
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=flags_with(microphone, flags), timeout=30_000
        )
        try:
            yield browser
        finally:
            await browser.close()

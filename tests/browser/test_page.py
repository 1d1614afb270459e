"""The playground page in a real browser, in calls with bots that really run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .page_kit import (
    FRONT_DESK,
    HOSTILE,
    PARROT,
    PUSH_TO_TALK,
    SEEING,
    Playground,
    RunningBot,
    playground,
    running,
)


@pytest.fixture(scope="module")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBot]:
    with running(tmp_path_factory.mktemp("parrot"), PARROT) as bot:
        yield bot


@pytest.fixture(scope="module")
def front_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBot]:
    with running(tmp_path_factory.mktemp("desk"), FRONT_DESK) as bot:
        yield bot


@pytest.fixture
def window(chromium: Browser) -> Iterator[Playground]:
    with playground(chromium, viewport={"width": 1280, "height": 900}) as opened:
        yield opened
        assert opened.complaints == []


def test_one_click_joins_and_the_page_shows_the_call(parrot: RunningBot, window: Playground) -> None:
    window.open(parrot.link)
    window.join()
    window.bot("hearing", "thinking", "speaking", "paused", "hearing", "thinking", "speaking", "listening")
    rows = window.page.locator("#lines .line")
    expect(rows).to_have_count(4)
    assert [name.strip() for name in rows.locator(".head b").all_text_contents()] == ["You", "Parrot"] * 2
    assert "cut" in (rows.nth(1).locator("small").text_content() or "")
    assert "cut" not in (rows.nth(3).locator("small").text_content() or "")
    expect(window.page.locator("#latency-rows tr")).to_have_count(2)
    assert window.page.locator(".tile").nth(2).locator(".figure").text_content() == "1"
    # The page's own sound and the bot's were both seen on the time of the call.
    heard = window.page.evaluate(
        """() => {
          const canvas = document.getElementById("plot");
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          const has = (r, g, b) => {
            for (let i = 0; i < data.length; i += 4) {
              if (data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255) return true;
            }
            return false;
          };
          return [has(0x3b, 0x5b, 0xdb), has(0x0a, 0x6b, 0x50)];
        }"""
    )
    assert heard == [True, True]
    window.page.click("#leave")
    window.room("out")
    expect(window.page.locator("#join-button")).to_be_enabled()


def test_words_tools_and_what_was_not_heard_are_in_the_transcript(
    front_desk: RunningBot, window: Playground
) -> None:
    window.open(front_desk.link)
    window.page.fill("#name", "Zoë")
    window.join()
    window.bot("hearing")
    expect(window.page.locator("#lines .coming").first).to_contain_text("Hello. I")
    expect(window.page.locator("#lines .tool summary")).to_contain_text("tool order_status · ok")
    expect(window.page.locator("#lines .tool dl")).to_contain_text('{"number":7}')
    struck = window.page.locator("#lines s").first
    struck.wait_for()
    reply = window.page.locator("#lines .line.bot").first
    expect(struck).to_contain_text("Shall I send you the link to follow them?")
    expect(reply.locator(".words > bdi")).to_contain_text("Your boots")
    expect(reply.locator(".words")).to_contain_text("Not heard:")
    expect(window.page.locator("#said")).to_contain_text("Bot: Your boots")
    expect(window.page.locator("#latency-rows")).to_contain_text("language model 310 ms")


def test_what_is_written_is_answered(front_desk: RunningBot, window: Playground) -> None:
    window.open(front_desk.link)
    assert not window.page.is_visible("#write")
    window.page.click("#join-listening")
    window.room("joined")
    assert not window.page.is_visible("#mute")
    window.page.keyboard.press("t")
    window.page.keyboard.type("What is <b>new</b>?")
    window.page.keyboard.press("Enter")
    expect(window.page.locator("#lines .line", has_text="What is <b>new</b>?").first).to_be_visible()
    window.bot("speaking")
    window.page.click("#interrupt")
    expect(window.page.locator("#lines .line.bot").last.locator("small")).to_contain_text("cut")
    assert window.page.input_value("#text") == ""


def test_the_call_can_be_saved(front_desk: RunningBot, window: Playground, tmp_path: Path) -> None:
    window.open(front_desk.link)
    for button, ending in {"#save-report": "report.html", "#save-call": "call.jsonl"}.items():
        with window.page.expect_download() as saving:
            window.page.click(button)
        assert saving.value.suggested_filename.endswith(ending)
        saving.value.save_as(tmp_path / ending)
    assert "call report" in (tmp_path / "report.html").read_text()
    assert (
        json.loads((tmp_path / "call.jsonl").read_text().splitlines()[0])["format"] == "fishjam-agents call"
    )


def test_what_a_bot_says_is_never_html(chromium: Browser, tmp_path: Path, window: Playground) -> None:
    with running(tmp_path, HOSTILE) as bot:
        window.open(bot.link)
        window.page.fill("#name", "<img src=x onerror='window.broken = 1'>")
        window.join()
        window.page.click("#log summary")
        window.bot("hearing")
        expect(window.page.locator("#lines .line.bot")).to_have_count(2)
        assert "<script>window.broken = 1</script>" in window.text("#lines")
        assert "<script>window.broken" in window.text("#log-rows")
        assert window.page.evaluate("typeof window.broken") == "undefined"
        assert window.page.locator("#main script, #main img[onerror]").count() == 0


def test_a_guest_joins_sees_and_has_no_controls(
    front_desk: RunningBot, window: Playground, chromium: Browser
) -> None:
    window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    window.open(front_desk.link)
    window.page.fill("#name", "Host")
    window.join()
    window.page.click("#guest")
    window.page.wait_for_selector("[data-name^='brief The guest link was copied']")
    link = window.page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(front_desk.link.split("#")[0])
    assert link != front_desk.link
    with playground(chromium) as guest:
        guest.open(link)
        assert "as a guest" in guest.text("#connection")
        for control in ("#guest", "#write", "#interrupt"):
            assert not guest.page.is_visible(control)
        guest.page.fill("#name", "Guest Gina")
        guest.join()
        # Both hear each other: a lane, and a voice, for each of them on both pages.
        expect(window.page.locator("#lines .head b", has_text="Guest Gina").first).to_be_visible()
        expect(guest.page.locator("#lines .head b", has_text="Host").first).to_be_visible()
        assert guest.complaints == []


def test_push_to_talk_by_button_and_space_bar(window: Playground, tmp_path: Path) -> None:
    with running(tmp_path, PUSH_TO_TALK) as bot:
        window.open(bot.link)
        window.join()
        button = window.page.locator("#talk")
        expect(button).to_be_enabled()
        window.page.evaluate("document.activeElement.blur()")
        window.page.keyboard.down(" ")
        window.bot("hearing")
        expect(button).to_have_attribute("aria-pressed", "true")
        window.page.wait_for_timeout(800)
        window.page.keyboard.up(" ")
        window.bot("speaking")
        expect(button).to_have_attribute("aria-pressed", "false")
        window.bot("listening")
        box = button.bounding_box()
        assert box is not None
        window.page.mouse.move(box["x"] + 20, box["y"] + 20)
        window.page.mouse.down()
        window.bot("hearing")
        # A pointer that comes up elsewhere ends the turn, too.
        window.page.mouse.move(5, 5)
        window.page.mouse.up()
        expect(button).to_have_attribute("aria-pressed", "false")
        expect(window.page.locator("#lines .line:not(.bot)")).to_have_count(2)


def test_a_camera_is_seen_by_the_others_until_it_is_switched_off(
    window: Playground, chromium: Browser, tmp_path: Path
) -> None:
    with running(tmp_path, SEEING) as bot, playground(chromium) as other:
        window.open(bot.link)
        window.page.fill("#name", "Ada")
        window.join()
        other.open(bot.link)
        other.join()
        for _ in range(2):
            window.page.click("#camera")
            expect(window.page.locator("#videos figcaption")).to_have_text("Your camera")
            expect(other.page.locator("#videos figcaption")).to_have_text("Ada")
            other.page.wait_for_function("() => document.querySelector('#videos video').videoWidth > 0")
            window.page.click("#camera")
            expect(window.page.locator("#videos figure")).to_have_count(0)
            expect(other.page.locator("#videos figure")).to_have_count(0)
        assert other.complaints == []


def test_leaving_gives_everything_back(parrot: RunningBot, window: Playground) -> None:
    window.open(parrot.link)
    session = window.context.new_cdp_session(window.page)
    session.send("Performance.enable")
    for _ in range(3):
        window.join()
        window.page.wait_for_timeout(500)
        window.page.click("#leave")
        window.room("out")
    session.send("HeapProfiler.collectGarbage")
    found = {item["name"]: item["value"] for item in session.send("Performance.getMetrics")["metrics"]}
    assert (found["RTCPeerConnections"], found["AudioWorkletProcessors"]) == (0, 0)


def test_mute_and_unmute(parrot: RunningBot, window: Playground) -> None:
    window.open(parrot.link)
    window.join()
    window.bot("hearing")
    # So long that it is a turn.
    window.page.wait_for_timeout(1000)
    window.page.click("#mute")
    expect(window.page.locator("#mute")).to_have_attribute("aria-pressed", "true")
    # Nobody is heard any more: the turn ends, though the caller speaks on.
    window.bot("speaking")
    expect(window.page.locator("#detail")).to_have_text("You are muted: unmute to be heard.")
    window.page.click("#mute")
    expect(window.page.locator("#mute span")).to_have_text("Mute")
    window.page.click("#devices summary")
    expect(window.page.locator("#microphone option").first).to_have_text("Microphone of the system")
    assert window.page.locator("#microphone option").count() > 1
    window.page.select_option("#microphone", index=1)
    window.bot("hearing")

"""The page where something is wrong, in every size and colour, by keys alone, and after an hour."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from .page_kit import NOWHERE, STATIC, Playground, ScriptedServer, modules, run, scripted_page

LINK = f"{NOWHERE}/#call=token"
SPOKEN = {"peer": "ann", "track": "t"}
TURN: list[dict[str, Any]] = [
    {"kind": "peer_joined", "at": 1.0, "peer": "ann"},
    {"kind": "user_started_speaking", "at": 1.1, "media_at": 1.0, **SPOKEN},
    {"kind": "user_stopped_speaking", "at": 2.2, "media_at": 2.0, **SPOKEN},
    {"kind": "user_turn_ended", "at": 2.6, "media_at": 2.0, "start": 1.0, "turn": "turn-1", **SPOKEN},
    {"kind": "user_transcript", "at": 2.6, "text": "a longword" + "y" * 80, "final": True, "peer": "ann"},
    {"kind": "tool_started", "at": 2.7, "tool": "weather_of_tomorrow", "call": "c", "arguments": "{}" * 90},
    {"kind": "tool_called", "at": 2.9, "tool": "weather_of_tomorrow", "call": "c", "outcome": "error"},
    {"kind": "reply_started", "at": 3.0, "reply": "r1"},
    {"kind": "reply_latency", "at": 3.0, "reply": "r1", "parts": {"a": 0.1, "b": 0.2}},
    {"kind": "reply_text", "at": 3.0, "reply": "r1", "text": "It will rain, and then it will not. " * 4},
    {"kind": "reply_first_audio", "at": 3.1, "reply": "r1"},
    {"kind": "reply_generated", "at": 3.1, "reply": "r1", "seconds": 6.0},
    {"kind": "barge_in_suspected", "at": 5.1, "media_at": 5.0, "reply": "r1", **SPOKEN},
    {"kind": "barge_in_confirmed", "at": 5.4, "media_at": 5.0, "reply": "r1", **SPOKEN},
    {
        "kind": "reply_interrupted",
        "at": 5.4,
        "reply": "r1",
        "heard": {"seconds": 2.0, "text": "It will rain,"},
    },
    {"kind": "outage", "at": 5.5, "what": "backend", "seconds": 1.5},
]


@pytest.fixture
def window(chromium: Browser) -> Iterator[tuple[Playground, ScriptedServer]]:
    with scripted_page(chromium, viewport={"width": 1280, "height": 900}) as both:
        yield both
        assert both[0].complaints == []


def notice(page: Page, name: str) -> Any:
    return page.locator(f"[data-name='{name}']")


def test_the_browser_is_told_of_every_module_at_once() -> None:
    listed = re.findall(r'rel="modulepreload" href="playground/([^"]+)"', (STATIC / "index.html").read_text())
    others = {"main.js", "level_worklet.js"}
    assert sorted(listed) == sorted(file.name for file in STATIC.glob("*.js") if file.name not in others)


def test_without_a_link_the_page_says_where_it_comes_from(window: tuple[Playground, ScriptedServer]) -> None:
    opened, server = window
    opened.page.goto(f"{NOWHERE}/")
    expect(notice(opened.page, "feed")).to_contain_text("open the link that it prints")
    assert server.asked == []
    assert not opened.page.is_enabled("#join-button")


def test_a_refused_token_is_told_and_not_tried_again(window: tuple[Playground, ScriptedServer]) -> None:
    opened, server = window
    server.refuse = (4401, "call token refused")
    opened.page.goto(LINK)
    opened.feed("refused")
    expect(notice(opened.page, "feed")).to_contain_text("The link was refused")
    opened.page.wait_for_timeout(1500)
    assert server.asked == [{"type": "auth", "token": "token"}]
    assert not opened.page.is_enabled("#join-button")


def test_a_lost_server_is_waited_for_and_its_history_is_not_doubled(
    window: tuple[Playground, ScriptedServer],
) -> None:
    opened, server = window
    opened.open(LINK)
    server.events(6.0, *TURN)
    expect(opened.page.locator("#lines .line")).to_have_count(2)
    server.close(1011, "crashed")
    expect(notice(opened.page, "feed")).to_contain_text("The server does not answer")
    expect(opened.page.locator("#state")).to_have_text("No connection")
    opened.feed("open")
    expect(notice(opened.page, "feed")).to_have_count(0)
    # The next hello has no history: neither has the page.
    expect(opened.page.locator("#lines .line")).to_have_count(0)
    server.events(6.0, *TURN)
    expect(opened.page.locator("#lines .line")).to_have_count(2)
    server.refuse = (4401, "call token refused")
    server.close(1001, "stopped")
    expect(notice(opened.page, "feed")).to_contain_text("open the new link")
    expect(opened.page.locator("#state")).to_have_text("Call over")


def test_a_call_that_is_over_says_why_and_stands_still(window: tuple[Playground, ScriptedServer]) -> None:
    opened, server = window
    opened.open(LINK)
    server.events(6.0, *TURN, {"kind": "call_ended", "at": 6.0, "reason": "idle"})
    server.send(type="over", reason="the call ended: nobody said anything any more")
    opened.feed("over")
    expect(opened.page.locator("#state")).to_have_text("Call over")
    expect(opened.page.locator("#detail")).to_contain_text("nobody said anything any more")
    stands = opened.text("#clock")
    opened.page.wait_for_timeout(300)
    assert opened.text("#clock") == stands
    assert not opened.page.is_enabled("#join-button")


def test_what_the_server_refuses_is_shown_for_a_while(window: tuple[Playground, ScriptedServer]) -> None:
    opened, server = window
    opened.open(LINK)
    opened.page.keyboard.press("i")
    server.send(type="error", message="this bot cannot be <b>interrupted</b>")
    told = opened.page.locator(".notice", has_text="this bot cannot be <b>interrupted</b>")
    expect(told).to_have_count(1)
    expect(told).to_have_count(0)
    assert {"type": "interrupt"} in server.asked


FAILING_MICROPHONE = """
    navigator.mediaDevices.getUserMedia = async () => {
      if (window.allowed) return new AudioContext().createMediaStreamDestination().stream;
      throw new DOMException("no", "%s");
    };
"""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("NotAllowedError", "does not let this page use the microphone"),
        ("NotFoundError", "There is no microphone"),
        ("NotReadableError", "The microphone is in use"),
        ("TypeError", "The microphone cannot be opened"),
    ],
)
def test_a_microphone_that_fails_is_told_with_what_to_do(
    window: tuple[Playground, ScriptedServer], error: str, told: str
) -> None:
    opened, _ = window
    joins: list[str] = []
    opened.context.route("**/playground/join", lambda route: (joins.append(""), route.abort())[1])
    opened.page.add_init_script(FAILING_MICROPHONE % error)
    opened.open(LINK)
    opened.page.click("#join-button")
    expect(notice(opened.page, "devices")).to_contain_text(told)
    # Nobody joins mute by accident; but who wants to listen may.
    assert joins == []
    assert opened.page.is_visible("#join-listening")
    opened.page.evaluate("window.allowed = true")
    notice(opened.page, "devices").get_by_role("button", name="Try again").click()
    expect(notice(opened.page, "devices")).to_have_count(0)
    expect(notice(opened.page, "room")).to_contain_text("The connection to the room was lost")
    assert joins


def test_an_insecure_address_is_told_of_and_shows_the_call(chromium: Browser) -> None:
    origin = "http://playground.test"
    with scripted_page(chromium, origin) as (opened, server):
        opened.open(f"{origin}/#call=token")
        expect(notice(opened.page, "ability")).to_contain_text("https://")
        assert not opened.page.is_visible("#join")
        server.events(6.0, *TURN)
        expect(opened.page.locator("#lines .line")).to_have_count(2)


def test_a_browser_without_webrtc_shows_the_call(window: tuple[Playground, ScriptedServer]) -> None:
    opened, _ = window
    opened.page.add_init_script("delete window.RTCPeerConnection")
    opened.open(LINK)
    expect(notice(opened.page, "ability")).to_contain_text("no WebRTC")
    assert not opened.page.is_visible("#join")


def test_everything_can_be_reached_and_done_by_keys(window: tuple[Playground, ScriptedServer]) -> None:
    opened, server = window
    page = opened.page
    opened.open(LINK)
    server.events(6.0, *TURN)
    expect(page.locator("#lines .line")).to_have_count(2)
    order = []
    for _ in range(22):
        page.keyboard.press("Tab")
        focus = "document.activeElement"
        order.append(page.evaluate(f"{focus}.id || {focus}.className || {focus}.tagName"))
        if order[-1] == "BODY":
            break
        assert page.evaluate(f"getComputedStyle({focus}).outlineStyle") != "none", order
    expected = ["skip", "guest", "save-report", "save-call", "theme", "show-keys", "name", "join-button"]
    expected += ["join-listening", "timeline", "lines"]
    places = [order.index(name) for name in expected if name in order]
    assert [name for name in expected if name not in order] == []
    assert places == sorted(places), order
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    assert "join the call" in opened.text("#key-list")
    assert "hold to talk" not in opened.text("#key-list")
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    # Keys that are typed are no shortcuts, and shortcuts can be switched off.
    page.focus("#name")
    page.keyboard.type("Jim")
    assert page.input_value("#name") == "Jim"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("i")
    page.click("#show-keys")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("i")
    page.wait_for_timeout(100)
    assert server.asked.count({"type": "interrupt"}) == 1


def test_the_timeline_is_moved_and_zoomed_by_keys(window: tuple[Playground, ScriptedServer]) -> None:
    opened, server = window
    page = opened.page
    opened.open(LINK)
    server.events(100.0, *TURN)
    page.focus("#timeline")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#live")).to_be_visible()
    page.keyboard.press("Home")
    page.wait_for_timeout(100)
    page.mouse.move(*corner(page, "#plot", 0.35, 0.2))
    expect(page.locator("#tip")).to_contain_text("s")
    page.keyboard.press("End")
    expect(page.locator("#live")).to_be_hidden()
    for key in "+++---":
        page.keyboard.press(key)


def corner(page: Page, selector: str, across: float, down: float) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


# Which words are painted whole, and which are cut off by the picture's edges: the canvas is asked.
CUT = """
    async (spans) => {
      const { Brush } = await import("/playground/timeline_brush.js");
      const written = [];
      const context = new Proxy(document.createElement("canvas").getContext("2d"), {
        get: (target, name) => {
          if (name === "fillText") return (text) => written.push(text);
          const value = Reflect.get(target, name);
          return typeof value === "function" ? value.bind(target) : value;
        },
        set: (target, name, value) => Reflect.set(target, name, value),
      });
      const palette = { ink: "#000", font: "sans-serif" };
      const brush = new Brush(context, { from: 10, perSecond: 50, gutter: 100, width: 600, palette });
      for (const at of [10.1, 15, 19.9]) brush.whole(at, 10, `${at}`.padStart(7), "#000");
      const look = { text: "1.54 s unheard", short: "1.54 s" };
      for (const end of [15, 11.5, 10.7]) brush.box({ start: 10, end }, 0, 18, "#000", look);
      // The box goes on behind the edge: its words do not.
      brush.box({ start: 18.5, end: 30 }, 0, 18, "#000", look);
      return written.map((text) => text.trim());
    }
"""


def test_the_timeline_writes_no_half_numbers(chromium: Browser) -> None:
    with modules(chromium) as page:
        assert page.evaluate(CUT) == ["15", "1.54 s unheard", "1.54 s", "1.54 s"]


def test_moments_have_one_unit(chromium: Browser) -> None:
    with modules(chromium) as page:
        body = "return a.map((seconds) => m.clockTime(seconds));"
        assert run(page, "latency.js", body, [7.94, 59.96, 67.9]) == ["7.9 s", "1:00.0", "1:07.9"]


def test_events_tell_what_was_heard_in_words(window: tuple[Playground, ScriptedServer]) -> None:
    opened, server = window
    opened.open(LINK)
    opened.page.click("#log summary")
    server.events(6.0, *TURN)
    row = opened.page.locator("#log-rows tr", has_text="reply_interrupted")
    expect(row).to_contain_text("heard (seconds 2, text It will rain,)")


def test_every_control_has_a_name(window: tuple[Playground, ScriptedServer]) -> None:
    opened, server = window
    opened.open(LINK)
    server.events(6.0, *TURN)
    opened.page.click("#log summary")
    session = opened.context.new_cdp_session(opened.page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    controls = {"button", "textbox", "searchbox", "combobox", "checkbox", "link"}
    found = [node for node in nodes if node.get("role", {}).get("value") in controls and not node["ignored"]]
    assert len(found) > 10
    assert [node for node in found if not node.get("name", {}).get("value", "").strip()] == []
    headings = [node["name"]["value"] for node in nodes if node.get("role", {}).get("value") == "heading"]
    assert {"Scripted", "Talk to the bot", "Timeline", "Transcript", "Events"} <= set(headings)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_its_parts_and_not_the_page(chromium: Browser, scheme: Any) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with scripted_page(chromium, color_scheme=scheme, **phone) as (opened, server):
        opened.open(LINK)
        width = "document.documentElement.scrollWidth"
        assert opened.page.evaluate(width) == 390
        server.events(6.0, *TURN, *({"kind": "peer_joined", "at": 6, "peer": f"p{n}" * 20} for n in range(9)))
        expect(opened.page.locator("#lines .line")).to_have_count(2)
        table = opened.page.locator("#latency-table")
        assert table.evaluate("(box) => box.scrollWidth - box.clientWidth") == 0
        opened.page.tap("#log summary")
        server.send(type="error", message="w" * 300)
        expect(opened.page.locator(".notice")).to_have_count(1)
        assert opened.page.evaluate(width) == 390
        small = opened.page.evaluate(
            """() => [...document.querySelectorAll("button, input, select")]
              .filter((item) => item.checkVisibility() && item.getBoundingClientRect().height < 34)
              .map((item) => item.id)"""
        )
        assert small == []
        assert opened.complaints == []


COLOURS = """
    () => {
      const probe = document.body.appendChild(document.createElement("i"));
      const channels = (name) => {
        probe.style.color = `var(--${name})`;
        return getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
      };
      const names = "page card soft ink muted edge c0 c1 c2 c3 bot suspected confirmed withdrawn focus";
      return Object.fromEntries(names.split(" ").map((name) => [name, channels(name)]));
    }
"""


def luminance(colour: list[float]) -> float:
    """Relative luminance, WCAG 2.2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_follow_the_system_or_the_button_and_have_contrast(chromium: Browser) -> None:
    with scripted_page(chromium, color_scheme="dark") as (opened, _):
        opened.open(LINK)
        page = opened.page
        schemes = {"dark": page.evaluate(COLOURS)}
        page.click("#theme")
        expect(page.locator("#theme")).to_have_text("Theme: light")
        schemes["light"] = page.evaluate(COLOURS)
        page.reload()
        expect(page.locator("#theme")).to_have_text("Theme: light")
        assert page.evaluate(COLOURS) == schemes["light"] != schemes["dark"]
        page.click("#theme")
        assert page.evaluate(COLOURS) == schemes["dark"]
    texts = ("ink", "muted", "c0", "c1", "c2", "c3", "bot", "suspected", "confirmed", "withdrawn")
    for colours, text in itertools.product(schemes.values(), texts):
        assert contrast(colours[text], colours["card"]) >= 4.5, text
    for colours in schemes.values():
        assert contrast(colours["muted"], colours["page"]) >= 4.5
        assert contrast(colours["muted"], colours["soft"]) >= 4.5
        assert contrast(colours["edge"], colours["card"]) >= 3
        assert contrast(colours["focus"], colours["card"]) >= 3


def test_who_wants_little_motion_gets_a_picture_a_second(chromium: Browser) -> None:
    pictures = """() => new Promise((resolve) => {
      let count = 0;
      const clear = CanvasRenderingContext2D.prototype.clearRect;
      CanvasRenderingContext2D.prototype.clearRect = function (...area) {
        count += 1;
        clear.apply(this, area);
      };
      setTimeout(() => resolve(count), 2500);
    })"""
    with scripted_page(chromium, reduced_motion="reduce") as (opened, server):
        opened.open(LINK)
        server.events(6.0, *TURN)
        assert opened.page.evaluate(pictures) <= 3


def hour() -> Iterator[list[dict[str, Any]]]:
    """Every event of `TURN` again and again, as of a new turn each time, for an hour of call time."""
    for number in range(600):
        offset = 6.0 * number
        yield [
            {
                **event,
                **{key: event[key] + offset for key in ("at", "media_at", "start") if key in event},
                **{key: f"{event[key]}-{number}" for key in ("turn", "reply", "call") if key in event},
            }
            for event in TURN
        ]


def test_an_hour_of_events_leaves_a_page_of_bounded_size(window: tuple[Playground, ScriptedServer]) -> None:
    opened, server = window
    opened.open(LINK)
    opened.page.click("#log summary")
    sizes = []
    for number, events in enumerate(hour(), 1):
        server.events(6.0 * number, *events)
        if number % 150 == 0:
            expect(opened.page.locator("#log-count")).to_have_text(f"{number * len(TURN)}, the newest first")
            opened.page.wait_for_timeout(200)
            sizes.append(opened.page.evaluate("document.querySelectorAll('*').length"))
    assert opened.page.locator("#lines > li").count() == 200
    assert opened.page.locator("#log-rows tr").count() == 300
    # The last half of the hour adds nothing, and what there is is little.
    assert abs(sizes[-1] - sizes[1]) < 50
    assert sizes[-1] < 5000
    assert "confirmed" in opened.text("#tiles")
    # The page still answers at once.
    opened.page.select_option("#log-kind", "barge-ins")
    expect(opened.page.locator("#log-rows th", has_text="reply_text")).to_have_count(0)
    opened.page.fill("#log-text", "no such words")
    expect(opened.page.locator("#log-rows tr")).to_have_count(0)

"""Writes `report.html`: one file that needs nothing else, made of the files in `static`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.latency import timed_replies
from fishjam_agents.observe.report import tables
from fishjam_agents.observe.report.call import Call
from fishjam_agents.observe.report.histogram import histogram
from fishjam_agents.observe.report.latency import METRICS, Summary, summary
from fishjam_agents.observe.report.markup import Markup, escaped, joined, tag
from fishjam_agents.observe.report.plot import NONE, Plot, clock, milliseconds
from fishjam_agents.observe.report.reading import read_call
from fishjam_agents.observe.report.sound import EMBEDDED_LIMIT, Sound, embedded

EXACT = 0.02
"""Seconds the loop may have been late, one frame, for times to be exact to a frame."""


def write_report(folder: Path, *, room: Samples, sample_rate: int, timeline: Mapping[str, Any]) -> Path:
    """Write `report.html`: waveforms, player, turns, barge-ins and latencies of a call.

    The page holds the sound itself up to `sound.EMBEDDED_LIMIT`; of longer calls it plays the `room.wav` in
    its folder, and says so.

    Args:
        folder: Where to; it exists.
        room: The recording, int16, shape (n, 2): callers left, bot right.
        sample_rate: Hz.
        timeline: What `timeline.json` holds; its zero is sample 0 of `room`. A scenario's has `expectations`,
            too: `expected`, `came`, `met` and, where it came, `at` of each. `title` is its heading, in place
            of the folder's name, and `about` a sentence below it.

    Returns:
        The file.

    Raises:
        FishjamAgentsError: It cannot be written.
    """
    path = folder / "report.html"
    name = str(timeline.get("title") or folder.resolve().name)
    content = render(room=room, sample_rate=sample_rate, timeline=timeline, name=name)
    try:
        path.write_text(content, encoding="utf-8", newline="\n")
    except OSError as error:
        raise FishjamAgentsError(f"cannot write {path} ({error.strerror}): check the folder") from error
    return path


def render(
    *,
    room: Samples,
    sample_rate: int,
    timeline: Mapping[str, Any],
    name: str,
    sound_limit: int = EMBEDDED_LIMIT,
) -> str:
    """The report as HTML; arguments as `write_report`.

    `name` is its heading, and `sound_limit` how many bytes of sound it may hold.
    """
    call = read_call(timeline)
    timed = timed_replies(call.events)
    plot = Plot(call, room, sample_rate)
    script, styles = _static("report.js"), _static("report.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "media-src data: file: 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    return Template(_static("report.html")).substitute(
        policy=escaped(policy),
        styles=styles,
        script=script,
        name=escaped(name),
        facts=escaped(_facts(call)),
        about=tag("p", str(timeline["about"]), class_="about") if timeline.get("about") else "",
        warning=_warning(call, stopped=bool(timeline.get("stopped"))),
        tiles=_tiles(call),
        player=_player(embedded(room, sample_rate, sound_limit)),
        seconds=f"{call.seconds:.3f}",
        clock=clock(call.seconds),
        overview=plot.overview(),
        plot=plot.render(),
        expectations=_section(
            "Expectations",
            "expectations",
            tables.expectations(timeline.get("expectations", ())),
            bool(timeline.get("expectations")),
        ),
        turns=_section("Turns", "turns", tables.turns(call), bool(call.turns or call.replies)),
        tools=_section(
            "Tools",
            "tools",
            Markup(tables.tools(call) + _payloads(call)),
            bool(call.tools),
        ),
        parts=_section("Latency of each component", "parts", tables.parts(timed), bool(timed)),
        barge_ins=_section(
            "Barge-ins", "barge-ins", tables.barge_ins(call, room[:, 1], sample_rate), bool(call.barge_ins)
        ),
        histograms=_histograms(call),
        events=tables.events(call),
        count=len(call.events),
    )


def _static(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def _facts(call: Call) -> str:
    # Who was there called, also where the call was over before they had ended a turn.
    callers = {*call.peers, *(turn.peer for turn in call.turns)}
    return " · ".join(
        (
            f"{call.seconds:.1f} s",
            _counted(len(callers), "caller"),
            _counted(len(call.turns), "turn"),
            _counted(len(call.replies), "reply", "replies"),
        )
    )


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _warning(call: Call, *, stopped: bool) -> Markup:
    said = []
    if stopped:
        said.append(f"The call was stopped at {clock(call.seconds)} s, before its end.")
    if call.lag is not None and call.lag > EXACT:
        late = milliseconds(call.lag)
        said.append(f"The machine was up to {late} late during this call: times are not exact.")
    return joined(tag("p", words, class_="warning", role="note") for words in said)


def _payloads(call: Call) -> Markup:
    """Advice to see arguments and results, where the timeline has none."""
    if any(run.arguments or run.result for run in call.tools):
        return Markup()
    advice = "Arguments and results are here with observe: {tool_payloads: true} in the bot's config.yaml."
    return tag("p", advice, class_="note")


def _tiles(call: Call) -> Markup:
    confirmed = sum(barge_in.verdict == "confirmed" for barge_in in call.barge_ins)
    withdrawn = sum(barge_in.verdict == "withdrawn" for barge_in in call.barge_ins)
    known = [(r.heard, r.seconds) for r in call.replies if r.heard is not None and r.seconds is not None]
    heard, generated = (sum(pair[side] for pair in known) for side in (0, 1))
    share = f"{100 * min(heard / generated, 1):.0f}" if generated else NONE
    return joined(
        (
            *(
                _latency_tile(metric.title, summary(metric.values(call)), metric.waited(call))
                for metric in METRICS
                if metric.waited is not None
            ),
            _tile(
                "Barge-ins",
                str(len(call.barge_ins)),
                "",
                f"{confirmed} confirmed, {withdrawn} withdrawn" if call.barge_ins else "none",
            ),
            _tile(
                "Heard of replies",
                share,
                "%" if generated else "",
                f"{heard:.1f} of {generated:.1f} s generated",
            ),
        )
    )


def _latency_tile(label: str, found: Summary | None, waited: int = 0) -> Markup:
    if found is None:
        return _tile(label, NONE, "", "none in this call")
    note = f"median of {len(found.values)}, {found.high_name} {milliseconds(found.high)}"
    if len(found.values) == 1:
        note = "one in this call"
    if waited:
        note += f"; {waited} waited"
    return _tile(label, f"{found.median * 1000:.0f}", "ms", note)


def _tile(label: str, value: str, unit: str, note: str) -> Markup:
    figure = tag("dd", value, tag("small", unit), class_="figure")
    return tag("div", tag("dt", label), figure, tag("dd", note, class_="note"), class_="tile")


def _player(sound: Sound) -> Markup:
    audio = tag(
        "audio",
        id="audio",
        controls=True,
        preload="auto" if sound.uri else "metadata",
        src=sound.uri or "room.wav",
        aria_label="Recording of the call",
    )
    said = (
        f"Sound: {sound.description}, inside this page; a room.wav beside it is the original."
        if sound.uri
        else "The call is too long to be inside this page: the player needs room.wav in the same folder."
    )
    return Markup(audio + tag("p", said, class_="source", id="source"))


def _section(title: str, name: str, content: Markup, shown: bool) -> Markup:
    if not shown:
        return Markup()
    heading = tag("h2", title, id=f"{name}-heading")
    scroll = tag("div", content, class_="table", tabindex=0, role="region", aria_labelledby=f"{name}-heading")
    return tag("section", heading, scroll, class_="card", id=name)


def _histograms(call: Call) -> Markup:
    return joined(
        tag(
            "figure",
            tag("figcaption", metric.title),
            histogram(known, title=metric.title, name=metric.name, least=metric.least),
        )
        for metric in METRICS
        if (known := summary(metric.values(call))) is not None
    )

"""The call on one time axis: rows of HTML placed in percent of its length, so that zooming is a width."""

from __future__ import annotations

from collections.abc import Iterable

from fishjam_agents.audio.samples import Samples
from fishjam_agents.observe.report import latency
from fishjam_agents.observe.report.call import SOMEBODY, TROUBLE, BargeIn, Call, Reply, Span, ToolRun
from fishjam_agents.observe.report.markup import Markup, foreign, joined, tag
from fishjam_agents.observe.report.sound import decibels, waveform

STEPS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
"""Distances of the ruler's ticks, seconds: each divides the next."""
_MOST_TICKS = 1500
_AT_THE_END = 98.5
_CALLER_COLOURS = 4
_TOOL_ROWS = 3
_NAME_SHARE = 0.13
"""Share of the call that the name of a tool takes when the whole call is in view."""


NONE = "\u2013"
"""Sign where there is no figure: an en dash."""


def milliseconds(seconds: float | None) -> str:
    """A latency as people say it."""
    return NONE if seconds is None else f"{seconds * 1000:.0f} ms"


def clock(seconds: float) -> str:
    """A moment of the call: `7.91`, `1:07.91`."""
    minutes, rest = divmod(round(seconds, 2), 60)
    return f"{minutes:.0f}:{rest:05.2f}" if minutes else f"{rest:.2f}"


class Plot:
    """The plot of one call.

    Args:
        call: What happened.
        room: int16, shape (n, 2): callers left, bot right.
        sample_rate: Hz.
    """

    def __init__(self, call: Call, room: Samples, sample_rate: int) -> None:
        self._call = call
        self._callers, self._bot = room[:, 0], room[:, 1]
        self._rate = sample_rate
        self._names = tuple(dict.fromkeys((*call.peers, SOMEBODY)))
        self._seconds = max(call.seconds, 0.001)

    def render(self) -> Markup:
        """Labels on the left, the scrolling rows on the right."""
        call = self._call
        speakers = [peer for peer in self._names if any(turn.peer == peer for turn in call.turns)]
        speakers += [p for p in self._names if p not in speakers and any(s.peer == p for s in call.speech)]
        # Who said nothing was there all the same.
        speakers += [peer for peer in call.peers if peer not in speakers]
        rows: list[tuple[str, Markup, Markup]] = [("ruler", Markup(), self._ruler())]
        rows += [("speech", foreign(peer), self._speech(peer)) for peer in speakers]
        callers = waveform(
            self._callers, self._rate, (s.span for s in call.speech), title="Sound of the callers", name="wl"
        )
        sounding = (piece for reply in call.replies for piece in reply.sounding)
        bot = waveform(self._bot, self._rate, sounding, title="Sound of the bot", name="wr")
        rows += [
            ("sound callers", _side("Callers", self._callers), callers),
            ("responses", Markup("Response"), joined(self._responses())),
            ("barge-ins", Markup("Barge-ins"), joined(self._barge_ins())),
            ("sound bot", _side("Bot", self._bot), bot),
            ("replies", Markup("Replies"), joined(map(self._reply, call.replies))),
        ]
        if call.tools:
            places = self._tool_rows()
            name = f"tools-run rows-{max(places) + 1}"
            rows.append((name, Markup("Tools"), joined(map(self._tool, call.tools, places))))
        if call.notices:
            rows.append(("notices", Markup("Notices"), joined(self._notices())))
        labels = joined(tag("div", label, class_=f"label {name}") for name, label, _ in rows)
        lanes = joined(tag("div", content, class_=f"lane {name}") for name, _, content in rows)
        plot = tag(
            "div", self._bands(), lanes, class_="plot", id="plot", style=f"--seconds:{self._seconds:g}"
        )
        scroller = tag(
            "div", plot, class_="scroller", id="scroller", tabindex=0, role="group", aria_label="Timeline"
        )
        return tag("div", tag("div", labels, class_="labels"), scroller, class_="timeline")

    def overview(self) -> Markup:
        """The whole call as a strip, for long calls."""
        marks = [self._box("turn", turn.span) for turn in self._call.turns]
        marks += [self._box("reply", piece) for reply in self._call.replies for piece in reply.sounding]
        marks += [
            self._box(barge_in.verdict, Span(barge_in.onset, barge_in.onset))
            for barge_in in self._call.barge_ins
        ]
        return joined(marks)

    def _style(self, span: Span) -> str:
        start, end = (min(max(at, 0.0), self._seconds) for at in (span.start, span.end))
        return f"left:{100 * start / self._seconds:.4f}%;width:{100 * (end - start) / self._seconds:.4f}%"

    def _box(self, name: str, span: Span, *children: str | None, title: str | None = None) -> Markup:
        return tag("div", *children, class_=name, style=self._style(span), title=title)

    def _ruler(self) -> Markup:
        finest = next((step for step in STEPS if self._seconds / step <= _MOST_TICKS), STEPS[-1])
        shown = [step for step in STEPS if step >= finest]
        groups: dict[float, list[Markup]] = {step: [] for step in shown}
        for number in range(int(self._seconds / finest) + 1):
            at = number * finest
            # A tick belongs to the coarsest distance it is a multiple of.
            step = next(s for s in reversed(shown) if abs(at / s - round(at / s)) < 1e-6)
            label = (
                f"{at:.1f}" if step < 1 else f"{at:.0f} s" if at < 60 else f"{at // 60:.0f}:{at % 60:02.0f}"
            )
            left = 100 * at / self._seconds
            mark = tag(
                "i", tag("b", label), style=f"left:{left:.4f}%", class_="end" if left > _AT_THE_END else None
            )
            groups[step].append(mark)
        return joined(
            tag("div", joined(ticks), class_="ticks", data_step=f"{step:g}") for step, ticks in groups.items()
        )

    def _speech(self, peer: str) -> Markup:
        colour = f"c{self._names.index(peer) % _CALLER_COLOURS}"
        boxes = [
            self._box(
                f"turn {colour}",
                turn.span,
                tag("span", f"{turn.id} · {turn.span.seconds:.1f} s", class_="text"),
                title=f"{turn.id} of {turn.peer}: {clock(turn.span.start)} to {clock(turn.span.end)} s"
                + (f"\n{turn.said}" if turn.said else ""),
            )
            for turn in self._call.turns
            if turn.peer == peer
        ]
        boxes += [self._box(f"spoken {colour}", s.span) for s in self._call.speech if s.peer == peer]
        return joined(boxes)

    def _responses(self) -> Iterable[Markup]:
        for turn in self._call.turns:
            reply = self._call.reply(turn.reply)
            seconds = latency.response(turn, reply)
            if seconds is None or reply is None or reply.first_audio is None:
                continue
            delays = [
                milliseconds(delay) for delay in (latency.end_of_turn(turn), latency.model(turn, reply))
            ]
            title = f"Response latency {milliseconds(seconds)}: end of turn {delays[0]} + model {delays[1]}"
            if turn.waited:
                # A bracket over others' turns would hide their own.
                title = f"{turn.id} was answered {seconds:.1f} s later: others were speaking"
                at = Span(reply.first_audio, reply.first_audio)
                yield self._box(
                    "waited", at, tag("span", f"waited {seconds:.1f} s", class_="text"), title=title
                )
                continue
            span = Span(turn.span.end, reply.first_audio)
            share = 100 * min(max(latency.end_of_turn(turn) / seconds, 0.0), 1.0) if seconds > 0 else 0.0
            yield self._box(
                "response",
                span,
                tag("i", style=f"width:{share:.1f}%"),
                tag("span", milliseconds(seconds), class_="text"),
                title=title,
            )

    def _bands(self) -> Markup:
        return joined(
            self._box(
                f"band {barge_in.verdict}", Span(barge_in.onset, self._settled(barge_in)), _onset(barge_in)
            )
            for barge_in in self._call.barge_ins
        )

    def _settled(self, barge_in: BargeIn) -> float:
        if barge_in.settled is not None:
            return barge_in.settled
        return barge_in.onset if barge_in.suspected is None else barge_in.suspected

    def _barge_ins(self) -> Iterable[Markup]:
        found = self._call.barge_ins
        # The words have the room up to the next ones.
        ends = [*(barge_in.onset for barge_in in found[1:]), self._seconds]
        for barge_in, end in zip(found, ends, strict=False):
            noticed, verdict = latency.silence(barge_in), latency.verdict(barge_in)
            words = "silent already" if noticed is None else f"suspected {milliseconds(noticed)}"
            if verdict is not None:
                words += f", {barge_in.verdict} {milliseconds(verdict)}"
            yield self._box(
                f"barge-in {barge_in.verdict}",
                Span(self._settled(barge_in), max(end, self._settled(barge_in))),
                tag("span", words, class_="text"),
                title=f"{barge_in.peer} over the bot at {clock(barge_in.onset)} s: {words}",
            )

    def _reply(self, reply: Reply) -> Markup:
        if reply.first_audio is None or not reply.sounding:
            return Markup()
        end = reply.sounding[-1].end
        whole = f" of {reply.seconds:.2f}" if reply.seconds is not None else ""
        heard = f"heard {reply.heard:.2f}{whole} s" if reply.heard is not None else "still playing"
        shown = f"{reply.heard:.2f} s heard" if reply.heard is not None else heard
        boxes = []
        if reply.unheard:
            ghost = Span(end, end + reply.unheard)
            label = tag("span", f"{reply.unheard:.2f} s unheard", class_="text")
            boxes.append(
                self._box("unheard", ghost, label, title=f"{reply.unheard:.2f} s of {reply.id} unheard")
            )
        boxes.append(self._box("held", Span(reply.first_audio, end)))
        for number, piece in enumerate(reply.sounding):
            text = tag("span", shown, class_="text") if number == 0 else None
            words = f"\n{reply.heard_text or reply.text}" if reply.text else ""
            boxes.append(self._box("heard", piece, text, title=f"{reply.id}: {heard}{words}"))
        return joined(boxes)

    def _tool_rows(self) -> list[int]:
        """The row of each call of a tool: those whose names would overlap stand below one another."""
        free = [0.0] * _TOOL_ROWS
        places = []
        for run in self._call.tools:
            row = next((row for row, at in enumerate(free) if at <= run.span.start), _TOOL_ROWS - 1)
            free[row] = max(run.span.end, run.span.start + _NAME_SHARE * self._seconds)
            places.append(row)
        return places

    def _tool(self, run: ToolRun, row: int) -> Markup:
        took = milliseconds(run.span.seconds)
        told = [f"{run.tool}: {run.outcome}, {took} from {clock(run.span.start)} s"]
        told += [f"arguments: {run.arguments}"] if run.arguments else []
        told += [f"result: {run.result}"] if run.result else []
        name = f"tool row-{row}" + ("" if run.outcome == "ok" else " trouble")
        label = tag("span", foreign(run.tool), class_="text")
        return self._box(name, run.span, label, title="\n".join(told))

    def _notices(self) -> Iterable[Markup]:
        found = self._call.notices
        ends = [*(notice.at for notice in found[1:]), self._seconds]
        for notice, end in zip(found, ends, strict=False):
            text = tag("span", foreign(notice.text), class_="text")
            name = "notice" if notice.kind in TROUBLE else "notice call"
            title = f"{clock(notice.at)} s: {notice.text}"
            yield self._box(name, Span(notice.at, end), text, title=title)


def _onset(barge_in: BargeIn) -> Markup | None:
    """The part of a barge-in's band before it was suspected."""
    noticed, verdict = latency.silence(barge_in), latency.verdict(barge_in)
    if noticed is None:
        return None
    share = 100 * min(noticed / verdict, 1.0) if verdict else 100.0
    return tag("div", class_="onset", style=f"width:{share:.1f}%")


def _side(name: str, samples: Samples) -> Markup:
    peak = decibels(samples)
    return Markup(
        name + tag("small", "silent" if peak is None else f"peak {peak:g} dBFS".replace("-", "\u2212"))
    )

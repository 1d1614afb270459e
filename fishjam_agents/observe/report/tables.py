"""The call as tables: a line for each turn, each barge-in and each event."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fishjam_agents.audio.samples import Samples
from fishjam_agents.observe.latency import TimedReply, median, names
from fishjam_agents.observe.report import latency
from fishjam_agents.observe.report.call import BargeIn, Call, Event, Reply, ToolRun, UserTurn
from fishjam_agents.observe.report.markup import Markup, foreign, joined, tag
from fishjam_agents.observe.report.plot import NONE, clock, milliseconds
from fishjam_agents.observe.report.unanswered import why_unanswered

_KNOWN = frozenset({"at", "media_at", "kind", "peer"})
_REASONS = {
    "missing": "packets ceased",
    "left": "left the room",
    "outage": "connection lost",
    "limit": "reached the maximum turn",
    "app": "ended by the app",
}


def turns(call: Call) -> Markup:
    """A line for each turn with its answer, and for each reply that answers none."""
    answers = {turn.reply for turn in call.turns}
    lines: list[tuple[float, Markup]] = [
        (turn.span.start, _turn(call, turn, call.reply(turn.reply))) for turn in call.turns
    ]
    lines += [(reply.started, _unasked(reply)) for reply in call.replies if reply.id not in answers]
    lines.sort(key=lambda line: line[0])
    words = any(turn.said for turn in call.turns) or any(reply.text for reply in call.replies)
    heads = ["Turn", "Who", "Speech", "End of turn", "Model", "Response", "Answer", "Heard", "Outcome"]
    return _table(heads, [line for _, line in lines], "words" if words else None, numbers=range(3, 6))


def parts(replies: Sequence[TimedReply]) -> Markup:
    """A line for each reply of which it is known how long each part took, and their medians."""
    columns = names(replies)
    lines = [
        tag(
            "tr",
            tag("th", _moment(reply.at, reply.reply), scope="row"),
            joined(_number(reply.parts.get(name)) for name in columns),
            tag("td", milliseconds(reply.whole), class_="number strong"),
        )
        for reply in replies
    ]
    if len(replies) > 1:
        lines.append(
            tag(
                "tr",
                tag("th", "median", scope="row"),
                joined(_number(median(replies, name)) for name in columns),
                tag("td", milliseconds(median(replies)), class_="number strong"),
            )
        )
    return _table(["Reply", *columns, "All"], lines, numbers=range(1, len(columns) + 2))


def tools(call: Call) -> Markup:
    """A line for each call of a tool."""
    lines = [_tool(run) for run in call.tools]
    return _table(["At", "Tool", "Arguments", "Result", "Outcome", "Took"], lines, numbers=(5,))


def barge_ins(call: Call, bot: Samples, sample_rate: int) -> Markup:
    """A line for each barge-in."""
    heads = ["Onset", "Who", "Over", "Silence latency", "Audible for", "Verdict", "Verdict time"]
    lines = [_barge_in(barge_in, bot, sample_rate) for barge_in in call.barge_ins]
    return _table(heads, lines, numbers=(3, 4, 6))


def expectations(judged: Iterable[Mapping[str, Any]]) -> Markup:
    """A line for each expectation of a scenario, those that were not met first."""
    lines = [_expectation(one) for one in sorted(judged, key=lambda one: bool(one["met"]))]
    return _table(["At", "Expected", "Came", "Verdict"], lines)


def events(call: Call) -> Markup:
    """A line for each event of the timeline."""
    lines = [_event(event) for event in call.events]
    return _table(["At", "In the audio", "Event", "Who", "Details"], lines, "events", numbers=range(2))


def _table(
    heads: Sequence[str], lines: Sequence[Markup], name: str | None = None, numbers: Iterable[int] = ()
) -> Markup:
    columns = set(numbers)
    row = tag(
        "tr",
        joined(
            tag("th", head, scope="col", class_="number" if index in columns else None)
            for index, head in enumerate(heads)
        ),
    )
    return tag("table", tag("thead", row), tag("tbody", joined(lines)), class_=name)


def _moment(at: float, label: str | None = None) -> Markup:
    return tag("button", label or clock(at), type="button", class_="moment", data_at=f"{at:.3f}")


def _number(value: float | None) -> Markup:
    return tag("td", milliseconds(value), class_="number")


def _turn(call: Call, turn: UserTurn, reply: Reply | None) -> Markup:
    end = reply.ended if reply is not None and reply.ended is not None else turn.decided
    answered = latency.response(turn, reply)
    response = tag(
        "td",
        milliseconds(None if turn.waited else answered),
        tag("small", f"waited {answered:.1f} s") if turn.waited and answered is not None else None,
        class_="number strong",
    )
    cells = [
        tag("th", turn.id, scope="row"),
        tag("td", foreign(turn.peer)),
        tag(
            "td",
            _moment(turn.span.start),
            f" {NONE} {clock(turn.span.end)}",
            tag("p", foreign(turn.said)) if turn.said else None,
        ),
        _end_of_turn(turn),
        _number(None if turn.waited else latency.model(turn, reply)),
        response,
        *_answer(reply),
        tag("td", _outcome(reply), *_why(call, turn)),
    ]
    return tag("tr", joined(cells), data_from=f"{turn.span.start:.3f}", data_to=f"{end:.3f}")


def _why(call: Call, turn: UserTurn) -> list[Markup]:
    """Notes on how the turn ended, where that is unusual, and why it has no answer."""
    why = why_unanswered(call, turn)
    return [
        *([tag("small", _REASONS[turn.reason])] if turn.reason in _REASONS else []),
        *([tag("small", foreign(why), class_="why")] if why is not None else []),
    ]


def _tool(run: ToolRun) -> Markup:
    done = "done" if run.outcome == "ok" else "cut" if run.outcome in ("error", "timeout") else "none"
    cells = [
        tag("th", _moment(run.span.start), scope="row"),
        tag("td", tag("code", run.tool)),
        tag("td", tag("p", foreign(run.arguments)) if run.arguments else NONE),
        tag("td", tag("p", foreign(run.result)) if run.result else NONE),
        tag("td", tag("span", run.outcome, class_=f"badge {done}")),
        _number(run.span.seconds),
    ]
    return tag("tr", joined(cells), data_from=f"{run.span.start:.3f}", data_to=f"{run.span.end:.3f}")


def _end_of_turn(turn: UserTurn) -> Markup:
    """The delay, by which rule of which policy, and what that was told."""
    told = "" if turn.probability is None else f"p {turn.probability:.2f}"
    why = ", ".join(part for part in (turn.rule, told) if part)
    return tag(
        "td",
        milliseconds(latency.end_of_turn(turn)),
        tag("small", foreign(why)) if why else None,
        class_="number",
    )


def _unasked(reply: Reply) -> Markup:
    cells = [
        tag("th", NONE, scope="row"),
        tag("td", "bot"),
        tag("td", "of its own accord"),
        *(_number(None) for _ in range(3)),
        *_answer(reply),
        tag("td", _outcome(reply)),
    ]
    end = reply.started if reply.ended is None else reply.ended
    return tag("tr", joined(cells), data_from=f"{reply.started:.3f}", data_to=f"{end:.3f}")


def _answer(reply: Reply | None) -> tuple[Markup, Markup]:
    if reply is None:
        return tag("td", NONE), tag("td", NONE)
    words = None
    if reply.text:
        unheard = tag("s", foreign(reply.unheard_text)) if reply.unheard_text.strip() else None
        shown = foreign(reply.heard_text if reply.heard is not None else reply.text)
        words = tag("p", shown, unheard)
    answer = tag(
        "td", _moment(reply.started if reply.first_audio is None else reply.first_audio, reply.id), words
    )
    if reply.heard is None:
        return answer, tag("td", NONE)
    whole = f" of {reply.seconds:.2f}" if reply.seconds is not None else ""
    share = 100 * min(reply.heard / reply.seconds, 1.0) if reply.seconds else None
    meter = tag("span", tag("i", style=f"width:{share:.0f}%"), class_="meter") if share is not None else None
    return answer, tag("td", f"{reply.heard:.2f}{whole} s", meter)


def _outcome(reply: Reply | None) -> Markup:
    if reply is None:
        return tag("span", "not answered", class_="badge none")
    if reply.ended is None:
        return tag("span", "still playing at the end", class_="badge none")
    if not reply.interrupted:
        return tag("span", "completed", class_="badge done")
    return tag(
        "span", "interrupted" if reply.first_audio is not None else "never sounded", class_="badge cut"
    )


def _barge_in(barge_in: BargeIn, bot: Samples, sample_rate: int) -> Markup:
    verdict = {"open": "no verdict of its own"}.get(barge_in.verdict, barge_in.verdict)
    cells = [
        tag("th", _moment(barge_in.onset), scope="row"),
        tag("td", foreign(barge_in.peer)),
        tag("td", barge_in.reply or NONE),
        tag("td", milliseconds(latency.silence(barge_in)), class_="number strong"),
        _number(latency.audible_for(barge_in, bot, sample_rate)),
        tag("td", tag("span", verdict, class_=f"badge {barge_in.verdict}")),
        _number(latency.verdict(barge_in)),
    ]
    return tag("tr", joined(cells))


def _expectation(judged: Mapping[str, Any]) -> Markup:
    met = bool(judged["met"])
    cells = [
        tag("th", _moment(judged["at"]) if "at" in judged else NONE, scope="row"),
        tag("td", judged["expected"]),
        tag("td", foreign(judged["came"])),
        tag("td", tag("span", "met" if met else "not met", class_=f"badge {'done' if met else 'cut'}")),
    ]
    return tag("tr", joined(cells))


def _event(event: Event) -> Markup:
    rest = ", ".join(f"{key} {_plain(event[key])}" for key in event if key not in _KNOWN)
    cells = [
        tag("td", _moment(event["at"]), class_="number"),
        tag("td", clock(event["media_at"]) if "media_at" in event else None, class_="number"),
        tag("td", tag("code", event["kind"])),
        tag("td", foreign(event["peer"]) if event.get("peer") else None),
        tag("td", foreign(rest)),
    ]
    return tag("tr", joined(cells))


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)

"""State and transcript of a call, and how a terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

import pytest
from rich.console import Console

from fishjam_agents import events
from fishjam_agents.cli.terminal.conversation import BotState, Conversation, Line, Speaker
from fishjam_agents.cli.terminal.view import Status, meter, render_line, render_status
from fishjam_agents.events import Event, Heard

YOU = ("you", "microphone")


def started(at: float) -> Event:
    return events.UserStartedSpeaking(at, at, *YOU)


def turn(at: float, media_at: float, reason: str = "silence") -> Event:
    return events.UserTurnEnded(at, media_at, *YOU, start=media_at - 2, turn="turn-1", reason=reason)


def reply(*, text: str = "", reply: str = "r1", at: float = 4.0) -> list[Event]:
    spoken = [events.ReplyText(at, reply, text)] if text else []
    return [events.ReplyStarted(reply, at=at), *spoken, events.ReplyFirstAudio(at, reply)]


def follow(told: Sequence[Event], *, has_transcripts: bool = False) -> tuple[Conversation, list[Line]]:
    lines: list[Line] = []
    conversation = Conversation(lines.append, has_transcripts=has_transcripts)
    for event in told:
        conversation(event)
    return conversation, lines


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ([], BotState.LISTENING),
        ([started(1)], BotState.HEARING),
        ([started(1), events.UserStoppedSpeaking(3, 3, *YOU)], BotState.HEARING),
        ([started(1), turn(3.5, 3)], BotState.THINKING),
        ([started(1), turn(3.5, 3, "cancelled")], BotState.LISTENING),
        ([turn(3.5, 3), events.ReplyStarted("r1", at=4)], BotState.THINKING),
        ([turn(3.5, 3), *reply()], BotState.SPEAKING),
        ([*reply(), events.BargeInSuspected(5, 5, *YOU)], BotState.PAUSED),
        (
            [*reply(), events.BargeInSuspected(5, 5, *YOU), events.BargeInWithdrawn(6, 5, *YOU)],
            BotState.SPEAKING,
        ),
        (
            [*reply(), events.BargeInSuspected(5, 5, *YOU), events.BargeInConfirmed(6, 5, *YOU)],
            BotState.HEARING,
        ),
        ([*reply(), events.ReplyEnded(9, "r1", Heard("r1", 5.0))], BotState.LISTENING),
        ([*reply(), *reply(reply="r2"), events.ReplyEnded(9, "r1", Heard("r1", 5.0))], BotState.SPEAKING),
        ([*reply(), turn(6, 5), events.ReplyEnded(9, "r1", Heard("r1", 5.0))], BotState.THINKING),
        (
            [turn(3.5, 3), events.ReplyStarted("r1", at=4), events.ReplyEnded(5, "r1", Heard("r1", 0.0))],
            BotState.LISTENING,
        ),
        ([turn(3.5, 3), events.Unanswered("no answer", at=5)], BotState.LISTENING),
    ],
)
def test_the_state_follows_the_events(told: list[Event], state: BotState) -> None:
    assert follow(told)[0].state is state


def test_a_turn_without_words_is_told_by_its_length() -> None:
    _, [line] = follow([turn(3.5, 3)])
    assert line == Line(3.5, Speaker.PERSON, "(2.0 s of speech)")


def test_words_are_told_when_they_are_final() -> None:
    told = [events.UserTranscript("hello th", at=2), turn(3.5, 3)]
    conversation, lines = follow(told, has_transcripts=True)
    assert conversation.saying == "hello th"
    assert lines == []
    conversation(events.UserTranscript("Hello there.", final=True, at=3.6))
    assert conversation.saying == ""
    assert lines == [Line(3.6, Speaker.PERSON, "Hello there.")]


def test_an_answer_is_told_with_what_it_took() -> None:
    told = [
        turn(3.5, 3),
        *reply(text=" Good morning."),
        events.ReplyLatency("r1", {"stt": 0.3, "llm": 0.4}, at=4),
        events.ReplyText(4.1, "r1", " How are you?"),
    ]
    conversation, lines = follow(told)
    assert conversation.replying == "Good morning. How are you?"
    conversation(events.ReplyEnded(9, "r1", Heard("r1", 5.0, "Good morning. How are you?")))
    assert lines[1:] == [
        Line(9, Speaker.BOT, "Good morning. How are you?", note="after 1.00 s: stt 0.30, llm 0.40")
    ]
    assert conversation.latencies == [1.0]


def test_what_was_not_heard_of_a_reply_is_marked() -> None:
    told = [*reply(text="One two three four"), events.ReplyInterrupted(6, "r1", Heard("r1", 1.0, "One two"))]
    assert follow(told)[1] == [Line(6, Speaker.BOT, "One two", "three four", "interrupted")]


def test_of_a_reply_without_words_its_seconds_are_told() -> None:
    told = [*reply(), events.ReplyGenerated(4, "r1", 7.2), events.ReplyInterrupted(6, "r1", Heard("r1", 3.2))]
    assert follow(told)[1] == [Line(6, Speaker.BOT, "(3.2 of 7.2 s of speech)", note="interrupted")]


def test_troubles_tools_and_the_end_are_notes() -> None:
    told = [
        events.ToolCalled(1, "clock", "c1", "ok", 0.2),
        events.BackendFailure("it is away", "network", True, at=2),
        events.ErrorRaised(3, "ValueError('x')", "on_turn"),
        events.PeerJoined(4, "you"),
        events.CallEnded(5, "bot"),
        events.CallEnded(6, "stopped"),
    ]
    assert [(line.at, line.speaker) for line in follow(told)[1]] == [
        (1, Speaker.NOTE),
        (2, Speaker.NOTE),
        (3, Speaker.NOTE),
        (5, Speaker.NOTE),
    ]


def drawn(what: object, width: int = 120, *, colour: bool = False) -> str:
    text = StringIO()
    console = Console(
        file=text, width=width, force_terminal=colour, color_system="truecolor" if colour else None
    )
    console.print(what)
    return text.getvalue()


def test_the_live_line_tells_state_level_echo_latency_and_gaps() -> None:
    status = Status(
        BotState.SPEAKING,
        level=-32.4,
        echo="echo after 120 ms, guarded",
        latency=0.42,
        underruns=2,
        replying="Good morning",
        hint="q quits",
    )
    assert drawn(render_status(status)).splitlines() == [
        " bot  Good morning",
        "  ● speaking      mic ██████▅       -32 dB  echo after 120 ms, guarded"
        "  answered after 0.42 s  underruns 2",
        "    q quits",
    ]


def test_a_narrow_terminal_cuts_the_live_line_and_does_not_wrap_it() -> None:
    status = Status(BotState.PAUSED, -20, echo="echo guard on", saying="word " * 50, hint="x" * 100)
    assert [len(line) <= 40 for line in drawn(render_status(status), 40).splitlines()] == [True] * 3


def test_what_models_say_cannot_move_the_cursor() -> None:
    line = Line(1, Speaker.BOT, "a\x1b[2Jb", "c\x07d")
    assert drawn(render_line(line)).splitlines() == [r" bot  a\x1b[2Jb c\x07d"]
    status = Status(BotState.SPEAKING, -20, replying="x\x1b[2Jy [bold]z")
    assert r"x\x1b[2Jy [bold]z" in drawn(render_status(status))


def test_the_rest_that_was_not_heard_is_struck_through() -> None:
    shown = drawn(render_line(Line(1, Speaker.BOT, "heard", "unheard")), colour=True)
    assert "\x1b[2;9m unheard" in shown.replace("39;", "").replace(";39", "")


@pytest.mark.parametrize(
    ("level", "bars"),
    [(-100, " " * 12), (-60, " " * 12), (-35, "██████      "), (-10, "█" * 12), (0, "█" * 12)],
)
def test_the_meter_goes_from_60_to_10_db_below_full_scale(level: float, bars: str) -> None:
    assert meter(level) == bars

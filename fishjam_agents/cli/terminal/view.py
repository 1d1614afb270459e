"""A call in a terminal: the transcript, and below it a line that tells what is going on now."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from fishjam_agents.cli.interrupts import at_abrupt_end
from fishjam_agents.cli.output import say
from fishjam_agents.cli.terminal.conversation import BotState, Line, Speaker
from fishjam_agents.printable import printable

UPDATES_PER_SECOND = 10
_BLOCKS = " ▁▂▃▄▅▆▇█"
_QUIETEST, _LOUDEST = -60.0, -10.0
"""Ends of the level meter, dBFS."""
_BARS = 12
_CLOSE_DEADLINE = 1.0
_SHOW_CURSOR = b"\x1b[?25h"
_STATES = {
    BotState.LISTENING: "green",
    BotState.HEARING: "bold cyan",
    BotState.THINKING: "yellow",
    BotState.SPEAKING: "bold magenta",
    BotState.PAUSED: "bold yellow",
}
_SPEAKERS = {Speaker.PERSON: "cyan", Speaker.BOT: "magenta", Speaker.NOTE: "yellow"}


@dataclass(frozen=True, slots=True)
class Status:
    """State of a call at one moment.

    Attributes:
        state: What the bot is at.
        level: Level of the microphone, dBFS.
        muted: Whether it is muted.
        echo: What the echo guard knows.
        latency: Seconds the last answer took; None before the first.
        underruns: Number of gaps in the bot's voice.
        saying: Words of the person that may still change.
        replying: Words of the reply that is under way.
        hint: The keys there are, or something the person should know.
    """

    state: BotState
    level: float
    muted: bool = False
    echo: str = ""
    latency: float | None = None
    underruns: int = 0
    saying: str = ""
    replying: str = ""
    hint: str = ""


class View(Protocol):
    """Display of a call, which makes nobody wait. A context manager: the terminal is its meanwhile."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def line(self, line: Line) -> None:
        """Show a line of the transcript."""
        ...

    def update(self, status: Status) -> None:
        """Show what goes on now."""
        ...


class PlainView:
    """The transcript as lines, for pipes and files. Is a `View`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def line(self, line: Line) -> None:
        """Part of `View`."""
        unheard = f" [not heard: {line.unheard}]" if line.unheard else ""
        note = f"  ({line.note})" if line.note else ""
        say(f"{line.at:7.2f}  {line.speaker.value:3}  {line.text}{unheard}{note}")

    def update(self, status: Status) -> None:
        """Part of `View`."""


class TerminalView:
    """The transcript with a live line below it. Is a `View`.

    A thread draws: a terminal may stop to take output, as after Ctrl-S.

    Args:
        console: Where to draw; None is standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = Console() if console is None else console
        # What hooks print and what is logged goes above the live line.
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stderr=sys.stderr.isatty()
        )
        self._status: Status | None = None
        self._lines: deque[Line] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="terminal", daemon=True)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(at_abrupt_end(self._show_cursor))
        self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.set()
        self._thread.join(_CLOSE_DEADLINE)
        self._stack.close()

    def line(self, line: Line) -> None:
        """Part of `View`."""
        self._lines.append(line)

    def update(self, status: Status) -> None:
        """Part of `View`."""
        self._status = status

    def _draw(self) -> None:
        try:
            closing = False
            while not closing:
                closing = self._closing.wait(1 / UPDATES_PER_SECOND)
                while self._lines:
                    self._console.print(render_line(self._lines.popleft()))
                if self._status is not None:
                    self._live.update(render_status(self._status), refresh=True)
        finally:
            self._live.stop()

    def _show_cursor(self) -> None:
        # Not through the console, whose lock somebody may hold.
        if self._console.is_terminal:
            os.write(sys.stdout.fileno(), _SHOW_CURSOR)


def render_line(line: Line) -> Text:
    """A line of the transcript, with what was not heard struck through."""
    text = Text(f"{line.speaker.value:>4}  ", style=f"bold {_SPEAKERS[line.speaker]}")
    text.append(printable(line.text), style="not bold default")
    if line.unheard:
        text.append(f" {printable(line.unheard)}", style="not bold strike dim default")
    if line.note:
        text.append(f"  {line.note}", style="not bold dim default")
    return text


def render_status(status: Status) -> Group:
    """The live lines: words that may still change, and what goes on."""
    words = []
    for speaker, said in ((Speaker.PERSON, status.saying), (Speaker.BOT, status.replying)):
        if said:
            text = Text(f"{speaker.value:>4}  ", style=_SPEAKERS[speaker], no_wrap=True, overflow="ellipsis")
            words.append(text.append(printable(said), style="dim default"))
    now = Text("  ● ", style=_STATES[status.state], no_wrap=True, overflow="ellipsis")
    now.append(f"{status.state.value:12}")
    if status.muted:
        now.append("  microphone muted", style="bold red")
    else:
        now.append("  mic ", style="dim default")
        now.append(meter(status.level), style="not bold green")
        now.append(f" {status.level:4.0f} dB", style="not bold dim default")
    for label in (
        status.echo,
        "" if status.latency is None else f"answered after {status.latency:.2f} s",
        f"underruns {status.underruns}" if status.underruns else "",
    ):
        if label:
            now.append(f"  {label}", style="not bold dim default")
    hint = Text(f"    {status.hint}", style="dim", no_wrap=True, overflow="ellipsis")
    return Group(*words, now, hint)


def meter(level: float) -> str:
    """A level as bars, from -60 to -10 dBFS."""
    share = min(max((level - _QUIETEST) / (_LOUDEST - _QUIETEST), 0.0), 1.0) * _BARS
    whole = int(share)
    part = _BLOCKS[round((share - whole) * (len(_BLOCKS) - 1))] if whole < _BARS else ""
    return ("█" * whole + part).ljust(_BARS)

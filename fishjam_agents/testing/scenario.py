"""Scenarios: who says what when in a simulated call, and what is expected of the bot. Data only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fishjam_agents.errors import SettingError
from fishjam_agents.testing.time_spec import Reference, TimeSpec, fields_of, has_field, nearest


@dataclass(frozen=True, slots=True)
class Line:
    """Something a caller says: a recording or, where espeak-ng is installed, a text.

    Attributes:
        wav: A 16-bit WAV of any rate, mono or stereo.
        text: Words for espeak-ng.
        voice: Its voice (`espeak-ng --voices`), with a variant if wanted: `en-gb+f3`.
        at: When it begins (`time_spec.TimeSpec`); None is right after the caller's line before, for the first
            when its caller joins or, for those who are there, at the call's zero.
        start: Where in the recording it begins, seconds.
        end: Where in the recording it ends, seconds; None is its end.
        gain: How much louder, dB.
    """

    wav: Path | None = None
    text: str | None = None
    voice: str = "en-gb"
    at: str | None = None
    start: float = 0.0
    end: float | None = None
    gain: float = 0.0

    def __post_init__(self) -> None:
        if (self.wav is None) == (self.text is None):
            raise SettingError(
                None, "a line needs either wav or text", "give one of them", fields=("wav", "text")
            )
        _check_moment("at", self.at)
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise SettingError("start", "must not be negative, and end must come after it", fields=("end",))


@dataclass(frozen=True, slots=True)
class Mute:
    """A microphone that sends no packets for a while, as a muted browser does.

    Attributes:
        at: When it begins.
        seconds: How long it lasts; None is for good.
    """

    at: str
    seconds: float | None = None

    def __post_init__(self) -> None:
        _check_span(self.at, self.seconds)


@dataclass(frozen=True, slots=True)
class Press:
    """A button held down (`turns.mode: push_to_talk`), as a browser says it in its peer's metadata.

    Attributes:
        at: When it goes down.
        seconds: How long it is held; None is for good.
    """

    at: str
    seconds: float | None = None

    def __post_init__(self) -> None:
        _check_span(self.at, self.seconds)


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise in a caller's microphone, from the call's zero on.

    Attributes:
        kind: A computed one; None where `wav` is given.
        wav: A recording, repeated as long as the call lasts.
        level: Its level, dBFS (RMS). None is -45 for a computed noise, and leaves a recording as it is.
    """

    kind: Literal["white", "pink", "brown", "hum"] | None = None
    wav: Path | None = None
    level: float | None = None

    def __post_init__(self) -> None:
        if (self.wav is None) == (self.kind is None):
            raise SettingError(
                None, "needs either kind or wav", "give one of them", section="noise", fields=("kind", "wav")
            )
        if self.level is not None and not -100 <= self.level <= 0:
            raise SettingError("level", "must be between -100 and 0 dBFS")


MAX_ECHO_DELAY = 2.0
"""Seconds that an echo may be late at most."""


@dataclass(frozen=True, slots=True)
class EchoChange:
    """A change of an echo in mid-call: somebody turns the volume, or moves to another loudspeaker.

    Attributes:
        at: When it takes place.
        level: How loud the echo is from then on, dB of what was played; None leaves it. -100 is a headset.
        delay: How late it is from then on, seconds; None leaves it.
    """

    at: str
    level: float | None = None
    delay: float | None = None

    def __post_init__(self) -> None:
        _check_moment("at", self.at)
        if self.level is None and self.delay is None:
            raise SettingError(None, "a change needs level or delay", "say what changes")
        _check_echo(self.level, self.delay)


@dataclass(frozen=True, slots=True)
class Echo:
    """The bot's voice as it comes back through a caller's loudspeaker and microphone.

    Attributes:
        level: How loud, dB of what was played.
        delay: How late, seconds.
        at: When it begins, as where a headset is taken off; None is with the call.
        changes: What becomes of it later.
    """

    level: float = -12.0
    delay: float = 0.15
    at: str | None = None
    changes: tuple[EchoChange, ...] = ()

    def __post_init__(self) -> None:
        _check_moment("at", self.at)
        _check_echo(self.level, self.delay)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody in the room, with an open microphone.

    Attributes:
        lines: What they say.
        joins: When they come in; None is before the call's zero.
        leaves: When they go, in the middle of a word if need be; None is never.
        mutes: When their microphone sends nothing.
        presses: When they hold the button of push to talk.
        noise: What else their microphone picks up.
        echo: Whether it picks up the bot.
        camera: A JPEG that their camera shows.
    """

    lines: tuple[Line, ...] = ()
    joins: str | None = None
    leaves: str | None = None
    mutes: tuple[Mute, ...] = ()
    presses: tuple[Press, ...] = ()
    noise: Noise | None = None
    echo: Echo | None = None
    camera: Path | None = None

    def __post_init__(self) -> None:
        _check_moment("joins", self.joins)
        _check_moment("leaves", self.leaves)

    def moments(self) -> Iterator[str]:
        """Every moment it names."""
        lines = (line.at for line in self.lines)
        mutes = (mute.at for mute in self.mutes)
        presses = (press.at for press in self.presses)
        echo = () if self.echo is None else (self.echo.at, *(change.at for change in self.echo.changes))
        times = [self.joins, self.leaves, *lines, *mutes, *presses, *echo]
        yield from (time for time in times if time is not None)


@dataclass(frozen=True, slots=True)
class Expected:
    """An event that must come.

    Attributes:
        event: Which (`time_spec.Reference`): `reply_ended`, `user_turn_ended 2 of bob`.
        count: How many of them the call must hold; None is at least the one named.
        after: The event from which `within` and `not_before` are counted; None is the call's zero.
        within: At most so many seconds after it.
        not_before: At least so many seconds after it.
        where: Fields with the text they must have: `{reason: left}`.
        least: Fields with the least they may be: `{heard.seconds: 2}`.
        most: Fields with the most they may be.
    """

    event: str
    count: int | None = None
    after: str | None = None
    within: float | None = None
    not_before: float | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("event", "after"):
            text = getattr(self, name)
            if text is not None:
                _named(name, Reference.parse, text)
        if self.after is not None and self.within is None and self.not_before is None:
            raise SettingError("after", "needs within or not_before", "say how long after")
        if self.within is not None and self.within < (self.not_before or 0):
            raise SettingError(
                "within", "must not be less than not_before, nor than 0", fields=("not_before",)
            )
        if self.count is not None and self.count < 0:
            raise SettingError("count", "must not be negative")
        kind = Reference.parse(self.event).kind
        for name in ("where", "least", "most"):
            for path in getattr(self, name):
                if not has_field(kind, path):
                    advice = nearest(path, fields_of(kind))
                    raise SettingError(name, action=f"{kind} has no {path}: {advice}")


FAILURES = ("error", "backend_failure")
"""Kinds of events that no call may hold unless its scenario expects them."""


@dataclass(frozen=True, slots=True)
class Expectations:
    """Requirements that a call must meet.

    Attributes:
        order: Events that must come in this order (`reply_ended`, `user_turn_ended of bob`); others may come
            in between.
        absent: Events that must not come.
        events: Events that must come, and when.
        failures: Whether `FAILURES` may come that are not among `order` and `events`.
    """

    order: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    events: tuple[Expected, ...] = ()
    failures: bool = False

    def __post_init__(self) -> None:
        for name in ("order", "absent"):
            for text in getattr(self, name):
                _named(name, Reference.parse, text)
                if Reference.parse(text).number != 1:
                    raise SettingError(
                        name, action=f"{text}: leave out the number, each is the next of its kind"
                    )

    @property
    def all_absent(self) -> tuple[str, ...]:
        """Events that must not come, failures included."""
        if self.failures:
            return self.absent
        awaited = {Reference.parse(text).kind for text in (*self.order, *(one.event for one in self.events))}
        return (*self.absent, *(kind for kind in FAILURES if kind not in {*awaited, *self.absent}))


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole call.

    Attributes:
        callers: By the names that the timeline shows.
        expect: What it must show.
        name: What it is called; a file's name without its ending.
        about: What it shows, in a sentence.
        seconds: Length of the call, at most 600. None ends it when the callers have finished and the bot
            has been silent for 3 s.
        delay: Seconds each message of the bot takes to the server.
        jitter: Largest extra delay, in seconds.
    """

    callers: Mapping[str, Caller]
    expect: Expectations = field(default_factory=Expectations)
    name: str = ""
    about: str = ""
    seconds: float | None = None
    delay: float = 0.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if not self.callers:
            raise SettingError("callers", "must name somebody", "a call needs at least one caller")
        if self.seconds is not None and not 0 < self.seconds <= 600:
            raise SettingError("seconds", "must be above 0 and at most 600")
        if not (0 <= self.delay <= 5 and 0 <= self.jitter <= 5):
            raise SettingError(
                None, "delay and jitter must be between 0 and 5 seconds", fields=("delay", "jitter")
            )
        for peer in self._peers():
            if peer not in self.callers:
                told = f"`of {peer}`: nobody among callers is called so"
                raise SettingError(None, told, nearest(peer, self.callers), fields=("callers",))

    def _peers(self) -> Iterator[str]:
        for caller in self.callers.values():
            for text in caller.moments():
                after = TimeSpec.parse(text).after
                if after is not None and after.peer is not None:
                    yield after.peer
        asked = [*self.expect.order, *self.expect.absent]
        for expected in self.expect.events:
            asked += [text for text in (expected.event, expected.after) if text is not None]
        for text in asked:
            peer = Reference.parse(text).peer
            if peer is not None:
                yield peer


def _check_echo(level: float | None, delay: float | None) -> None:
    if delay is not None and not 0.02 <= delay <= MAX_ECHO_DELAY:
        raise SettingError("delay", f"must be between 0.02 and {MAX_ECHO_DELAY:g} seconds")
    if level is not None and level > 0:
        raise SettingError("level", "must be 0 dB or below", "an echo is no louder than the voice")


def _check_moment(name: str, text: str | None) -> None:
    if text is not None:
        _named(name, TimeSpec.parse, text)


def _check_span(at: str, seconds: float | None) -> None:
    _check_moment("at", at)
    if seconds is not None and seconds <= 0:
        raise SettingError("seconds", "must be above zero")


def _named(name: str, parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        raise SettingError(name, action=str(error)) from error

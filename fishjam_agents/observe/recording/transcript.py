"""Transcripts of calls: who said what when, and of the bot what was heard. As JSON lines, and as WebVTT."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fishjam_agents import events
from fishjam_agents.events import Event

_KEPT = 32
"""Turns and replies that are remembered, the latest ones."""
_LINE = " "


@dataclass(frozen=True, slots=True)
class Said:
    """A line of a transcript. Times are seconds since the recording began.

    Attributes:
        start: When it began.
        end: When it ended.
        speaker: `user` or `bot`.
        text: The words; of the bot those that were heard.
        peer: Who spoke, where that is known.
        reply: Id of the reply, of the bot.
        interrupted: Whether it was cut short.
        text_exact: Whether the words of a cut reply end where its sound did; else they are in proportion.
        written: Whether it was written, not spoken.
    """

    start: float
    end: float
    speaker: Literal["user", "bot"]
    text: str
    peer: str | None = None
    reply: str | None = None
    interrupted: bool = False
    text_exact: bool | None = None
    written: bool = False

    def line(self) -> str:
        """The line as JSON, without what is not known."""
        data = {key: value for key, value in asdict(self).items() if value is not None and value is not False}
        return json.dumps(data, ensure_ascii=False) + "\n"


class Transcript:
    """Makes the lines of a call from its events, in bounded memory."""

    def __init__(self) -> None:
        self._turns: deque[events.UserTurnEnded] = deque(maxlen=_KEPT)
        self._speaking: OrderedDict[str, events.UserStartedSpeaking] = OrderedDict()
        self._sounding: OrderedDict[str, float] = OrderedDict()

    def take(self, event: Event) -> Said | None:
        """Take an event.

        Returns:
            The line that is complete with it.
        """
        match event:
            case events.UserStartedSpeaking():
                self._speaking[event.track] = event
                if len(self._speaking) > _KEPT:
                    self._speaking.popitem(last=False)
            case events.UserTurnEnded():
                self._turns.append(event)
                self._speaking.pop(event.track, None)
            case events.ReplyFirstAudio():
                self._sounding[event.reply] = event.at
                if len(self._sounding) > _KEPT:
                    self._sounding.popitem(last=False)
            case events.UserTranscript() if event.final and event.text.strip():
                start, end, peer = self._when(event)
                return Said(start, end, "user", event.text.strip(), peer)
            case events.UserText():
                at = round(event.at, 3)
                return Said(at, at, "user", event.text, event.peer, written=True)
            case events.ReplyEnded() | events.ReplyInterrupted():
                return self._reply(event)
            case _:
                pass
        return None

    def _when(self, event: events.UserTranscript) -> tuple[float, float, str | None]:
        """Return the time of words: in the turn they name, else in one that goes on, else in the last."""
        if event.start is not None:
            for turn in reversed(self._turns):
                if turn.start == event.start and event.peer in (None, turn.peer):
                    return round(turn.start, 3), round(turn.media_at, 3), event.peer or turn.peer
        for started in reversed(self._speaking.values()):
            if event.peer in (None, started.peer):
                return round(started.media_at, 3), round(event.at, 3), event.peer or started.peer
        for turn in reversed(self._turns):
            if event.peer in (None, turn.peer):
                return round(turn.start, 3), round(turn.media_at, 3), event.peer or turn.peer
        return round(event.at, 3), round(event.at, 3), event.peer

    def _reply(self, event: events.ReplyEnded | events.ReplyInterrupted) -> Said | None:
        started = self._sounding.pop(event.reply, None)
        if started is None or not event.heard.text.strip():
            # Nothing of it was heard.
            return None
        interrupted = isinstance(event, events.ReplyInterrupted)
        exact = event.heard.text_exact if interrupted else None
        return Said(
            *(round(started, 3), round(event.at, 3), "bot", event.heard.text.strip()),
            reply=event.reply,
            interrupted=interrupted,
            text_exact=exact,
        )


def web_vtt(lines: Iterable[Mapping[str, Any]]) -> str:
    """A transcript as WebVTT (W3C), its speakers as voices.

    Args:
        lines: Lines of the JSON form, read.
    """
    cues = sorted(lines, key=lambda line: (line["start"], line["end"]))
    return "WEBVTT\n" + "".join(_cue(line) for line in cues)


def _cue(line: Mapping[str, Any]) -> str:
    # A cue that ends where it begins is shown by no player.
    end = max(line["end"], line["start"] + 0.5)
    who = line["speaker"] if line["speaker"] == "bot" else line.get("peer") or "user"
    return f"\n{_time(line['start'])} --> {_time(end)}\n<v {_escaped(who)}>{_escaped(line['text'])}\n"


def _time(seconds: float) -> str:
    millis = round(max(seconds, 0.0) * 1000)
    return (
        f"{millis // 3_600_000:02d}:{millis // 60_000 % 60:02d}:{millis // 1000 % 60:02d}.{millis % 1000:03d}"
    )


def _escaped(text: str) -> str:
    for plain, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(plain, escaped)
    # An empty line would end the cue.
    return _LINE.join(text.split())

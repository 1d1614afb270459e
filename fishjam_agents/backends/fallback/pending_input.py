"""Inputs of a backend that have no answer yet: a backend that takes over is sent them first."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence

from fishjam_agents.backends.port import (
    AudioInput,
    BackendInput,
    ImageInput,
    InterruptInput,
    OutOfBandInput,
    TextInput,
    TurnCancelledInput,
    TurnEndedInput,
    TurnStartedInput,
)

_KEPT = 60.0
"""Seconds of the user's audio, the longest turn there is by default (`turns.max_turn`)."""
_KEPT_UNASKED = 10.0
"""The same where the model finds turns itself: most of what it hears then is nobody's turn."""
_ENTRIES_KEPT = 4000
"""A minute of audio has 3000."""
_WORDS_KEPT = 64
"""Of `say` and of questions each."""


class PendingInput:
    """The words of users since the last answer began, and what is still to be spoken for the app.

    Args:
        continuous: Audio flows all the time and no turns are announced (`turns.mode: backend`).
    """

    def __init__(self, *, continuous: bool) -> None:
        self._continuous = continuous
        self._limit = _KEPT_UNASKED if continuous else _KEPT
        self._entries: deque[BackendInput] = deque()
        self._audio = 0.0
        self._says: OrderedDict[str, TextInput] = OrderedDict()
        self._questions: OrderedDict[str, OutOfBandInput] = OrderedDict()
        self._answer: str | None = None
        self._answered = True
        self.turn_open = False

    @property
    def owed(self) -> bool:
        """True while somebody waits for an answer, or for words that the app gave."""
        return bool(self._says or self._questions) or (not self._answered and not self._continuous)

    @property
    def answered(self) -> bool:
        """Whether the model has begun to speak to what was said."""
        return self._answered

    def unanswered(self) -> Sequence[BackendInput]:
        """Return the inputs that a backend that takes over has to be sent first, in order."""
        entries = () if self._answered else tuple(self._entries)
        return (*entries, *self._says.values(), *self._questions.values())

    # --- what the backend is told ---

    def asked(self, entry: BackendInput) -> None:
        """An entry is about to be sent, perhaps again; an answer may come before it was sent."""
        match entry:
            case TurnStartedInput():
                self._begin()
                self.turn_open = True
            case TurnEndedInput():
                self.turn_open = False
                self._answered = False
            case TextInput(verbatim=True, reply=str(reply)):
                self._says[reply] = entry
                if len(self._says) > _WORDS_KEPT:
                    self._says.popitem(last=False)
            case OutOfBandInput(question):
                self._questions[question] = entry
                if len(self._questions) > _WORDS_KEPT:
                    self._questions.popitem(last=False)
            case TextInput(verbatim=False, note=False) if not self.turn_open:
                self._begin()
            case AudioInput() if self._continuous and self._answered:
                self._clear()
            case TurnCancelledInput():
                self.turn_open = False
                self._forget_turn()
            case InterruptInput(heard):
                if heard is not None:
                    self._says.pop(heard.reply, None)
                    # Of an answer that nobody heard anything of, the question still stands.
                    if heard.seconds and not self.turn_open and not self._continuous:
                        self._answered = True

    def sent(self, entry: BackendInput) -> None:
        """An entry was sent."""
        match entry:
            case TextInput(verbatim=False, note=False) | TurnStartedInput() | TurnEndedInput():
                self._keep(entry)
            case ImageInput():
                # The last picture is what is spoken of.
                self._entries = deque(kept for kept in self._entries if not isinstance(kept, ImageInput))
                self._keep(entry)
            case AudioInput():
                self._keep(entry)

    # --- what the backend says ---

    def begun(self, reply: str) -> None:
        """A reply has begun."""
        if reply not in self._says and not self.turn_open:
            self._answer = reply

    def spoken(self, reply: str) -> None:
        """There is audio of a reply."""
        if self._says.pop(reply, None) is None and reply == self._answer:
            self._answered = True

    def forget_out_of_band(self, question: str) -> None:
        """A question of the app's was answered."""
        self._questions.pop(question, None)

    def drop(self, entry: BackendInput) -> None:
        """Forget an entry of the app that was not sent: it comes again, or this backend cannot serve it."""
        if isinstance(entry, OutOfBandInput):
            self.forget_out_of_band(entry.question)
        elif isinstance(entry, TextInput) and entry.reply is not None:
            self._says.pop(entry.reply, None)

    def settle(self) -> None:
        """Mark the users' input as settled without an answer, as a model may leave it."""
        self._answered = True

    def tool_called(self) -> None:
        """The model waits for a tool: what it was asked is answered only when it speaks again."""
        self._answer = None
        if self._entries:
            self._answered = False

    # --- keeping ---

    def _begin(self) -> None:
        """Somebody says something: what was answered before is of the past."""
        if self._answered:
            self._clear()
        self._answer = None

    def _clear(self) -> None:
        self._entries.clear()
        self._audio = 0.0
        self._answered = False

    def _keep(self, entry: BackendInput) -> None:
        self._entries.append(entry)
        self._audio += _seconds(entry)
        while self._audio > self._limit or len(self._entries) > _ENTRIES_KEPT:
            # The oldest audio goes; where a turn begins is still told.
            index = next((n for n, kept in enumerate(self._entries) if _seconds(kept)), 0)
            self._audio -= _seconds(self._entries[index])
            del self._entries[index]

    def _forget_turn(self) -> None:
        while self._entries:
            entry = self._entries.pop()
            self._audio -= _seconds(entry)
            if isinstance(entry, TurnStartedInput):
                break
        self._answered = not self._entries


def _seconds(entry: BackendInput) -> float:
    if isinstance(entry, AudioInput):
        return entry.seconds
    if isinstance(entry, TurnEndedInput) and entry.audio is not None:
        return entry.turn.end - entry.turn.start
    return 0.0

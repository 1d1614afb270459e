"""Input of users that no backend has answered yet, for whichever takes over."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import assert_never

from fishjam_agents.backends.port import (
    AudioEndedInput,
    AudioInput,
    BackendInput,
    ControlInput,
    ImageInput,
    InterruptInput,
    OutOfBandInput,
    SpeechSuspectedInput,
    TextInput,
    ToolResultInput,
    TurnCancelledInput,
    TurnEndedInput,
    TurnPausedInput,
    TurnResumedInput,
    TurnStartedInput,
    UpdateInput,
)

_KEPT = 60.0
"""Seconds of the user's audio, the longest turn there is by default (`turns.max_turn`)."""
_KEPT_UNASKED = 10.0
"""The same where the model finds turns itself: most of what it hears then is nobody's turn."""
_INPUTS_KEPT = 4000
"""A minute of audio has 3000."""
_WORDS_KEPT = 64
"""Of `say` and of questions each."""


class PendingInput:
    """Words of users since the last answer began, and what is still to be spoken for the app.

    Args:
        continuous: Audio flows all the time and no turns are announced (`turns.mode: backend`).
    """

    def __init__(self, *, continuous: bool) -> None:
        self._continuous = continuous
        self._limit = _KEPT_UNASKED if continuous else _KEPT
        self._inputs: deque[BackendInput] = deque()
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
        """True if the model has begun to speak to what was said."""
        return self._answered

    def unanswered(self) -> Sequence[BackendInput]:
        """Return the inputs that a backend that takes over has to be sent first, in order."""
        inputs = () if self._answered else tuple(self._inputs)
        return (*inputs, *self._says.values(), *self._questions.values())

    # --- what the backend is told ---

    def asked(self, item: BackendInput) -> None:
        """Take note of an input that is about to be sent, perhaps again: an answer may come before it was."""
        match item:
            case TurnStartedInput():
                self._begin()
                self.turn_open = True
            case TurnEndedInput():
                self.turn_open = False
                self._answered = False
            case TextInput(reply=str(reply)):
                self._says[reply] = item
                if len(self._says) > _WORDS_KEPT:
                    self._says.popitem(last=False)
            case OutOfBandInput(question):
                self._questions[question] = item
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
            case TextInput() | AudioInput() | ImageInput() | ToolResultInput():
                pass
            case AudioEndedInput() | TurnPausedInput() | TurnResumedInput() | SpeechSuspectedInput():
                pass
            case UpdateInput() | ControlInput():
                pass
            case _:
                assert_never(item)

    def sent(self, item: BackendInput) -> None:
        """Keep an input that was sent."""
        match item:
            case TextInput(reply=None, note=False) | TurnStartedInput() | TurnEndedInput():
                self._keep(item)
            case ImageInput():
                # The last picture is what is spoken of.
                self._inputs = deque(kept for kept in self._inputs if not isinstance(kept, ImageInput))
                self._keep(item)
            case AudioInput():
                self._keep(item)
            case TextInput() | ToolResultInput() | InterruptInput() | OutOfBandInput() | TurnCancelledInput():
                pass
            case AudioEndedInput() | TurnPausedInput() | TurnResumedInput() | SpeechSuspectedInput():
                pass
            case UpdateInput() | ControlInput():
                pass
            case _:
                assert_never(item)

    # --- what the backend says ---

    def begun(self, reply: str) -> None:
        """Take note that a reply has begun."""
        if reply not in self._says and not self.turn_open:
            self._answer = reply

    def spoken(self, reply: str) -> None:
        """Take note that there is audio of a reply."""
        if self._says.pop(reply, None) is None and reply == self._answer:
            self._answered = True

    def forget_out_of_band(self, question: str) -> None:
        """Forget a question of the app that was answered."""
        self._questions.pop(question, None)

    def drop(self, item: BackendInput) -> None:
        """Forget an input of the app that was not sent: it comes again, or this backend cannot serve it."""
        if isinstance(item, OutOfBandInput):
            self.forget_out_of_band(item.question)
        elif isinstance(item, TextInput) and item.reply is not None:
            self._says.pop(item.reply, None)

    def settle(self) -> None:
        """Mark the users' input as settled without an answer, as a model may leave it."""
        self._answered = True

    def tool_called(self) -> None:
        """Take note that the model waits for a tool: it answers only when it speaks again."""
        self._answer = None
        if self._inputs:
            self._answered = False

    # --- keeping ---

    def _begin(self) -> None:
        """Begin to keep what somebody says: what was answered before is of the past."""
        if self._answered:
            self._clear()
        self._answer = None

    def _clear(self) -> None:
        self._inputs.clear()
        self._audio = 0.0
        self._answered = False

    def _keep(self, item: BackendInput) -> None:
        self._inputs.append(item)
        self._audio += _seconds(item)
        while self._audio > self._limit or len(self._inputs) > _INPUTS_KEPT:
            # The oldest audio goes; where a turn begins is still told.
            index = next((n for n, kept in enumerate(self._inputs) if _seconds(kept)), 0)
            self._audio -= _seconds(self._inputs[index])
            del self._inputs[index]

    def _forget_turn(self) -> None:
        while self._inputs:
            item = self._inputs.pop()
            self._audio -= _seconds(item)
            if isinstance(item, TurnStartedInput):
                break
        self._answered = not self._inputs


def _seconds(item: BackendInput) -> float:
    if isinstance(item, AudioInput):
        return item.seconds
    if isinstance(item, TurnEndedInput) and item.audio is not None:
        return item.turn.end - item.turn.start
    return 0.0

"""State of a call that outlives its backends: whose time it is, and what nobody has answered yet."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from fishjam_agents.backends.fallback.health import FailoverPolicy
from fishjam_agents.backends.fallback.transcript import Transcript
from fishjam_agents.backends.id_namespace import IdNamespace
from fishjam_agents.backends.port import (
    AudioEndedInput,
    AudioInput,
    Backend,
    BackendContext,
    BackendEvent,
    BackendInput,
    BackendWarning,
    Capabilities,
    ControlInput,
    ImageInput,
    InterruptInput,
    OutOfBandInput,
    Samples,
    TextInput,
    ToolResultInput,
    TurnCancelledInput,
    TurnEndedInput,
    TurnPausedInput,
    TurnResumedInput,
    TurnStartedInput,
    UpdateInput,
)

_SEPARATOR = "~"
_SAID_REMEMBERED = 256
"""Ids of `say` that are remembered; more do not wait to be spoken."""
_KEPT = 60.0
"""Seconds of the user's audio, the longest turn there is by default (`turns.max_turn`)."""
_KEPT_UNASKED = 10.0
"""The same where the model finds turns itself: most of what it hears then is nobody's turn."""
_INPUTS_KEPT = 4000
"""A minute of audio has 3000."""
_WORDS_KEPT = 64
"""Of `say` and of questions each."""


@dataclass(slots=True)
class ActiveBackend:
    """One backend's time, from when it takes over to when the next one does; it may reconnect in between.

    Attributes:
        index: Index of the backend.
        backend: Its settings.
        name: Its name in messages.
        promised: Capabilities that the pipeline was told of.
        ids: Its ids of replies and tool calls.
        briefing: The conversation before it took over; empty for the first.
        begun: Whether it was sent what nobody had answered when it took over.
        memory: Its `BackendContext.memory`.
        frames: The user's turn as far as it has come, for a backend that wants turns whole.
        pending: Its tool calls without a result.
        called: Its tool calls since the words that are not answered yet, with a result or without.
        total_cost: Cost of the call so far, as it says.
        missing: Kinds of input that it cannot take; each is warned of once.
    """

    index: int
    backend: Backend
    name: str
    promised: Capabilities
    ids: IdNamespace
    briefing: str = ""
    begun: bool = False
    memory: dict[str, Any] = field(default_factory=dict)
    frames: list[Samples] = field(default_factory=list)
    pending: set[str] = field(default_factory=set)
    called: dict[str, None] = field(default_factory=dict)
    total_cost: float = 0.0
    missing: set[str] = field(default_factory=set)

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the backend."""
        return self.backend.capabilities

    def lacks(self, what: str, emit: Callable[[BackendEvent], None]) -> None:
        """Warn the call once of something that is not sent to it."""
        if what not in self.missing:
            self.missing.add(what)
            emit(BackendWarning(f"{self.name} stands in and takes no {what}: none goes to it"))

    def instructions(self, wanted: str | None) -> str | None:
        """The system prompt, with what was said before."""
        return "\n\n".join(part for part in (wanted, self.briefing) if part) or None


class FallbackState:
    """State that outlives connections and backends: the same object for a whole call.

    Args:
        policy: Choice of the backend that takes over.
        context: The call.

    Attributes:
        policy: Choice of the backend that takes over.
        context: The call, with its instructions and tools as they are now.
        pending_input: Inputs without an answer.
        transcript: The conversation so far.
        active: The backend that serves the call.
        served: The one that was connected to last, None before.
        connections: Connections to each backend so far, by its index.
        said: Words that the app gave to speak, by the id of their reply.
        spent: Cost of the backends whose time is over.
        sounds_until: When what was said so far has been played, if nothing held it up, loop time.
        sent_at: When the backend was sent something last, loop time.
    """

    def __init__(self, policy: FailoverPolicy, context: BackendContext) -> None:
        self.policy = policy
        self.context = context
        self.pending_input = PendingInput(continuous=context.turn_mode == "backend")
        self.transcript = Transcript()
        self.active: ActiveBackend | None = None
        self.served: ActiveBackend | None = None
        self.connections: Counter[int] = Counter()
        self.said: OrderedDict[str, str] = OrderedDict()
        self.spent = 0.0
        self.sounds_until = 0.0
        self.sent_at = 0.0
        self._count = 0

    def begin(self, index: int, backend: Backend, name: str, promised: Capabilities) -> ActiveBackend:
        """Begin a backend's time."""
        self._count += 1
        ids = IdNamespace(_SEPARATOR, self._count, self.said)
        self.active = ActiveBackend(index, backend, name, promised, ids, str(self.transcript))
        return self.active

    def serves(self, active: ActiveBackend, emit: Callable[[BackendEvent], None]) -> None:
        """Take note that a backend is connected to, and tell of one that is preferred and back."""
        before, self.served = self.served, active
        if before is not None and active.index < before.index:
            emit(BackendWarning(f"{active.name} serves again: {before.name} stood in for it"))

    def end(self) -> None:
        """End the time of the backend: it is left for another one."""
        if self.active is not None:
            self.spent += self.active.total_cost
        self.active = None

    def update(self, item: UpdateInput) -> None:
        """Take new instructions and tools, also for whoever takes over."""
        context = self.context
        self.context = replace(
            context,
            instructions=context.instructions if item.instructions is None else item.instructions,
            tools=context.tools if item.tools is None else item.tools,
        )

    def is_blocking(self, tool: str) -> bool:
        """Return whether the model waits for the result of a tool."""
        return all(offered.blocking for offered in self.context.tools if offered.name == tool)

    def will_say(self, reply: str, text: str) -> None:
        """Take words that the app gave to speak, under an id of its own."""
        self.said[reply] = text
        if len(self.said) > _SAID_REMEMBERED:
            self.said.popitem(last=False)


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
            case TextInput(verbatim=True, reply=str(reply)):
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
            case AudioEndedInput() | TurnPausedInput() | TurnResumedInput() | UpdateInput() | ControlInput():
                pass
            case _:
                assert_never(item)

    def sent(self, item: BackendInput) -> None:
        """Keep an input that was sent."""
        match item:
            case TextInput(verbatim=False, note=False) | TurnStartedInput() | TurnEndedInput():
                self._keep(item)
            case ImageInput():
                # The last picture is what is spoken of.
                self._inputs = deque(kept for kept in self._inputs if not isinstance(kept, ImageInput))
                self._keep(item)
            case AudioInput():
                self._keep(item)
            case TextInput() | ToolResultInput() | InterruptInput() | OutOfBandInput() | TurnCancelledInput():
                pass
            case AudioEndedInput() | TurnPausedInput() | TurnResumedInput() | UpdateInput() | ControlInput():
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

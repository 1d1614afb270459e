"""State that outlives a connection: the handle to resume by, the transcript, unanswered inputs."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from fishjam_agents.backends.conversation import (
    CUT,
    UNKNOWN_OUTCOME,
    BotLine,
    PastConversation,
    ToolLine,
    UserLine,
)
from fishjam_agents.backends.port import (
    AudioInput,
    BackendInput,
    TextInput,
    TurnEndedInput,
    TurnStartedInput,
)

BACKEND = "Gemini"
"""Name of the backend's class, by which a handle is known to be its own."""
HANDLE_LIFE = 7200.0
"""Seconds a resumption handle is good for (session management guide)."""
_REPLAYED = 15.0
"""Seconds of audio that are said again to a connection that follows one that died in the middle of a turn."""
_CHARACTERS = 40_000
"""Of the conversation, which a new session is told."""
_CALLS_REMEMBERED = 256


@dataclass(slots=True)
class SessionContinuity:
    """The call as this side knows it; the same object for every connection.

    Attributes:
        handle: By which the session can be resumed.
        handle_at: When it came, loop time.
        opened: Connections opened so far.
        model: The model of the last connection.
        pending: Tool calls that wait for their result: name by id.
        void: Tool calls of a session that is gone, or taken back: their results are of no use.
        replies: Replies so far, for their ids.
        unnamed: Tool calls so far that came without an id.
        spent: Price of the call so far.
        resumed_at: When a resumed session was opened last, loop time.
        stumbles: How often in a row the service failed while a session was to be resumed.
        notes: What the model is to know as soon as that interrupts nothing.
        asked: Replies that the app asks for and that have not begun.
    """

    handle: str | None = None
    handle_at: float = 0.0
    opened: int = 0
    model: str | None = None
    pending: dict[str, str] = field(default_factory=dict)
    void: OrderedDict[str, None] = field(default_factory=OrderedDict)
    replies: int = 0
    unnamed: int = 0
    spent: float = 0.0
    resumed_at: float | None = None
    stumbles: int = 0
    notes: deque[TextInput] = field(default_factory=deque)
    asked: deque[TextInput] = field(default_factory=deque)
    _transcript: deque[tuple[str, str]] = field(default_factory=deque)
    _characters: int = 0
    _unanswered: deque[BackendInput] = field(default_factory=deque)
    _unanswered_audio: float = 0.0
    _seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _uncovered: set[str] = field(default_factory=set)
    _since_words: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def usable_handle(self, now: float) -> str | None:
        """The handle, unless it has expired."""
        return self.handle if now - self.handle_at < HANDLE_LIFE else None

    def forget_session(self) -> list[str]:
        """The session is gone for good; the ids of the calls that the next one knows nothing of.

        They are those whose results can no longer be taken, and those that were answered and are about words
        which the next session is told again.
        """
        self.handle = None
        self._uncovered.clear()
        gone = list(dict.fromkeys((*self._since_words, *self.pending)))
        self._since_words.clear()
        self._forget(gone)
        return gone

    def continues(self, conversation: PastConversation, now: float) -> None:
        """Messages of before this process served the call.

        The session is resumed only if it knows all of that; else a new one is told.

        Args:
            conversation: The conversation.
            now: Loop time.
        """
        for line in conversation.lines:
            match line:
                case UserLine():
                    self.note("user", line.text)
                case BotLine():
                    self.note("model", f"{line.heard}{CUT if line.cut else ''}" if line.heard else "")
                case ToolLine():
                    self.note("user", f"[{line.name} was called: {line.result or UNKNOWN_OUTCOME}]")
                case _:
                    assert_never(line)
        is_known = conversation.handle_lines == len(conversation.lines) and not conversation.unworded
        if conversation.handle_of == BACKEND and is_known:
            self.handle, self.handle_at = conversation.handle, now - conversation.handle_age

    # --- what was said ---

    def note(self, role: str, text: str) -> None:
        """Remember words of a side."""
        text = text.strip()
        if not text:
            return
        self._transcript.append((role, text))
        self._characters += len(text)
        while self._characters > _CHARACTERS:
            self._characters -= len(self._transcript.popleft()[1])

    @property
    def transcript(self) -> list[tuple[str, str]]:
        """Role and words, oldest first."""
        return list(self._transcript)

    # --- what was sent and not answered ---

    def sent(self, item: BackendInput) -> None:
        """An input is on the wire; the model has not answered it yet."""
        self._unanswered.append(item)
        if isinstance(item, AudioInput):
            self._unanswered_audio += item.seconds
            if self._unanswered_audio > _REPLAYED:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        for index, item in enumerate(self._unanswered):
            if isinstance(item, AudioInput):
                self._unanswered_audio -= item.seconds
                del self._unanswered[index]
                return

    def answered(self, *, turn_open: bool = False) -> None:
        """The model has understood what it was sent, but for a turn that is open."""
        kept: deque[BackendInput] = deque()
        while turn_open and self._unanswered:
            item = self._unanswered.pop()
            if isinstance(item, TurnEndedInput):
                # The turn is open, and its beginning is still on its way.
                kept.clear()
                break
            kept.appendleft(item)
            if isinstance(item, TurnStartedInput):
                break
        self._unanswered = kept
        self._unanswered_audio = sum(item.seconds for item in kept if isinstance(item, AudioInput))
        self._since_words.clear()

    @property
    def unanswered(self) -> list[BackendInput]:
        """Inputs that a connection that follows has to be sent first."""
        return list(self._unanswered)

    # --- tool calls ---

    def next_unnamed(self, name: str) -> str:
        """An id for a tool call that came without one."""
        self.unnamed += 1
        return f"{name}-unnamed-{self.unnamed}"

    def called(self, call: str, name: str) -> bool:
        """A tool is called; False when that call was seen before."""
        if call in self._seen:
            return False
        self._remember(self._seen, call)
        self.pending[call] = name
        self._uncovered.add(call)
        self._since_words[call] = None
        return True

    def covered(self, *, turn_open: bool) -> None:
        """A handle came: a session that is resumed by it knows the calls so far, and what they are about."""
        if self._uncovered:
            self.answered(turn_open=turn_open)
        self._uncovered.clear()

    def forget_uncovered(self) -> list[str]:
        """The session was resumed from before some calls; the ids of those it knows nothing of.

        As for `forget_session`.
        """
        known = dict.fromkeys((*self._since_words, *self.pending))
        gone = [call for call in known if call in self._uncovered]
        for call in gone:
            self._since_words.pop(call, None)
        self._uncovered.clear()
        self._forget(gone)
        return gone

    def _forget(self, calls: Sequence[str]) -> None:
        for call in calls:
            self.cancel(call)
            # The session that follows may count its calls anew.
            self._seen.pop(call, None)

    def cancel(self, call: str) -> None:
        """The model no longer wants the result."""
        self.pending.pop(call, None)
        self._remember(self.void, call)

    @staticmethod
    def _remember(calls: OrderedDict[str, None], call: str) -> None:
        calls[call] = None
        if len(calls) > _CALLS_REMEMBERED:
            calls.popitem(last=False)

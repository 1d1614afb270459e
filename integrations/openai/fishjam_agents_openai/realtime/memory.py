"""State that outlives a connection: the conversation, the open turn, the unanswered requests."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import assert_never

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.conversation import (
    UNKNOWN_OUTCOME,
    BotLine,
    PastConversation,
    ToolLine,
    UserLine,
)
from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents_openai.realtime.history import CUT, RATE, History, HistoryItem

_OPEN = 15.0
"""Seconds of a turn that is not over which are said again to the next connection."""
_BEFORE = 2.0
"""Seconds kept of what the service has not (yet) found to be speech."""
_CALLS_REMEMBERED = 256


class Memory:
    """One call, over all its connections.

    Args:
        instructions: The system prompt.
        tools: The tools.

    Attributes:
        instructions: The system prompt as it is now.
        tools: The tools as they are now.
        history: What was said.
        owed: Whether the user is to be answered and the model has not begun to.
        pending: Calls whose result is still to come.
        asked: Replies that the app asked for and that have not begun: instructions by id.
        follows: The id of one for which tools were called before a word of it.
        questions: Questions beside the conversation without an answer: text by id.
        replies: Replies so far, for their ids.
        spent: Price of the call so far.
    """

    def __init__(self, instructions: str | None, tools: Sequence[ToolDeclaration]) -> None:
        self.instructions = instructions
        self.tools = tools
        self.history = History()
        self.owed = False
        self.pending: set[str] = set()
        self.asked: dict[str, str] = {}
        self.follows: str | None = None
        self.questions: dict[str, str] = {}
        self.replies = 0
        self.spent = 0.0
        self._calls: OrderedDict[str, None] = OrderedDict()
        self._open: deque[Samples] = deque()
        self._seconds = 0.0
        self._unnamed: deque[HistoryItem] = deque()
        self._named: dict[str, HistoryItem] = {}

    def continues(self, conversation: PastConversation) -> None:
        """Messages of before this process served the call."""
        for line in conversation.lines:
            match line:
                case UserLine():
                    self.history.add(HistoryItem("user", line.text, peer=line.peer))
                case BotLine():
                    cut = CUT if line.cut else ""
                    self.history.add(HistoryItem("assistant", f"{line.heard}{cut}" if line.heard else ""))
                case ToolLine():
                    call = _fitting(line.call)
                    arguments = json.dumps(dict(line.arguments), ensure_ascii=False)
                    self.history.add(HistoryItem("call", arguments, call, line.name))
                    self.history.add(HistoryItem("result", line.result or UNKNOWN_OUTCOME, call))
                case _:
                    assert_never(line)

    # --- the user's sound ---

    def heard(self, samples: Samples, *, speech: bool) -> None:
        """Sound was sent; `speech` is whether it is known to be a turn."""
        self._open.append(samples)
        self._seconds += len(samples) / RATE
        most = _OPEN if speech else _BEFORE
        while self._seconds > most and len(self._open) > 1:
            self._seconds -= len(self._open.popleft()) / RATE

    @property
    def open_turn(self) -> Sequence[Samples]:
        """The sound of the turn that is not over."""
        return list(self._open)

    def cancelled(self) -> None:
        """The open turn is taken back."""
        self._open.clear()
        self._seconds = 0.0

    def committed(self, peer: str | None, after: float = 0.0) -> None:
        """The open turn is over, but for its last `after` seconds, which are of the next one."""
        line = HistoryItem("user", peer=peer)
        later: deque[Samples] = deque()
        while self._open and after > 0:
            later.appendleft(self._open.pop())
            after -= len(later[0]) / RATE
        line.audio = list(self._open)
        self._open = later
        self._seconds = sum(len(samples) for samples in later) / RATE
        self._unnamed.append(self.history.add(line))

    def named(self, item: str) -> None:
        """The service has taken the oldest turn that was committed as this item."""
        if self._unnamed:
            self._named[item] = self._unnamed.popleft()

    def refused(self) -> None:
        """The service has not taken the oldest turn that was committed."""
        if self._unnamed:
            self._unnamed.popleft().audio = []

    def speaker(self, item: str) -> str | None:
        """Return the peer who spoke the turn of an item."""
        line = self._named.get(item)
        return None if line is None else line.peer

    def understood(self, item: str, text: str) -> None:
        """The words of a turn."""
        line = self._named.pop(item, None)
        if line is None:
            line = self.history.add(HistoryItem("user"))
        self.history.understood(line, text)

    def reconnected(self) -> None:
        """Items of the last connection have no meaning any more."""
        self._unnamed.clear()
        self._named.clear()

    # --- tools ---

    def called(self, call: str, name: str, arguments: str) -> bool:
        """The model calls a tool; False when it has been seen before."""
        if call in self._calls:
            return False
        self._calls[call] = None
        if len(self._calls) > _CALLS_REMEMBERED:
            self._calls.popitem(last=False)
        self.pending.add(call)
        self.history.add(HistoryItem("call", arguments, call, name))
        return True

    def answered(self, call: str, result: str) -> bool:
        """A tool has answered; whether it was the last one waited for."""
        known = call in self.pending
        self.pending.discard(call)
        self.history.add(HistoryItem("result", result, call))
        return known and not self.pending


def _fitting(call: str) -> str:
    """An id of a call in at most 32 characters, as the service takes them."""
    return f"past_{hashlib.sha256(call.encode()).hexdigest()[:16]}"

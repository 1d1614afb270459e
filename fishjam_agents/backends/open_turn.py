"""The turn that a session was sent the beginning of, for another one that takes over meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from fishjam_agents.backends.inputs import (
    AudioInput,
    BackendInput,
    SpeechSuspectedInput,
    TurnCancelledInput,
    TurnEndedInput,
    TurnStartedInput,
)


class OpenTurn:
    """Inputs of a turn, or of a sound that may become one, that were sent without its end.

    As long as a turn may be (`turns.max_turn`). Where the model finds turns itself none is told, and nothing
    is kept.

    Attributes:
        inputs: The inputs, oldest first; audio belongs to them while there are any.
    """

    __slots__ = ("inputs",)

    def __init__(self) -> None:
        self.inputs: list[BackendInput] = []

    def note(self, item: BackendInput) -> None:
        """Take an input that was sent."""
        if isinstance(item, AudioInput):
            if self.inputs:
                self.inputs.append(item)
        elif isinstance(item, TurnEndedInput | TurnCancelledInput):
            self.inputs = []
        elif isinstance(item, SpeechSuspectedInput):
            self.inputs = [item]
        elif isinstance(item, TurnStartedInput):
            suspected = self.inputs[0] if self.inputs else None
            if isinstance(suspected, SpeechSuspectedInput) and suspected.start == item.start:
                # Its sound was sent already.
                self.inputs.append(item)
            else:
                self.inputs = [item]

    def take(self) -> Sequence[BackendInput]:
        """Return the inputs, oldest first, and forget them."""
        inputs, self.inputs = self.inputs, []
        return inputs
